"""How a run ended as a whole: one status, one exit code, one error; and what a re-check found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hfdl_async.core.filetable import ReportedFiles, planned_files
from hfdl_async.core.model import (
    Accounted,
    Digest,
    FileReport,
    PlannedFile,
    RepoType,
    RunStatus,
)
from hfdl_async.errors import DownloadError, HfdlError, InterruptedDownloadError

CheckStatus = Literal["ok", "bad", "missing", "repaired"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`error` is None for a run that did all it was asked to."""

    status: RunStatus
    exit_code: int
    error: HfdlError | None = None


INTERRUPTED_EXIT_CODE = 130
BUG_EXIT_CODE = 1


def account(
    planned: Sequence[PlannedFile],
    outcomes: Mapping[str, FileReport],
    error: BaseException | None = None,
) -> ReportedFiles:
    """Return how every planned file ended, in order; *error* ended the run, or nothing did.

    What was here is reused. Any other file without an outcome failed: no run is a success because
    nobody asked about a file.
    """
    files = planned_files(planned)
    return ReportedFiles(files.table, files.here, outcomes, _unfinished(error))


def _unfinished(error: BaseException | None) -> HfdlError:
    if isinstance(error, HfdlError):
        return error
    if error is None or isinstance(error, Exception):
        return HfdlError("not finished: a bug ended the run", hint="run the same command again")
    return InterruptedDownloadError(
        "not finished: the run was interrupted",
        hint="run the same command again: it continues with what is missing",
    )


def conclude(files: Sequence[FileReport]) -> Verdict:
    """Return what the outcomes of all selected files add up to.

    One class of failure gives that class; several give `DownloadError` with all of them.
    """
    failed = files.failed() if isinstance(files, Accounted) else files
    failures = [file.error for file in failed if file.error is not None]
    if not failures:
        return Verdict("ok", 0)
    status: RunStatus = "failed" if len(failures) == len(files) else "partial"
    error = _sum_up(failures)
    return Verdict(status, error.exit_code, error)


def ending(files: Sequence[FileReport], error: BaseException | None) -> Verdict:
    """Return how a run ended that *error* ended, or nothing did; *files* are its outcomes.

    Anything that is neither an `HfdlError` nor a bug is an interruption.
    """
    if error is None:
        return conclude(files)
    if not isinstance(error, Exception):
        return Verdict("interrupted", INTERRUPTED_EXIT_CODE)
    failed = files.failed() if isinstance(files, Accounted) else [f for f in files if f.error]
    status: RunStatus = "partial" if len(failed) < len(files) else "failed"
    if isinstance(error, HfdlError):
        return Verdict(status, error.exit_code, error)
    return Verdict(status, BUG_EXIT_CODE)


def _sum_up(failures: Sequence[HfdlError]) -> HfdlError:
    first, distinct = failures[0], list({id(error): error for error in failures}.values())
    if len(distinct) == 1:
        return first
    if len({error.exit_code for error in failures}) > 1:
        kinds = ", ".join(sorted({error.kind for error in failures}))
        return DownloadError(
            f"{len(failures)} files failed for different reasons ({kinds})",
            hint="run the same command again: what is complete is kept",
            errors=distinct,
        )
    summed = copy(first)  # with all that its class knows besides
    summed.args = (f"{first.message} (and {len(failures) - 1} more files)",)
    summed.__cause__ = first.__cause__
    return summed


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """One file of a folder that was re-checked by content."""

    path: str
    size_bytes: int
    status: CheckStatus
    expected: Digest | None
    found: Digest | None

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form; `found` is null where nothing was read."""
        return {
            "path": self.path,
            "size_bytes": self.size_bytes,
            "status": self.status,
            "expected": self.expected.to_dict() if self.expected else None,
            "found": self.found.to_dict() if self.found else None,
        }


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What a re-check of a folder found."""

    repo_id: str
    repo_type: RepoType
    commit: str
    path: Path
    files: tuple[VerifiedFile, ...] = field(default=())
    bytes_checked: int = 0  # read from the disk
    bytes_fetched: int = 0  # to repair what was bad
    duration_seconds: float = 0.0
    warnings: tuple[str, ...] = ()

    @property
    def status(self) -> Literal["ok", "bad"]:
        """Whether every file is right now."""
        good = all(file.status in ("ok", "repaired") for file in self.files)
        return "ok" if good else "bad"

    @property
    def exit_code(self) -> int:
        """0, or 6 when a file is bad or missing."""
        return 0 if self.status == "ok" else 6

    def to_dict(self) -> dict[str, object]:
        """Return the report as `verify --json` prints it (`schema` 1)."""
        return {
            "schema": 1,
            "status": self.status,
            "exit_code": self.exit_code,
            "repo_id": self.repo_id,
            "repo_type": self.repo_type,
            "commit": self.commit,
            "path": str(self.path),
            "files": [file.to_dict() for file in self.files],
            "bytes": {"checked": self.bytes_checked, "fetched": self.bytes_fetched},
            "duration_seconds": round(self.duration_seconds, 3),
            "warnings": list(self.warnings),
        }
