from __future__ import annotations

import json
import os
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from hfdl_async.core.model import (
    Action,
    ByteCounts,
    ByteRange,
    Chunk,
    Digest,
    FileReport,
    Plan,
    PlannedFile,
    Problem,
    RemoteFile,
    RepoRef,
    Report,
    RequestCounts,
)
from hfdl_async.errors import IntegrityError

REPO = RepoRef("org/name")
DIGEST = Digest("sha256", "ab" * 32)
FILES = (
    PlannedFile(RemoteFile("a", 100, DIGEST), Action.FETCH, have_bytes=30),
    PlannedFile(RemoteFile("b", 50, None), Action.REUSE),
    PlannedFile(RemoteFile("c", 7, DIGEST), Action.COPY, copy_of="a"),
)
PLAN = Plan(
    REPO, "c" * 40, Path("/d/name"), FILES, disk_free=1000, problems=(Problem("b", "unsafe", "x"),)
)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2)])
def test_a_range_cannot_run_backwards_or_below_zero(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="not a range"):
        ByteRange(start, stop)


def test_an_empty_range_is_false_and_others_are_as_long_as_they_are() -> None:
    assert not ByteRange(4, 4)
    assert len(ByteRange(4, 9)) == 5


def test_a_chunk_knows_its_span_and_two_chunks_are_equal_by_content() -> None:
    assert Chunk(3, b"abc").span == ByteRange(3, 6)
    assert Chunk(3, b"abc", lambda: None) == Chunk(3, b"abc")
    Chunk(3, b"abc").release()


def test_values_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        REPO.revision = "other"  # type: ignore[misc]


@pytest.mark.parametrize(("repo_id", "name"), [("gpt2", "gpt2"), ("org/model", "model")])
def test_a_repo_is_named_by_the_last_part_of_its_id(repo_id: str, name: str) -> None:
    assert RepoRef(repo_id).name == name


def test_files_share_a_content_key_only_when_digest_and_size_agree() -> None:
    same = RemoteFile("other", 100, DIGEST)
    assert FILES[0].file.content_key == same.content_key
    assert FILES[0].file.content_key != FILES[2].file.content_key
    assert FILES[1].file.content_key is None


def test_the_sums_of_a_plan_add_up() -> None:
    assert PLAN.bytes_selected == 157
    assert PLAN.bytes_to_fetch == 70
    assert PLAN.bytes_to_reuse == 87
    assert PLAN.bytes_to_write == 77


def reserved(have: int = 0, part: int = 0) -> int:
    file = RemoteFile("a", 100, DIGEST)
    return PlannedFile(file, Action.FETCH, have_bytes=have, part_bytes=part).reserved_bytes


def test_a_part_reserves_what_it_takes_up_beyond_its_bytes() -> None:
    assert reserved() == 0
    assert reserved(have=30) == 0
    assert reserved(have=30, part=100) == 70
    assert reserved(part=4096) == 100
    assert PLAN.bytes_reserved == 0


def test_a_hard_link_takes_no_space() -> None:
    linked = PlannedFile(RemoteFile("c", 7, DIGEST), Action.COPY, copy_of="a", linked=True)
    assert linked.write_bytes == 0


def test_a_plan_prints_the_frozen_fields() -> None:
    plan = PLAN.to_dict()
    assert plan["status"] == "planned"
    assert plan["plan"] == {
        "bytes_to_fetch": 70,
        "bytes_to_reuse": 87,
        "bytes_to_write": 77,
        "disk_free": 1000,
        "problems": [{"path": "b", "class": "unsafe", "message": "x"}],
        "to_remove": [],
    }
    files = plan["files"]
    assert isinstance(files, list)
    assert [file["status"] for file in files] == ["planned", "reused", "planned"]
    json.dumps(plan)


REPORT = Report(
    repo=REPO,
    status="partial",
    exit_code=6,
    commit="c" * 40,
    path=Path("/d/name"),
    files=(
        FileReport("a", 100, "resumed", DIGEST),
        FileReport("b", 50, "failed", None, IntegrityError("b: wrong", hint="try again")),
    ),
    bytes=ByteCounts(150, 80, 0, 20),
    requests=RequestCounts(1, 2, 3, 4),
    duration_seconds=2.0,
    peak_connections=8,
    warnings=("w",),
    error=IntegrityError("b: wrong", hint="try again"),
)


def test_a_report_prints_exactly_the_frozen_fields() -> None:
    assert json.loads(json.dumps(REPORT.to_dict())) == {
        "schema": 1,
        "status": "partial",
        "exit_code": 6,
        "repo_id": "org/name",
        "repo_type": "model",
        "revision": "main",
        "commit": "c" * 40,
        "endpoint": "https://huggingface.co",
        "path": str(Path("/d/name")),
        "files": [
            {
                "path": "a",
                "size_bytes": 100,
                "status": "resumed",
                "digest": {"algorithm": "sha256", "hex": "ab" * 32},
                "error": None,
            },
            {
                "path": "b",
                "size_bytes": 50,
                "status": "failed",
                "digest": None,
                "error": {"class": "integrity", "message": "b: wrong", "hint": "try again"},
            },
        ],
        "bytes": {"selected": 150, "downloaded": 80, "reused": 0, "resumed": 20},
        "requests": {"api": 1, "resolve": 2, "data": 3, "retried": 4},
        "duration_seconds": 2.0,
        "mean_rate_bytes_per_second": 40.0,
        "peak_connections": 8,
        "warnings": ["w"],
        "error": {"class": "integrity", "message": "b: wrong", "hint": "try again"},
    }


def test_a_report_of_no_files_is_a_report() -> None:
    report = Report(REPO, "failed", 4)
    assert report
    assert (len(report), report.to_dict()["error"]) == (0, None)


def test_a_report_is_a_path_and_finds_its_files() -> None:
    assert os.fspath(REPORT) == str(Path("/d/name"))
    assert REPORT["a"] == Path("/d/name/a")
    assert list(REPORT) == ["a", "b"]
    assert len(REPORT) == 2


@pytest.mark.parametrize("name", ["b", "no-such-file"])
def test_a_file_that_is_not_in_place_has_no_path(name: str) -> None:
    with pytest.raises(KeyError, match=name):
        REPORT[name]


def test_asking_for_every_file_looks_at_each_only_once() -> None:
    looked_at: list[str] = []

    class Watched(FileReport):
        def __getattribute__(self, name: str) -> object:
            if name == "path":
                looked_at.append(name)
            return super().__getattribute__(name)

    names = [f"f{number}" for number in range(1000)]
    files = tuple(Watched(name, 1, "downloaded", None) for name in names)
    report = Report(REPO, "ok", 0, path=Path("/d"), files=files)
    for name in names:
        assert report[name] == Path("/d", name)
    assert len(looked_at) == len(names)


def test_a_run_that_ended_before_its_folder_was_known_prints_nulls_and_is_no_path() -> None:
    report = Report(REPO, "failed", 4)
    assert report.to_dict()["path"] is None
    assert report.to_dict()["commit"] is None
    assert report.mean_rate_bytes_per_second == 0.0
    with pytest.raises(ValueError, match="before its folder was known"):
        os.fspath(report)
