from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hfdl_async.core.model import (
    Action,
    Digest,
    Plan,
    PlannedFile,
    Problem,
    RemoteFile,
    RepoRef,
)
from hfdl_async.core.verdict import VerifiedFile, VerifyReport
from hfdl_async.ui.tables import FILES_SHOWN, plan_lines, status_lines, verify_lines

HOSTILE = "a\x1b[2J\nb"


def plan(files: int = 2, problems: tuple[Problem, ...] = ()) -> Plan:
    planned = tuple(
        PlannedFile(
            RemoteFile(f"{HOSTILE}{n}.bin", 1000 * (n + 1), Digest("sha256", "0" * 64)),
            Action.FETCH if n else Action.REUSE,
            have_bytes=500 if n else 0,
        )
        for n in range(files)
    )
    return Plan(RepoRef("org/model"), "c" * 40, Path("/x/model"), planned, 10**9, problems)


def test_a_plan_shows_the_largest_files_first_and_the_sums() -> None:
    assert plan_lines(plan()) == [
        "org/model (model) at cccccccccc: 2 files, 3.00 kB",
        "  fetch   2.00 kB  a\\x1b[2J\\nb1.bin, 500 B of it here",
        "  reuse   1.00 kB  a\\x1b[2J\\nb0.bin",
        "to fetch  1.50 kB",
        "to reuse  1.50 kB",
        "to write  1.50 kB, 1.00 GB free",
    ]


def test_a_plan_of_many_files_is_cut_and_counted() -> None:
    lines = plan_lines(plan(files=FILES_SHOWN + 5))
    assert "  and 5 more files, 15.0 kB" in lines


def test_a_plan_names_what_would_be_removed() -> None:
    shown = plan_lines(replace(plan(), to_remove=("old.bin", "x/y\x1b.txt")))
    start = shown.index("to remove 2 files that the repo no longer has")
    assert shown[start + 1] == "  old.bin"
    assert "\x1b" not in shown[start + 2]
    assert not any("remove" in line for line in plan_lines(plan()))


def test_problems_of_a_plan_are_named() -> None:
    problems = (
        Problem("con.txt", "unsafe", "cannot be a name here"),
        Problem(None, "storage", "too little space"),
        Problem("x", "unsafe", "x: collides with X"),
    )
    assert plan_lines(plan(problems=problems))[-3:] == [
        "problem (unsafe): con.txt: cannot be a name here",
        "problem (storage): too little space",
        "problem (unsafe): x: collides with X",
    ]


def test_verify_names_what_is_wrong_and_sums_up() -> None:
    good, other = Digest("sha256", "0" * 64), Digest("sha256", "f" * 64)
    files = (
        VerifiedFile("ok.bin", 1, "ok", good, good),
        VerifiedFile(HOSTILE, 1, "bad", good, other),
        VerifiedFile("short.bin", 1234, "bad", good, None),
        VerifiedFile("gone.bin", 1, "missing", good, None),
        VerifiedFile("healed.bin", 1, "repaired", good, other),
    )
    report = VerifyReport(
        "org/model", "model", "c" * 40, Path("/x"), files, bytes_checked=1000, duration_seconds=2.0
    )
    assert verify_lines(report) == [
        "bad: a\\x1b[2J\\nb (sha256 ffffffffffff... instead of 000000000000...)",
        "bad: short.bin (its size is not the 1,234 bytes expected)",
        "missing: gone.bin",
        "repaired: healed.bin",
        "org/model: 1 ok, 1 repaired, 2 bad, 1 missing (5 files, 1.00 kB read in 2.0 s)",
    ]


def test_status_shows_complete_resumable_and_in_progress() -> None:
    folder = {
        "path": "/x/model",
        "repo_id": "org/model",
        "repo_type": "model",
        "revision": "main",
        "commit": "c" * 40,
        "complete": {"files": 3, "bytes": 1000},
        "unfinished": [{"path": HOSTILE, "size_bytes": 1000, "have_bytes": 250}],
        "holder": {"pid": 42, "host": "here", "since": "2026-01-01T00:00:00Z"},
    }
    assert status_lines({"schema": 1, "folders": [folder]}, "downloads") == [
        "/x/model",
        "  model org/model@main (cccccccccc)",
        "  complete: 3 files, 1.00 kB",
        "  resumable: a\\x1b[2J\\nb: 25 %, 0.25 of 1.00 kB",
        "  in progress: process 42 on here, since 2026-01-01T00:00:00Z",
    ]
    unknown = {**folder, "repo_id": None, "revision": None, "commit": None}
    assert "unknown repo" in status_lines({"folders": [unknown]}, "downloads")[1]
    assert status_lines({"folders": []}, "downloads") == ["nothing of hfdl's under downloads"]
