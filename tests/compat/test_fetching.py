from __future__ import annotations

import logging
from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from hfdl_async.compat import fetching
from hfdl_async.compat.asked import Asked
from hfdl_async.core.options import DownloadOptions
from hfdl_async.errors import GatedError, NetworkError, NotFoundError, Refusal
from hfdl_async.testing.faults import Fault, Status
from tests.compat.conftest import Serve
from tests.compat.sides import Side
from tests.repos import small_files, tiny_repo

SNAPSHOT = "snapshot_download"


def options_of(side: Side) -> DownloadOptions:
    return DownloadOptions(cache_dir=side.root / "cache", endpoint=side.hub.endpoint)


def test_where_the_cache_can_answer_the_hub_gets_one_try(both: Serve) -> None:
    ours = both(tiny_repo()).ours
    ours.hub.faults.add(Fault("revision", Status(500)))
    before = len(ours.hub.log.entries)
    with pytest.raises(NetworkError):
        fetching.fetch("models/org/tiny", None, options_of(ours), answered=True)
    asked = [entry.what for entry in ours.hub.log.entries[before:]]
    assert asked == ["revision"]


def test_once_the_hub_has_answered_files_get_all_patience(both: Serve) -> None:
    ours = both(tiny_repo()).ours
    ours.hub.faults.add(Fault("resolve", Status(500), path="config.json", times=2))
    report = fetching.fetch("models/org/tiny", "config.json", options_of(ours), answered=True)
    assert report["config.json"].read_bytes() == small_files()["config.json"]


def test_a_plan_looks_at_what_is_there_whatever_will_be_forced(both: Serve) -> None:
    ours = both(tiny_repo()).ours
    ours.call(SNAPSHOT, "org/tiny")
    options = options_of(ours)
    options["force"] = True
    plan = fetching.plan("models/org/tiny", None, options, answered=False)
    assert plan.bytes_to_fetch == 0
    assert options["force"] is True


def test_what_the_cache_answers_is_said_aloud(
    both: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    ours = both(tiny_repo()).ours
    ours.call(SNAPSHOT, "org/tiny")
    with caplog.at_level(logging.WARNING, "hfdl_async.compat"):
        ours.call(SNAPSHOT, "org/tiny", endpoint="http://127.0.0.1:9")
    assert "what is on disk is used" in caplog.text


def test_a_selection_of_nothing_is_said_aloud(
    both: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    ours = both(tiny_repo()).ours
    with caplog.at_level(logging.WARNING, "hfdl_async.compat"):
        ours.call(SNAPSHOT, "org/tiny", allow_patterns="*.none")
    assert "nothing in org/tiny is selected" in caplog.text


def test_a_hub_that_goes_away_after_its_listing_has_still_said_what_there_is(
    both: Serve, tmp_path: Path
) -> None:
    asked = Asked.checked("org/tiny", None, None, tmp_path, None, False)

    def gone(*, dry_run: bool) -> object:
        assert dry_run
        raise LocalEntryNotFoundError("no network")

    error = NotFoundError("org/tiny has no file 'a'", hint="look again")
    found = fetching.missing(error, asked, "a", "http://127.0.0.1:9", gone)
    assert type(found).__name__ == "RemoteEntryNotFoundError"
    assert "look again" in str(found)


def test_the_listing_and_the_hub_say_different_things() -> None:
    assert fetching.is_about_the_selection(NotFoundError("nothing is selected"))
    told = NotFoundError("no such repo")
    told.refusal = Refusal("https://h.org", 404)
    assert not fetching.is_about_the_selection(told)
    assert not fetching.is_about_the_selection(GatedError("hidden"))
    assert not fetching.had_begun(NetworkError("lost"))
