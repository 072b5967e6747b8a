from __future__ import annotations

import io
from pathlib import Path

import pytest

from hfdl_async.core.options import Options
from hfdl_async.errors import UsageError
from hfdl_async.ui.settings import settle, wants_details


def test_a_flag_beats_the_environment_which_beats_the_default() -> None:
    environ = {"HFDL_CONNECTIONS": "3", "HFDL_REVISION": "v1"}
    settings = settle("download", {"connections": "8", "revision": None}, environ)
    assert settings.options == {"connections": "8", "revision": "v1"}


@pytest.mark.parametrize(
    ("given", "environ"),
    [
        ({"directory": "a", "local_dir": "b"}, {}),
        ({}, {"HFDL_DIRECTORY": "a", "HFDL_LOCAL_DIR": "b"}),
        ({"directory": "a", "cache": True}, {}),
        ({"local_dir": "a", "cache_dir": "b"}, {}),
        ({}, {"HFDL_CACHE": "1", "HFDL_LOCAL_DIR": "b"}),
        ({}, {"HFDL_CACHE_DIR": "a", "HFDL_DIRECTORY": "b"}),
    ],
)
def test_two_destinations_at_once_are_refused(
    given: dict[str, object], environ: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match="two destinations"):
        settle("download", given, environ)


def test_repairing_without_a_network_is_refused() -> None:
    with pytest.raises(UsageError, match="--repair and --offline"):
        settle("verify", {"repair": True, "offline": True}, {})


def test_a_typed_destination_replaces_the_one_of_the_environment() -> None:
    settings = settle("download", {"local_dir": "b"}, {"HFDL_DIRECTORY": "a"})
    assert settings.options == {"local_dir": "b"}


@pytest.mark.parametrize("around", [{"HFDL_CACHE": "1"}, {"HFDL_CACHE_DIR": "a"}])
def test_a_typed_folder_beats_the_cache_of_the_environment(around: dict[str, str]) -> None:
    assert settle("download", {"local_dir": "b"}, around).options == {"local_dir": "b"}


def test_a_typed_cache_beats_every_destination_of_the_environment() -> None:
    for around in ({"HFDL_LOCAL_DIR": "a"}, {"HFDL_CACHE_DIR": "a"}, {"HFDL_DIRECTORY": "a"}):
        assert settle("download", {"cache": True}, around).options == {"cache": True}


def test_the_cache_and_its_folder_are_one_destination() -> None:
    given = {"cache": True, "cache_dir": "a"}
    assert settle("download", given, {}).options == given


def test_a_cache_that_is_switched_off_is_no_destination() -> None:
    settings = settle("download", {}, {"HFDL_CACHE": "0", "HFDL_LOCAL_DIR": "b"})
    assert Options.parse(settings.options).local_dir == Path("b")
    assert not Options.parse(settings.options).cache
    settings = settle("download", {"directory": "b"}, {"HFDL_CACHE": "off"})
    assert not Options.parse(settings.options).cache


@pytest.mark.parametrize(
    ("given", "environ", "named"),
    [
        ({"connections": "many"}, {}, "--connections:"),
        ({}, {"HFDL_CONNECTIONS": "many"}, "HFDL_CONNECTIONS:"),
        ({"min_free_space": "-1"}, {}, "--min-free-space:"),
        ({"allow": ["everything"]}, {}, "--allow:"),
    ],
)
def test_a_mistake_is_named_as_the_user_made_it(
    given: dict[str, object], environ: dict[str, str], named: str
) -> None:
    with pytest.raises(UsageError) as caught:
        settle("download", given, environ)
    assert caught.value.message.startswith(named)


def test_the_token_can_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("hf_secret\n"))
    assert settle("download", {"token": "-"}, {}).options == {"token": "hf_secret"}
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    with pytest.raises(UsageError, match="standard input"):
        settle("download", {"token": "-"}, {})


def test_old_names_are_accepted_and_said_once_to_have_no_effect() -> None:
    settings = settle("download", {"enhanced": True}, {})
    assert settings.options == {}
    [note] = settings.notes
    assert "no effect" in note


@pytest.mark.parametrize(
    ("given", "environ"),
    [({"quiet": True}, {}), ({"no_progress": True}, {}),
     ({}, {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}), ({}, {"HFDL_NO_PROGRESS": "1"})],
)  # fmt: skip
def test_progress_can_be_switched_off(given: dict[str, object], environ: dict[str, str]) -> None:
    assert settle("download", {}, {}).progress
    assert not settle("download", given, environ).progress


def test_details_are_known_even_where_parsing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wants_details(["--verbose", "--nonsense"])
    assert not wants_details(["org/name"])
    monkeypatch.setenv("HFDL_VERBOSE", "1")
    assert wants_details([])
