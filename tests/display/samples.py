"""Values that the tests of the displays draw."""

from __future__ import annotations

from pathlib import Path

from hfdl_async.core.model import ByteCounts, FileReport, RepoRef, Report, RequestCounts, RunStatus
from hfdl_async.core.progress import ActiveFile, Phase, Snapshot

HOSTILE = "a\x1b]0;pwned\x07\n\u202e[red]b"
RAW = ("\x1b", "\x07", "\n", "\u202e")


def snapshot(
    phase: Phase = "downloading", *, note: str = "", active: int = 3, elapsed_seconds: float = 12.3
) -> Snapshot:
    files = tuple(
        ActiveFile(
            f"model-{number:05}-of-00005.safetensors",
            4_000_000_000,
            number * 700_000_000,
            number * 500_000_000,
            4,
        )
        for number in range(1, active + 1)
    )
    return Snapshot(
        phase, note, 17, 11, 0, 17, 10_100_000_000, 16_400_000_000, 9_000_000_000, 118e6, 53.0,
        8, 8, elapsed_seconds, files,
    )  # fmt: skip


def report(
    status: RunStatus = "ok",
    *,
    files: tuple[FileReport, ...] | None = None,
    reused: int = 0,
    size_bytes: int = 600_000_000,
) -> Report:
    if files is None:
        files = (FileReport("a.bin", 600_000_000, "downloaded", None),)
    return Report(
        RepoRef("org/model"),
        status,
        0 if status == "ok" else 5,
        "c" * 40,
        Path("/x/model"),
        files,
        ByteCounts(size_bytes, 600_000_000 - reused, reused, 100_000_000),
        RequestCounts(2, 1, 10, 1),
        6.0,
        8,
        ("a warning",),
    )
