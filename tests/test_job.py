from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

import anyio
import pytest

from hfdl_async.core.events import Event, FileStarted
from hfdl_async.core.model import RepoRef, Report
from hfdl_async.errors import NetworkError
from hfdl_async.job import Job, Work, only_error, until_cancelled

if sys.version_info < (3, 11):
    from exceptiongroup import ExceptionGroup

pytestmark = pytest.mark.anyio


class Clock:
    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


def report(error: BaseException | None) -> Report:
    return Report(RepoRef("a/b"), "ok" if error is None else "failed", 0)


def ended(error: BaseException | None = None) -> Work:
    work = Work(Clock())
    work.completed = error is None
    work.error = error
    work.conclude(report)
    work.done.set()
    return work


async def test_wait_returns_the_report_or_raises_what_ended_the_run() -> None:
    assert (await Job(ended()).wait()).status == "ok"
    failed = Job(ended(NetworkError("gone")))
    with pytest.raises(NetworkError) as caught:
        await failed.wait()
    assert caught.value.report is failed.report


async def test_a_run_that_did_not_complete_counts_as_cancelled() -> None:
    work = Work(Clock())
    work.conclude(report)
    work.done.set()
    with pytest.raises(asyncio.CancelledError):
        await Job(work).wait()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), asyncio.CancelledError()])
async def test_a_callback_that_ends_the_work_ends_it_for_who_waits_and_nobody_else(
    error: BaseException,
) -> None:
    work, other = Work(Clock()), Work(Clock())

    def ending(event: Event) -> None:
        raise error

    job = Job(work, ending)
    with work.scope:
        work.bus.tell(FileStarted(0.0, "a", 1))
        await anyio.sleep_forever()
    work.conclude(report)
    work.done.set()
    with pytest.raises(type(error)):
        await job.wait()
    assert not other.scope.cancel_called


async def test_what_is_raised_while_catching_reaches_who_waits() -> None:
    work, bug = Work(Clock()), ZeroDivisionError()
    with work.catching():
        raise bug
    with work.catching():
        raise LookupError  # the first one says more
    work.done.set()
    with pytest.raises(ZeroDivisionError):
        await Job(work).wait()


async def test_the_run_stops_only_when_the_last_holder_lets_go() -> None:
    work = Work(Clock())
    first, second = Job(work), Job(work)

    async def run() -> None:
        with work.scope:
            await anyio.sleep_forever()
        work.conclude(report)
        work.done.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        await first.cancel()
        await first.cancel()
        assert not work.scope.cancel_called
        await second.cancel()
        assert work.done.is_set()


async def test_a_cut_wait_lets_go_first() -> None:
    work = Work(Clock())
    job = Job(work)

    async def run() -> None:
        with work.scope:
            await anyio.sleep_forever()
        work.done.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        await anyio.wait_all_tasks_blocked()
        with anyio.move_on_after(0.01):
            await until_cancelled(job)
        assert work.done.is_set()


def test_groups_of_one_are_taken_apart() -> None:
    inner = NetworkError("x")
    nested: Any = ExceptionGroup("a", [ExceptionGroup("b", [inner])])
    assert only_error(nested) is inner
    assert only_error(inner) is inner
