from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable

import anyio
import pytest

from hfdl_async.core.model import MB
from hfdl_async.serving.__main__ import (
    main,
    parse_flip,
    parse_name,
    parser,
    repos_of,
    serve,
    settings_of,
    size_in_bytes,
)
from hfdl_async.serving.damage import Flipper
from hfdl_async.serving.server import HubServer


def test_sizes_and_rates_have_units() -> None:
    assert size_in_bytes("20MB/s") == 20 * MB
    assert size_in_bytes("1024") == 1024
    with pytest.raises(ValueError, match="not a size"):
        size_in_bytes("many")


def test_names_may_carry_their_type() -> None:
    assert parse_name("datasets/o/n") == ("dataset", "o/n")
    assert parse_name("spaces/o/n") == ("space", "o/n")
    assert parse_name("o/n") == ("model", "o/n")


def test_flips_are_for_ever_or_counted() -> None:
    assert parse_flip("*.bin@10") == Flipper("*.bin", 10)
    assert parse_flip("a@b@0x2") == Flipper("a@b", 0, 2)
    with pytest.raises(ValueError, match="GLOB@OFFSET"):
        parse_flip("a")


def test_options_become_settings_and_repos() -> None:
    what = "--small-files datasets/o/s=3 --generate o/m --size 5MB --private"
    how = "--rate 1MB --page-size 7 --url-lifetime 0.5"
    options = parser().parse_args(f"{what} {how}".split())
    settings = settings_of(options)
    assert settings.rate_bytes_per_second == MB
    assert (settings.page_size, settings.url_lifetime_seconds) == (7, 0.5)
    repos = repos_of(options)
    assert [(repo.repo_type, repo.repo_id, repo.private) for repo in repos] == [
        ("model", "o/m", True),
        ("dataset", "o/s", True),
    ]


def test_arguments_without_a_meaning_are_an_error_in_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--flip", "nonsense"]) == 2
    assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize("how", ["stdin", "signal"])
def test_it_says_where_it_is_and_ends_when_told(how: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "hfdl_async.serving"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    facts = json.loads(process.stdout.readline())
    assert facts["endpoint"].startswith("http://127.0.0.1:")
    if how == "signal":
        process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate("" if how == "stdin" else None, timeout=10)
    assert json.loads(rest)["requests"] == {}
    assert (process.returncode, errors) == (0, "")


def test_it_may_be_told_to_end_when_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Callable[[], None]] = []

    def end_at_once(end: Callable[[], None]) -> None:
        told.append(end)
        end()

    monkeypatch.setattr("hfdl_async.serving.__main__._end_with_stdin", end_at_once)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    anyio.run(serve, HubServer([]), [])
    told[0]()
