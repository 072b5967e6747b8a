"""`hfdl demo`: the whole thing on this machine alone, each act checked by itself."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
from rich.box import SIMPLE_HEAD
from rich.table import Table

from hfdl_async import api
from hfdl_async.core.model import MB, Report
from hfdl_async.core.options import parse_size
from hfdl_async.core.verdict import VerifyReport
from hfdl_async.display import choose
from hfdl_async.display.screen import make_screen
from hfdl_async.display.summary import bytes_here
from hfdl_async.display.text import count, duration, rate, size
from hfdl_async.errors import HfdlError, StorageError, UsageError
from hfdl_async.serving.process import HubProcessError, serve_beside
from hfdl_async.ui import out
from hfdl_async.ui.interrupts import Interrupts, exit_code
from hfdl_async.ui.runs import unless_interrupted
from hfdl_async.ui.settings import Settings
from hfdl_async.ui.tables import verify_lines
from hfdl_async.ui.witness import Witness

REPO = "loopback/demo-model"
SIZE = "600MB"
TITLE = "every act did what it says"
SIZE_LEAST_BYTES = 10 * MB
SIZE_MOST_BYTES = 100_000 * MB
ROOM = 1.6  # times the size: a repair writes the largest file, up to half of all, beside the old
RATE_MOST = 150 * MB  # per second: a good line, and slow enough to watch
WATCHING_SECONDS = 4.0  # small repos are served slower, so that there is a half-way
LOOK_SECONDS = 0.01


class DemoError(HfdlError):
    """An act did not do what it says."""


@dataclass(frozen=True, slots=True)
class Act:
    """What one act achieved: a row of the table at the end."""

    title: str
    seconds: float
    bytes_downloaded: int = 0
    bytes_kept: int = 0
    rate_bytes_per_second: float | None = None
    requests: int = 0
    result: str = ""


@dataclass(slots=True)
class Stage:
    """Where the demo plays: a folder, and a hub on loopback."""

    folder: Path
    progress: bool
    quiet: bool = False
    endpoint: str = ""
    acts: list[Act] = field(default_factory=list)

    @property
    def target(self) -> Path:
        """The folder that the repo gets."""
        return self.folder / "demo-model"

    def say(self, text: str) -> None:
        """Tell what is going on, unless only the table is wanted."""
        if not self.quiet:
            out.say(text)

    def display(self) -> Witness:
        """Return a fresh display for one act."""
        return Witness(choose(True) if self.progress else None)


async def demo(settings: Settings, interrupts: Interrupts) -> int:
    """Play all acts and print the table; 1 when an act did not do what it says."""
    wanted = parse_demo_size(str(settings.extra.get("size", SIZE)))
    seed = str(settings.extra.get("seed", "1"))
    if not seed.isdigit():
        raise UsageError(f"--seed: {seed!r} is not a whole number")
    check_room(wanted, Path(tempfile.gettempdir()))
    folder = Path(tempfile.mkdtemp(prefix="hfdl-demo-"))
    keep = bool(settings.extra.get("keep"))

    def leave() -> str:
        if not keep:
            _remove(folder)
        return "stopped; the temporary folder " + (f"is kept: {folder}" if keep else "is gone")

    interrupts.leave = leave
    try:
        finished = await unless_interrupted(
            lambda: play(folder, wanted, seed, settings), interrupts
        )
    except HubProcessError as error:
        raise DemoError(str(error), hint="its own words are above") from error
    finally:
        if keep:
            out.say(f"kept: {folder}")
        else:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_remove, folder)
    if interrupts.signum is not None and not finished:
        out.say(leave())
        return exit_code(interrupts.signum)
    return 0


async def play(folder: Path, wanted: int, seed: str, settings: Settings) -> bool:
    """Play all acts in *folder*, with a repo of *wanted* bytes, and print the table."""
    limit = int(min(RATE_MOST, wanted / WATCHING_SECONDS))
    told = f"making a repo of {size(wanted)} and serving it at {rate(limit)} ..."
    stage = Stage(folder, settings.progress, settings.quiet)
    stage.say(told)
    arguments = ["--generate", REPO, "--size", str(wanted), "--seed", seed, "--rate", str(limit)]
    async with serve_beside(arguments) as served:
        stage.say(f"the hub is at {served.endpoint}, process {served.pid}")
        stage.endpoint = served.endpoint
        for number, act in enumerate(ACTS, start=1):
            stage.say(f"\nact {number} of {len(ACTS)}: {act.__doc__ or ''}".rstrip("."))
            stage.acts.append(await act(stage))
    show_table(stage.acts)
    return True


def parse_demo_size(text: str) -> int:
    """Return the bytes of `600MB`; a bare number counts MB.

    Raises:
        UsageError: not a size, too small to be interrupted half-way, or absurdly large.
    """
    try:
        wanted = parse_size(text, bare_unit=MB)
    except ValueError as error:
        raise UsageError(f"--size: {error}") from error
    if wanted < SIZE_LEAST_BYTES:
        raise UsageError(f"--size: {text} is less than {size(SIZE_LEAST_BYTES)}")
    if wanted > SIZE_MOST_BYTES:
        raise UsageError(f"--size: {text} is more than {size(SIZE_MOST_BYTES)}")
    return wanted


def check_room(wanted: int, temporary: Path) -> None:
    """Refuse to fill the disk.

    Raises:
        StorageError: *temporary* has no room for a repo of *wanted* bytes.
    """
    needed = int(wanted * ROOM)
    free = shutil.disk_usage(temporary).free
    if needed > free:
        raise StorageError(
            f"{temporary}: the demo needs {size(needed)} and {size(free)} are free",
            hint="pass a smaller --size, or set TMPDIR to a folder with more room",
        )


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _downloader(stage: Stage) -> api.Downloader:
    return api.Downloader(endpoint=stage.endpoint, directory=stage.folder, token=False)


async def act_interrupt(stage: Stage) -> Act:
    """Download, and interrupt it half-way."""
    async with (
        _downloader(stage) as downloader,
        downloader.start(REPO, display=stage.display()) as job,
    ):

        async def until_half() -> None:
            while True:
                seen = job.snapshot()
                if seen.bytes_total and seen.bytes_done * 2 >= seen.bytes_total:
                    return
                if job.report is not None:
                    return
                await anyio.sleep(LOOK_SECONDS)

        await until_half()
        await job.cancel()
        report = job.report
    status = report.status if report else "no report"
    _expect("interrupt", "the status", "interrupted", status)
    assert report is not None
    _expect_true("interrupt", "bytes are here, and bytes are missing",
                 0 < bytes_here(report) < report.bytes.selected)  # fmt: skip
    return _row("interrupt", report, result=f"{size(bytes_here(report))} saved")


async def act_resume(stage: Stage) -> Act:
    """Run the same command again: it continues from the last proven byte."""
    report = await _download(stage)
    _expect("resume", "the status", "ok", report.status)
    kept = report.bytes.resumed + report.bytes.reused
    _expect_true("resume", "what arrived before was not fetched again",
                 kept > 0 and report.bytes.downloaded < report.bytes.selected * 3 // 4)  # fmt: skip
    return _row("resume", report, result=f"{count(len(report.files), 'file')} proven")


async def act_again(stage: Stage) -> Act:
    """Run it once more: everything is here, nothing is fetched."""
    report = await _download(stage)
    _expect("again", "bytes fetched", 0, report.bytes.downloaded)
    return _row("again", report, result="nothing to do")


async def act_verify(stage: Stage) -> Act:
    """Verify: read every file again and compare its digest."""
    report = await _verify(stage, stage.display())
    _expect("verify", "the status", "ok", report.status)
    return _checked("verify", report, result=f"{count(len(report.files), 'file')} ok")


async def act_damage(stage: Stage) -> Act:
    """Flip one bit in a finished file, as a tired disk would, and verify."""
    victim = await anyio.to_thread.run_sync(flip_a_bit, stage.target)
    report = await _verify(stage, stage.display())
    bad = [file.path for file in report.files if file.status != "ok"]
    _expect("damage", "the bad files", [victim], bad)
    return _checked("damage", report, result="found")


async def act_repair(stage: Stage) -> Act:
    """Heal it: verify --repair."""
    display = stage.display()
    report = await _verify(stage, display, repair=True)
    healed = [file.path for file in report.files if file.status == "repaired"]
    _expect("repair", "the status", "ok", report.status)
    _expect("repair", "the number of repaired files", 1, len(healed))
    again = await _verify(stage, Witness(None))
    _expect("repair", "the status afterwards", "ok", again.status)
    assert display.report is not None
    row = _row("repair", display.report, result="healed")
    # Most of its time went into reading: a rate would say nothing.
    return replace(row, seconds=report.duration_seconds, rate_bytes_per_second=None)


ACTS: tuple[Callable[[Stage], Awaitable[Act]], ...] = (
    act_interrupt,
    act_resume,
    act_again,
    act_verify,
    act_damage,
    act_repair,
)


def flip_a_bit(folder: Path) -> str:
    """Flip a bit in the middle of the largest file and hide it: size and times stay the same."""
    files = [path for path in folder.iterdir() if path.is_file()]
    victim = max(files, key=lambda path: (path.stat().st_size, path.name))
    before = victim.stat()
    with victim.open("r+b") as file:
        file.seek(before.st_size // 2)
        byte = file.read(1)[0]
        file.seek(before.st_size // 2)
        file.write(bytes([byte ^ 1]))
    os.utime(victim, ns=(before.st_atime_ns, before.st_mtime_ns))
    return victim.name


async def _download(stage: Stage) -> Report:
    async with _downloader(stage) as downloader:
        return await downloader.download(REPO, display=stage.display())


async def _verify(stage: Stage, display: Witness, *, repair: bool = False) -> VerifyReport:
    async with _downloader(stage) as downloader:
        report = await downloader.verify(stage.target, repair=repair, display=display)
    stage.say("\n".join(verify_lines(report)))
    return report


def _row(title: str, report: Report, *, result: str) -> Act:
    requests = report.requests
    return Act(
        title,
        report.duration_seconds,
        rate_bytes_per_second=report.mean_rate_bytes_per_second or None,
        bytes_downloaded=report.bytes.downloaded,
        bytes_kept=report.bytes.resumed + report.bytes.reused,
        requests=requests.api + requests.resolve + requests.data,
        result=result,
    )


def _checked(title: str, report: VerifyReport, *, result: str) -> Act:
    seconds = report.duration_seconds
    speed = report.bytes_checked / seconds if seconds else None
    return Act(title, seconds, rate_bytes_per_second=speed, result=result)


def _expect(act: str, what: str, expected: object, seen: object) -> None:
    if expected != seen:
        raise DemoError(f"act {act!r}: {what}: expected {expected!r}, saw {seen!r}")


def _expect_true(act: str, what: str, seen: bool) -> None:
    if not seen:
        raise DemoError(f"act {act!r}: not true: {what}")


def show_table(acts: list[Act]) -> None:
    """Print what every act achieved, on standard output; no number is ever cut."""
    # Nothing at the sides and little between: all of it fits into 80 columns.
    table = Table(title=TITLE, title_justify="left", box=SIMPLE_HEAD, show_edge=False,
                  pad_edge=False, padding=(0, 1, 0, 0))  # fmt: skip
    table.add_column("act", no_wrap=True)
    for heading in ("time", "rate", "asked", "fetched", "kept"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("result")
    for act in acts:
        table.add_row(
            act.title,
            duration(act.seconds),
            rate(act.rate_bytes_per_second) if act.rate_bytes_per_second else "-",
            str(act.requests) if act.requests else "-",
            size(act.bytes_downloaded) if act.bytes_downloaded else "-",
            size(act.bytes_kept) if act.bytes_kept else "-",
            act.result,
        )
    console = make_screen()
    with out.results():
        console.print(table)
