from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from hfdl_async.core.filetable import FileTable, ReportedFiles, planned_files
from hfdl_async.core.model import (
    Action,
    Digest,
    FileReport,
    PlannedFile,
    RemoteFile,
    RepoRef,
    Report,
)
from hfdl_async.core.verdict import VerifiedFile, VerifyReport, account, conclude, ending
from hfdl_async.errors import (
    BusyError,
    DownloadError,
    GatedError,
    HfdlError,
    IntegrityError,
    NetworkError,
    StorageError,
)

DIGEST = Digest("sha256", "0" * 64)


def file(path: str, error: HfdlError | None = None) -> FileReport:
    return FileReport(path, 1, "failed" if error else "downloaded", DIGEST, error)


def test_a_run_without_failures_is_ok() -> None:
    verdict = conclude([file("a"), file("b")])
    assert (verdict.status, verdict.exit_code, verdict.error) == ("ok", 0, None)


def test_one_failure_is_the_error_itself() -> None:
    error = NetworkError("a: gone", hint="again")
    verdict = conclude([file("a", error), file("b")])
    assert (verdict.status, verdict.exit_code) == ("partial", 5)
    assert verdict.error is error


def test_failures_of_one_class_are_summed_up_in_it() -> None:
    verdict = conclude([file(name, NetworkError(f"{name}: gone", hint="h")) for name in "abc"])
    assert (verdict.status, verdict.exit_code) == ("failed", 5)
    assert isinstance(verdict.error, NetworkError)
    assert verdict.error.message == "a: gone (and 2 more files)"
    assert verdict.error.hint == "h"


def test_a_sum_of_failures_knows_what_the_first_one_knew() -> None:
    cause = OSError("28")
    gated = GatedError("a: gated", hint="ask", url="https://hub/org/model")
    full = StorageError("a: full", ends_run=True)
    full.__cause__ = cause
    summed = conclude([file("a", gated), file("b", GatedError("b: gated"))]).error
    assert isinstance(summed, GatedError)
    assert (summed.url, summed.hint) == ("https://hub/org/model", "ask")
    summed = conclude([file("a", full), file("b", StorageError("b: full"))]).error
    assert summed is not None
    assert summed.ends_run
    assert summed.__cause__ is cause
    assert (gated.message, full.message) == ("a: gated", "a: full")


PLANNED = [PlannedFile(RemoteFile(path, 1, DIGEST), Action.FETCH) for path in "abc"]


def test_a_file_that_nobody_has_an_outcome_for_is_no_success() -> None:
    files = account(PLANNED, {"a": file("a"), "c": file("c")})
    assert [item.path for item in files] == ["a", "b", "c"]
    verdict = conclude(files)
    assert (verdict.status, verdict.exit_code) == ("partial", 1)
    assert ending(files, None) == verdict
    assert ending(account(PLANNED, {}), None).exit_code == 1


def test_what_was_here_is_reused_whatever_ended_the_run() -> None:
    here = replace(PLANNED[1], action=Action.REUSE)
    planned = [PLANNED[0], here, PLANNED[2]]
    files = account(planned, {"a": file("a")}, BusyError("gone"))
    assert [item.status for item in files] == ["downloaded", "reused", "failed"]
    assert [item.path for item in files.failed()] == ["c"]
    assert files.statuses() == {"downloaded": 1, "reused": 1, "failed": 1}
    assert list(files.reports()) == [item.to_dict() for item in files]
    assert ending(files, None).status == "partial"
    assert conclude(account([here], {})) == conclude([])


def test_no_value_is_made_of_what_was_here() -> None:
    here = planned_files([replace(item, action=Action.REUSE) for item in PLANNED])

    class Untouched(FileTable):
        def remote(self, row: int) -> RemoteFile:
            raise AssertionError("a value for each of a million files")

    table = Untouched()
    table.extend(here.table)
    files = ReportedFiles(table, here.here, {}, HfdlError("never"))
    report = Report(RepoRef("a/b"), "ok", 0, files=files)
    assert conclude(files).status == "ok"
    assert report.statuses()["reused"] == 3
    assert [row["status"] for row in report.file_dicts()] == ["reused"] * 3


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (asyncio.CancelledError(), "interrupted"),
        (KeyboardInterrupt(), "interrupted"),
        (BusyError("the lock is gone"), "busy"),
        (ZeroDivisionError(), "internal"),
    ],
)
def test_a_run_that_ended_early_lists_what_it_did_not_finish(
    error: BaseException, kind: str
) -> None:
    files = account(PLANNED, {"b": file("b")}, error)
    assert [(item.path, item.status) for item in files] == [
        ("a", "failed"),
        ("b", "downloaded"),
        ("c", "failed"),
    ]
    assert [item.error and item.error.kind for item in files] == [kind, None, kind]
    assert sum(item.size_bytes for item in files) == 3


def test_one_error_that_hit_every_file_stays_one() -> None:
    error = NetworkError("the hub is gone")
    assert conclude([file("a", error), file("b", error)]).error is error


def test_failures_of_several_classes_are_all_listed() -> None:
    errors = [NetworkError("a: gone"), IntegrityError("b: wrong")]
    verdict = conclude([file("a", errors[0]), file("b", errors[1]), file("c")])
    assert (verdict.status, verdict.exit_code) == ("partial", 10)
    assert isinstance(verdict.error, DownloadError)
    assert list(verdict.error.errors) == errors


@pytest.mark.parametrize(
    ("files", "error", "status", "exit_code"),
    [
        ([], None, "ok", 0),
        ([], NetworkError("x"), "failed", 5),
        ([file("a")], NetworkError("x"), "partial", 5),
        ([file("a")], asyncio.CancelledError(), "interrupted", 130),
        ([], ZeroDivisionError(), "failed", 1),
    ],
)
def test_how_a_run_ended(
    files: list[FileReport], error: BaseException | None, status: str, exit_code: int
) -> None:
    verdict = ending(files, error)
    assert (verdict.status, verdict.exit_code) == (status, exit_code)


def test_a_check_is_bad_while_one_file_is() -> None:
    def report(*statuses: str) -> VerifyReport:
        files = tuple(
            VerifiedFile(str(index), 1, status, DIGEST, None)  # type: ignore[arg-type]
            for index, status in enumerate(statuses)
        )
        return VerifyReport("a/b", "model", "c" * 40, Path("/x"), files, bytes_checked=2)

    assert report("ok", "repaired").exit_code == 0
    assert report("ok", "missing").exit_code == 6
    row = report("ok", "bad").to_dict()
    assert (row["status"], row["exit_code"], row["bytes"]) == (
        "bad",
        6,
        {"checked": 2, "fetched": 0},
    )
    assert row["files"] == [
        {
            "path": "0",
            "size_bytes": 1,
            "status": "ok",
            "expected": DIGEST.to_dict(),
            "found": None,
        },
        {
            "path": "1",
            "size_bytes": 1,
            "status": "bad",
            "expected": DIGEST.to_dict(),
            "found": None,
        },
    ]
