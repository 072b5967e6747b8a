from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.controller import AUTO_CONNECTIONS, MAX_CONNECTIONS
from hfdl_async.core.model import GIB, KIB, MB, MIB
from hfdl_async.core.options import (
    ALLOWABLE,
    DownloadOptions,
    Options,
    from_environment,
    option_names,
    overlaid,
    parse_bandwidth,
    parse_seconds,
    parse_size,
)
from hfdl_async.core.timetable import Limit, Timetable
from hfdl_async.errors import UsageError

# (public name, value, field, what it becomes): each option as text, and typed where that differs
GOOD: list[tuple[str, object, str, object]] = [
    ("repo_type", "dataset", "repo_type", "dataset"),
    ("repo_type", " Space ", "repo_type", "space"),
    ("repo_type", None, "repo_type", None),
    ("revision", "refs/pr/3", "revision", "refs/pr/3"),
    ("include", "*.json", "include", ("*.json",)),
    ("include", ["*.json", "*.txt"], "include", ("*.json", "*.txt")),
    ("exclude", ("*.bin",), "exclude", ("*.bin",)),
    ("exclude", None, "exclude", ()),
    ("directory", "models", "directory", Path("models")),
    ("local_dir", "here", "local_dir", Path("here")),
    ("local_dir", Path("here"), "local_dir", Path("here")),
    ("local_dir", None, "local_dir", None),
    ("cache", "1", "cache", True),
    ("cache", False, "cache", False),
    ("cache_dir", "hub", "cache_dir", Path("hub")),
    ("cache_dir", None, "cache_dir", None),
    ("reuse_from", "/old", "reuse_from", (Path("/old"),)),
    ("reuse_from", [Path("/a"), "/b"], "reuse_from", (Path("/a"), Path("/b"))),
    ("link", "hard", "link", "hard"),
    ("prune", "1", "prune", True),
    ("prune", False, "prune", False),
    ("connections", "auto", "connections", None),
    ("trace_controller", "a/trace", "trace_controller", Path("a/trace")),
    ("trace_controller", None, "trace_controller", None),
    ("connections", "16", "connections", 16),
    ("connections", 16, "connections", 16),
    ("chunk_size", "auto", "chunk_size_bytes", None),
    ("chunk_size", "8192", "chunk_size_bytes", 8192),
    ("chunk_size", "1MiB", "chunk_size_bytes", MIB),
    ("bandwidth", "20MB/s", "bandwidth", Limit(rate=20e6)),
    ("bandwidth", "80%", "bandwidth", Limit(percent=80)),
    ("bandwidth", 95, "bandwidth", Limit(percent=95)),
    ("bandwidth", None, "bandwidth", Limit()),
    ("bandwidth", "off", "bandwidth", Limit()),
    (
        "bandwidth",
        "08:00,5MB 19:00,off",
        "bandwidth",
        Timetable(((480, Limit(rate=5e6)), (1140, Limit()))),
    ),
    ("speed_test_duration", "3s", "speed_test_seconds", 3.0),
    ("memory", 64, "memory_bytes", 64 * MIB),
    ("memory", "1", "memory_bytes", MIB),
    ("memory", "1GiB", "memory_bytes", 1024 * MIB),
    ("file_size_threshold", "200", "file_size_threshold_bytes", 200 * MB),
    ("file_size_threshold", 1.5, "file_size_threshold_bytes", 1_500_000),
    ("min_speed_percentage", "7.5", "min_speed_percentage", 7.5),
    ("min_speed_percentage", "20%", "min_speed_percentage", 20.0),
    ("min_speed_percentage", 100, "min_speed_percentage", 100.0),
    ("speed_check_interval", "2s", "speed_check_seconds", 2.0),
    ("file_size_threshold", "32MiB", "file_size_threshold_bytes", 32 * MIB),
    ("min_free_space", "auto", "min_free_space_bytes", None),
    ("min_free_space", "5000", "min_free_space_bytes", 5000 * MB),
    ("min_free_space", 0, "min_free_space_bytes", 0),
    ("verify", "1", "verify", True),
    ("verify", "off", "verify", False),
    ("fix_broken", "yes", "fix_broken", True),
    ("force", True, "force", True),
    ("no_resume", "TRUE", "no_resume", True),
    ("max_retries", "0", "max_retries", 0),
    ("max_retries", 7, "max_retries", 7),
    ("give_up_after", "never", "give_up_after_seconds", None),
    ("give_up_after", "90s", "give_up_after_seconds", 90.0),
    ("give_up_after", 0, "give_up_after_seconds", 0.0),
    ("connect_timeout", "2.5", "connect_timeout_seconds", 2.5),
    ("read_timeout", 60, "read_timeout_seconds", 60.0),
    ("wait", "forever", "wait_seconds", None),
    ("wait", None, "wait_seconds", None),
    ("wait", "0", "wait_seconds", 0.0),
    ("endpoint", "https://mirror.example", "endpoint", "https://mirror.example"),
    ("endpoint", None, "endpoint", None),
    ("token", "hf_abc", "token", "hf_abc"),
    ("token", "hf_abc\n", "token", "hf_abc"),
    ("token", False, "token", False),
    ("token", None, "token", None),
    ("allow", "symlinks", "allow", frozenset({"symlinks"})),
    ("allow", ["http-token", "unverified"], "allow", frozenset({"http-token", "unverified"})),
    ("safe_only", "1", "safe_only", True),
]


@pytest.mark.parametrize(("name", "value", "target", "expected"), GOOD)
def test_each_option_parses_from_text_and_from_typed_values(
    name: str, value: object, target: str, expected: object
) -> None:
    parsed = getattr(Options.parse({name: value}), target)
    assert parsed == expected
    assert type(parsed) is type(expected)


def test_the_table_above_and_the_keywords_cover_every_option() -> None:
    assert {name for name, *_ in GOOD} == set(option_names())
    assert {target for _, _, target, _ in GOOD} == {item.name for item in fields(Options)}
    assert set(get_type_hints(DownloadOptions)) == set(option_names())


BAD: list[tuple[str, object]] = [
    ("min_speed_percentage", 0.5),
    ("min_speed_percentage", "101"),
    ("min_speed_percentage", "nan"),
    ("min_speed_percentage", True),
    ("min_speed_percentage", "fast"),
    ("speed_check_interval", 0),
    ("repo_type", "modle"),
    ("revision", "  "),
    ("include", 5),
    ("directory", ""),
    ("directory", None),
    ("local_dir", "a\0b"),
    ("link", "soft"),
    ("connections", "-1"),
    ("connections", MAX_CONNECTIONS + 1),
    ("connections", "many"),
    ("connections", True),
    ("bandwidth", "fast"),
    ("bandwidth", 0),
    ("bandwidth", "150%"),
    ("bandwidth", True),
    ("speed_test_duration", "0"),
    ("memory", "0.9"),
    ("memory", "auto"),
    ("chunk_size", "0"),
    ("chunk_size", "1023"),
    ("chunk_size", "1 parsec"),
    ("file_size_threshold", "-5"),
    ("file_size_threshold", "nan"),
    ("min_free_space", "9999999999999TB"),
    ("verify", "maybe"),
    ("verify", None),
    ("max_retries", "2.5"),
    ("max_retries", -1),
    ("give_up_after", "soon"),
    ("give_up_after", "inf"),
    ("connect_timeout", "0"),
    ("connect_timeout", "never"),
    ("read_timeout", None),
    ("wait", "-3"),
    ("endpoint", ""),
    ("allow", "everything"),
    ("allow", ["symlinks", "x"]),
    ("safe_only", 2),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_value_that_cannot_be_is_refused_by_the_name_of_its_option(
    name: str, value: object
) -> None:
    with pytest.raises(UsageError, match=f"^{name}: "):
        Options.parse({name: value})


def test_an_unknown_option_is_refused_with_what_may_have_been_meant() -> None:
    with pytest.raises(UsageError, match="there is no option 'connection'") as caught:
        Options.parse({"connection": 3})
    assert caught.value.hint == "did you mean 'connections'?"
    with pytest.raises(UsageError) as caught:
        Options.parse({"zzz": 3})
    assert caught.value.hint is None


@pytest.mark.parametrize("secret", ["hf_se cret", "hf_secret\x00", "hf_sécret", "hf_\nsecret"])
def test_a_token_is_never_shown(secret: str) -> None:
    assert "hf_good" not in repr(Options.parse({"token": "hf_good"}))
    with pytest.raises(UsageError) as caught:
        Options.parse({"token": secret})
    error: BaseException | None = caught.value
    while error is not None:
        assert "cret" not in f"{error!s} {error!r}"
        error = error.__cause__


@pytest.mark.parametrize("token", ["", " "])
def test_an_empty_token_is_not_silently_anonymous(token: str) -> None:
    with pytest.raises(UsageError, match="not a token"):
        Options.parse({"token": token})


def test_repairing_implies_looking() -> None:
    assert Options.parse({"fix_broken": True}).verify
    assert not Options.parse({"fix_broken": True, "force": True}).verify


def test_without_a_number_the_ceiling_for_connections_is_chosen() -> None:
    assert Options().ceiling(cores=4) == AUTO_CONNECTIONS
    assert Options().ceiling(cores=1) < AUTO_CONNECTIONS
    assert Options.parse({"memory": "1MiB"}).ceiling(cores=4) < AUTO_CONNECTIONS
    assert Options.parse({"connections": 3}).ceiling(cores=4) == 3


def test_the_environment_names_options_and_nothing_else() -> None:
    environ = {
        "HFDL_LOCAL_DIR": "here",
        "HFDL_VERIFY": "1",
        "HFDL_INCLUDE": "*.json\n*.txt",
        "HFDL_REVISION": "",
        "HFDL_PORT": "tcp://10.0.0.1:80",
        "LOCAL_DIR": "elsewhere",
    }
    values = from_environment(environ)
    assert values == {"local_dir": "here", "verify": "1", "include": ["*.json", "*.txt"]}
    assert Options.parse(values).include == ("*.json", "*.txt")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", 0),
        ("512", 512),
        ("1k", 1000),
        ("1KiB", KIB),
        ("20MB", 20 * MB),
        ("20 mb", 20 * MB),
        ("1.5GiB", 3 * GIB // 2),
        ("2t", 2 * 10**12),
        ("7b", 7),
    ],
)
def test_sizes(text: str, expected: int) -> None:
    assert parse_size(text, bare_unit=1) == expected


def test_a_unit_that_is_written_wins_over_that_of_the_table() -> None:
    assert parse_size("7b", bare_unit=MB) == 7
    assert parse_size("7", bare_unit=MB) == 7 * MB


@given(st.text(max_size=12))
def test_any_text_is_a_size_or_a_value_error(text: str) -> None:
    try:
        size = parse_size(text, bare_unit=MB)
    except ValueError:
        return
    assert 0 <= size <= 2**62


@given(st.text(max_size=12) | st.floats())
def test_any_value_is_seconds_or_a_value_error(value: str | float) -> None:
    try:
        seconds = parse_seconds(value, endless=("never",))
    except ValueError:
        return
    assert seconds is None or 0 <= seconds < float("inf")


@given(st.dictionaries(st.sampled_from(option_names()), st.text(max_size=20), max_size=4))
def test_any_text_is_an_option_or_a_usage_error(values: dict[str, str]) -> None:
    message = ""
    try:
        Options.parse(values)
    except UsageError as error:
        message = error.message
    assert not message or re.match(rf"({'|'.join(values)})\b", message)


@pytest.mark.parametrize("directory", ["models", "downloads"])
def test_two_destinations_are_refused(directory: str) -> None:
    with pytest.raises(UsageError, match="directory and local_dir"):
        Options.parse({"directory": directory, "local_dir": "here"})
    assert Options.parse({"directory": directory, "local_dir": None}).local_dir is None


@pytest.mark.parametrize("folder", ["directory", "local_dir"])
@pytest.mark.parametrize("cache", [{"cache": True}, {"cache_dir": "hub"}])
def test_a_folder_and_the_cache_are_two_destinations(folder: str, cache: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=f"{folder} and cache"):
        Options.parse({folder: "here", **cache})
    Options.parse({folder: "here", "cache": False, "cache_dir": None})


@pytest.mark.parametrize("cache", [{"cache": True}, {"cache_dir": "hub"}])
def test_only_folders_can_be_pruned(cache: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="prune is for folders"):
        Options.parse({"prune": True, **cache})
    Options.parse({"prune": False, **cache})
    assert Options.parse({"prune": True, "cache": False}).prune


def test_the_cache_and_its_folder_are_one_destination() -> None:
    assert Options.parse({"cache": True, "cache_dir": "hub"}).cache_dir == Path("hub")


def test_a_destination_replaces_the_one_of_the_defaults() -> None:
    base = {"directory": "models", "verify": True}
    assert overlaid(base, {"local_dir": "here"}) == {"verify": True, "local_dir": "here"}
    assert overlaid({"local_dir": "x"}, {"directory": "y"}) == {"directory": "y"}
    assert overlaid({"cache": True}, {"local_dir": "x"}) == {"local_dir": "x"}
    assert overlaid(base, {"cache": True}) == {"verify": True, "cache": True}
    assert overlaid(base, {"verify": False}) == {"directory": "models", "verify": False}


def test_every_refusal_that_is_lifted_has_its_warning() -> None:
    assert Options().warnings == ()
    warnings = Options.parse({"allow": list(ALLOWABLE)}).warnings
    assert len(warnings) == len(ALLOWABLE)
    assert all(any(name in warning for warning in warnings) for name in ALLOWABLE)


def test_a_limit_that_cannot_be_is_refused_with_what_could_be() -> None:
    with pytest.raises(UsageError, match="bandwidth: 'fast' is not a size") as caught:
        parse_bandwidth("fast")
    assert "20MB" in (caught.value.hint or "")
    assert parse_bandwidth("5MB") == Limit(rate=5e6)
