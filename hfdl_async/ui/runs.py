"""The commands that do something, from settled options to an exit code."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import anyio

from hfdl_async import api
from hfdl_async.core.model import Plan, RepoRef, Report
from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.core.options import Options
from hfdl_async.display import Display, choose
from hfdl_async.display.summary import bytes_here, summary
from hfdl_async.display.text import clean
from hfdl_async.errors import HfdlError, NotFoundError
from hfdl_async.target import named_target
from hfdl_async.ui import out
from hfdl_async.ui.failure import error_lines, traceback_text
from hfdl_async.ui.hints import better_hint
from hfdl_async.ui.interrupts import Interrupts, exit_code
from hfdl_async.ui.settings import CACHES, Settings
from hfdl_async.ui.tables import plan_lines, status_lines, verify_lines
from hfdl_async.ui.witness import Witness

LOOK_SECONDS = 0.05  # how often a run looks whether a signal came
WARNINGS_SHOWN = 20
STATUS_OF = "downloads"
MIXED_EXIT_CODE = 10

T = TypeVar("T")


async def unless_interrupted(work: Callable[[], Awaitable[T]], interrupts: Interrupts) -> T | None:
    """Return what *work* returns; a signal cancels it and gives None.

    Raises:
        HfdlError: whatever *work* raises.
    """
    outcome: T | None = None
    failure: HfdlError | None = None

    async def watch() -> None:
        while interrupts.signum is None:  # noqa: ASYNC110 - a handler must not touch the loop
            await anyio.sleep(LOOK_SECONDS)
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        try:
            outcome = await work()
        except HfdlError as error:
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return outcome


async def download(
    repo: str, files: Sequence[str], settings: Settings, interrupts: Interrupts
) -> int:
    """Fetch, verify, publish; print the report or the path."""
    display = show(settings)
    error: HfdlError | None = None
    async with api.Downloader(**settings.options) as downloader:  # type: ignore[arg-type]
        job = downloader.start(repo, list(files) or None, display=display)
        try:
            await unless_interrupted(job.wait, interrupts)
        except HfdlError as failure:
            error = failure
        await job.cancel()
    report = (error.report if error else None) or job.report
    if interrupts.signum is not None and (report is None or report.status != "ok"):
        return _interrupted(repo, report, settings, interrupts, shown=display is not None)
    if report is not None and not settings.quiet and display is None:
        for line in summary(report):
            out.say(line.text)
    _warn(report.warnings if report else (), settings)
    if error is not None:
        return failed(error, report, repo, settings, files)
    assert report is not None, "a run without an error has a report"
    if settings.json:
        _print_json(report)
    else:
        out.result_path(_final_path(report, repo, files))
    return report.exit_code


def _print_json(report: Report) -> None:
    # Of a million files, only some have their JSON form at any time.
    out.result_json({**report.outline(), "files": report.file_dicts()})


def _final_path(report: Report, repo: str, files: Sequence[str]) -> str:
    """Return the file when exactly one was named, else the folder."""
    one = len(files) == 1 and not files[0].endswith("/")
    if not one and (files or not ("/blob/" in repo or "/resolve/" in repo)):
        return str(report.path)
    named = [file.path for file in report.files if file.status != "failed"]
    if one:
        named = [path for path in named if path == files[0]]
    return str(report[named[0]]) if len(named) == 1 else str(report.path)


async def plan(repo: str, files: Sequence[str], settings: Settings, interrupts: Interrupts) -> int:
    """Print what a download would do; the code says whether it could."""
    display = show(settings)
    async with api.Downloader(**settings.options) as downloader:  # type: ignore[arg-type]
        try:
            planned = await unless_interrupted(
                lambda: downloader.plan(repo, list(files) or None, display=display), interrupts
            )
        except HfdlError as error:
            return failed(error, error.report, repo, settings, files)
    if planned is None:
        return _interrupted(repo, None, settings, interrupts, shown=False)
    _warn(planned.warnings, settings)
    code = _code_of(planned)
    if settings.json:
        # Of a million files, only some have their JSON form at any time.
        out.result_json({**planned.outline(), "files": planned.file_dicts(), "exit_code": code})
    else:
        if not settings.quiet:
            out.result("\n".join(plan_lines(planned)))
        out.result_path(str(planned.path))
    return code


def _code_of(planned: Plan) -> int:
    codes = {_exit_codes().get(problem.kind, 1) for problem in planned.problems}
    if not codes:
        return 0
    return codes.pop() if len(codes) == 1 else MIXED_EXIT_CODE


def _exit_codes() -> dict[str, int]:
    return {kind.kind: kind.exit_code for kind in HfdlError.__subclasses__()}


async def verify(target: str, settings: Settings, interrupts: Interrupts) -> int:
    """Re-check a folder and print what is not right."""
    settings = for_target(target, settings)
    display = Witness(show(settings))
    async with api.Downloader(**settings.options) as downloader:  # type: ignore[arg-type]
        try:
            report = await unless_interrupted(
                lambda: downloader.verify(
                    target,
                    repair=bool(settings.extra.get("repair")),
                    offline=bool(settings.extra.get("offline")),
                    display=display,
                ),
                interrupts,
            )
        except HfdlError as error:
            return failed(error, error.report, target, replace(settings, json=False))
    if report is None:
        return _interrupted(target, None, replace(settings, json=False), interrupts, shown=True)
    repaired = display.report.warnings if display.report else ()
    _warn(list(dict.fromkeys((*report.warnings, *repaired))), settings)
    if settings.json:
        out.result_json(report.to_dict())
    else:
        if not settings.quiet:
            out.result("\n".join(verify_lines(report)))
        out.result_path(str(report.path))
    return report.exit_code


def for_target(target: str, settings: Settings) -> Settings:
    """Return *settings* to verify *target*: a folder of ours is one, whatever the environment says.

    Only who types `--cache` means a repo of that name for sure.
    """
    if not settings.cache_by_environment or not os.path.isdir(os.path.join(target, STATE_FOLDER)):
        return settings
    kept = {name: value for name, value in settings.options.items() if name not in CACHES}
    return replace(settings, options=kept)


def status(named: str | None, settings: Settings) -> int:
    """Print what is complete and what is resumable under a folder, which must exist when *named*.

    Raises:
        NotFoundError: it does not, or is no folder.
    """
    base = named or STATUS_OF
    if named and not os.path.isdir(named):
        what = "is no folder" if os.path.exists(named) else "does not exist"
        raise NotFoundError(
            f"{named} {what}", hint="name the folder of a download, or the one that holds them"
        )
    found = api.status(base).to_dict()
    if settings.json:
        out.result_json(found)
    else:
        out.result("\n".join(status_lines(found, base)))
    return 0


def show(settings: Settings) -> Display | None:
    """Return the display for this invocation; a debug log and moving bars do not mix."""
    if not settings.progress:
        return None
    return choose(True, plain=settings.verbose, connections=settings.show_connections)


def failed(
    error: HfdlError,
    report: Report | None,
    repo: str,
    settings: Settings,
    files: Sequence[str] = (),
) -> int:
    """Say what went wrong; with `--json` print the report, except for a mistake in the options."""
    if settings.verbose:
        out.say(traceback_text(error))
    error.hint = better_hint(error, report, repo, files)
    out.say("\n".join(error_lines(error, report)))
    if settings.json and error.kind != "usage":
        known = _known(report, repo, settings)
        _print_json(replace(known, exit_code=error.exit_code, error=error))
    return error.exit_code


def _interrupted(
    repo: str, report: Report | None, settings: Settings, interrupts: Interrupts, *, shown: bool
) -> int:
    assert interrupts.signum is not None
    code = exit_code(interrupts.signum)
    if report is not None and not shown and not settings.quiet:
        out.say("\n".join(line.text for line in summary(report)))
    out.say(interrupts.message(arrived=report is not None and bytes_here(report) > 0))
    if settings.json:
        known = _known(report, repo, settings)
        _print_json(replace(known, status="interrupted", exit_code=code))
    return code


def _known(report: Report | None, repo: str, settings: Settings) -> Report:
    """Return *report*, or one of a run that knows nothing yet but the words of the command."""
    if report is not None:
        return report
    try:
        named = named_target(repo, Options.parse(settings.options)).repo
    except HfdlError:
        named = RepoRef(repo)
    return Report(named, "failed", 1)


def _warn(warnings: Sequence[str], settings: Settings) -> None:
    if settings.quiet:
        return
    for warning in warnings[:WARNINGS_SHOWN]:
        out.say(f"warning: {clean(warning, 2000)}")
    if len(warnings) > WARNINGS_SHOWN:
        out.say(f"warning: and {len(warnings) - WARNINGS_SHOWN} more (all of them with --json)")
