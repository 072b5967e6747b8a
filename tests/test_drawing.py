from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence

import anyio
import pytest

from hfdl_async.core.events import Event, FileStarted, Progress
from hfdl_async.core.progress import Snapshot
from hfdl_async.drawing import Drawing
from hfdl_async.job import Work

pytestmark = pytest.mark.anyio


class Clock:
    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class RecordingDisplay:
    beat_seconds = 0.001

    def __init__(self, block: threading.Event | None = None) -> None:
        self.calls: list[str] = []
        self.facts: list[Event] = []
        self.threads: set[int] = set()
        self._block = block

    def open(self, title: str) -> None:
        self.calls.append(f"open {title}")

    def draw(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        self.calls.append("draw")
        self.facts += facts
        self.threads.add(threading.get_ident())
        if self._block is not None:
            self._block.wait(5)

    def close(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        self.calls.append("close")
        self.facts += facts


async def test_opens_draws_on_the_beat_and_closes_off_the_loop() -> None:
    display, work = RecordingDisplay(), Work(Clock())
    drawing = Drawing(display, work, "org/name")
    async with anyio.create_task_group() as group:
        group.start_soon(drawing.run)
        while display.calls.count("draw") < 3:
            await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    await drawing.close()
    assert display.calls[0] == "open org/name"
    assert display.calls[-1] == "close"
    assert threading.get_ident() not in display.threads


async def test_hands_over_each_fact_once_and_no_progress() -> None:
    display, work = RecordingDisplay(), Work(Clock())
    drawing = Drawing(display, work, "t")
    first, second = FileStarted(0.0, "a", 1), FileStarted(0.0, "b", 1)
    async with anyio.create_task_group() as group:
        work.bus.tell(first)
        group.start_soon(drawing.run)
        while not display.facts:
            await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    work.bus.tell(Progress(0.0, 1, 2, 1.0, None, 1, 1))
    work.bus.tell(second)
    await drawing.close()
    assert display.facts == [first, second]


@pytest.mark.parametrize("broken", ["open", "draw", "close"])
async def test_a_display_that_raises_is_reported_once_and_left_alone(
    broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    display, work = RecordingDisplay(), Work(Clock())

    def fail(*_: object) -> None:
        display.calls.append(broken)
        raise OSError("the terminal is gone")

    setattr(display, broken, fail)
    drawing = Drawing(display, work, "t")
    with caplog.at_level(logging.ERROR, "hfdl_async"):
        with anyio.move_on_after(0.05):
            await drawing.run()
        await drawing.close()
    assert display.calls.count(broken) == 1
    assert display.calls[-1] == broken
    [record] = caplog.records
    assert "the terminal is gone" in str(record.exc_info)


async def test_a_stuck_terminal_holds_nobody_up() -> None:
    block = threading.Event()
    display, work = RecordingDisplay(block), Work(Clock())
    drawing = Drawing(display, work, "t")
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(drawing.run)
            while "draw" not in display.calls:
                await anyio.sleep(0.001)
            group.cancel_scope.cancel()  # returns although draw has not
        assert display.calls == ["open t", "draw"]
    finally:
        block.set()
