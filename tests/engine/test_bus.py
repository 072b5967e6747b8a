from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import anyio
import pytest

from hfdl_async.core.events import Event, FileStarted, Finished, Progress, SegmentRetried
from hfdl_async.core.model import RepoRef, Report
from hfdl_async.engine.bus import PASSING_KEPT, Bus
from tests.engine.rig import Rig

pytestmark = pytest.mark.anyio

FINISHED = Finished(9.0, Report(RepoRef("org/model"), "ok", 0))


def started(path: str) -> FileStarted:
    return FileStarted(1.0, path, 1)


def progress(done: int) -> Progress:
    return Progress(1.0, done, 100, 1.0, None, 1, 1)


async def read(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


async def test_a_listener_hears_everything_at_once() -> None:
    bus = Bus()
    heard: list[Event] = []
    bus.listen(heard.append)
    bus.tell(started("a"))
    bus.tell(progress(1))
    assert heard == [started("a"), progress(1)]


async def test_a_late_reader_gets_every_fact_from_the_first() -> None:
    bus = Bus()
    for event in (started("a"), progress(1), started("b"), FINISHED):
        bus.tell(event)
    assert await read(bus.read()) == [started("a"), started("b"), FINISHED]


async def test_a_late_reader_gets_every_outcome_but_only_the_last_retries() -> None:
    bus = Bus()
    retries: list[Event] = [
        SegmentRetried(1.0, "a", 0, 1, "lost", float(number)) for number in range(PASSING_KEPT + 5)
    ]
    bus.tell(started("a"))
    for event in retries[:10]:
        bus.tell(event)
    bus.tell(started("b"))
    for event in (*retries[10:], FINISHED):
        bus.tell(event)
    kept = retries[5:]
    assert await read(bus.read()) == [
        started("a"),
        *kept[:5],
        started("b"),
        *kept[5:],
        FINISHED,
    ]


async def test_several_readers_get_the_same_facts() -> None:
    bus = Bus()
    heard: list[list[Event]] = []

    async def listen() -> None:
        heard.append(await read(bus.read()))

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        bus.tell(started("a"))
        bus.tell(FINISHED)
    assert heard == [[started("a"), FINISHED]] * 3


async def test_a_slow_reader_loses_progress_and_nothing_else() -> None:
    bus = Bus()
    events = bus.read()
    bus.tell(started("a"))
    assert await anext(events) == started("a")
    for done in range(50):
        bus.tell(progress(done))
    bus.tell(started("b"))
    for done in range(50, 99):
        bus.tell(progress(done))
    bus.tell(FINISHED)
    assert await read(events) == [progress(49), started("b"), progress(98), FINISHED]


async def test_a_reader_that_leaves_early_disturbs_nobody() -> None:
    bus = Bus()
    leaving, staying = bus.read(), bus.read()
    bus.tell(started("a"))
    await anext(leaving)
    await anext(staying)
    await leaving.aclose()  # type: ignore[attr-defined]
    bus.tell(FINISHED)
    assert await read(staying) == [FINISHED]


async def test_what_a_callback_raises_is_reported_once_and_goes_no_further(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = Bus()
    heard: list[Event] = []

    def broken(event: Event) -> None:
        raise LookupError("their bug")

    bus.listen(broken)
    bus.listen(heard.append)
    with caplog.at_level(logging.ERROR, "hfdl_async.engine"):
        bus.tell(started("a"))
        bus.tell(started("b"))
    assert heard == [started("a"), started("b")]
    [record] = caplog.records
    assert "their bug" in str(record.exc_info)
    bus.unlisten(broken)


async def test_a_callback_that_is_a_coroutine_function_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = Bus()

    async def wrong(event: Event) -> None:
        raise AssertionError

    bus.listen(wrong)
    bus.tell(started("a"))
    bus.tell(started("b"))
    [record] = caplog.records
    assert "plain function" in record.message


async def test_a_callback_may_stop_listening_from_inside() -> None:
    bus = Bus()
    heard: list[Event] = []

    def once(event: Event) -> None:
        heard.append(event)
        bus.unlisten(once)
        raise LookupError

    bus.listen(once)
    bus.tell(started("a"))
    bus.tell(started("b"))
    assert heard == [started("a")]


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), KeyboardInterrupt(), SystemExit(3), GeneratorExit()]
)
async def test_what_shall_end_more_than_a_callback_goes_to_who_can_end_it(
    error: BaseException,
) -> None:
    stopped: list[BaseException] = []
    heard: list[Event] = []

    def ending(event: Event) -> None:
        raise error

    bus = Bus(stopped.append)
    bus.listen(ending)
    bus.listen(heard.append)
    bus.tell(started("a"))
    bus.tell(started("b"))
    assert stopped == [error]
    assert heard == [started("a"), started("b")]


@pytest.mark.parametrize("error", [ValueError("x"), StopIteration(), MemoryError()])
async def test_a_broken_callback_does_not_hurt_the_download(error: Exception) -> None:
    rig = Rig({"a": b"aaaa", "b": b"bbbb"})

    def broken(event: Event) -> None:
        raise error

    rig.bus.listen(broken)
    await rig.run()
    assert rig.statuses() == {"a": "downloaded", "b": "downloaded"}
