from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import anyio
import pytest

from hfdl_async.core.controller import Controller, Decision, FixedController, Sample
from hfdl_async.core.events import ConnectionReplaced, SegmentRetried
from hfdl_async.core.model import KIB, MIB
from hfdl_async.engine.line import Cut, Flow
from hfdl_async.testing.fakes import ManualClock, MemorySource, Turn, slow, stalled
from tests.engine.rig import Rig

pytestmark = pytest.mark.anyio

CHUNK_BYTES = 8 * KIB
CHUNK_SECONDS = 1 / 16  # 128 KiB/s: a file takes 16 s
FAR_BEHIND = slow(50 * CHUNK_SECONDS)  # 2 % of that


class Watching:
    """A fixed number of connections, and everything that was measured."""

    def __init__(self, connections: int) -> None:
        self.seen: list[Sample] = []
        self._fixed = FixedController(connections)

    def start(self) -> Decision:
        return self._fixed.start()

    def observe(self, sample: Sample) -> Decision:
        self.seen.append(sample)
        return self._fixed.observe(sample)


def rig_of(
    turns: Mapping[str, Turn],
    *,
    files: int = 18,
    connections: int = 6,
    controller: Controller | None = None,
) -> Rig:
    """Return a download of files `f00`, `f01`, …; the first request of each goes as said."""
    clock = ManualClock()
    source = MemorySource({}, chunk_bytes=CHUNK_BYTES, clock=clock, chunk_seconds=CHUNK_SECONDS)
    contents = {f"f{number:02}": bytes([number]) * (2 * MIB) for number in range(files)}
    law = controller or FixedController(connections)
    rig = Rig(contents, source=source, clock=clock, controller=law)
    for path, turn in turns.items():
        source.script(path, turn)
    return rig


def replaced_after(rig: Rig) -> list[float]:
    """Return when connections were replaced, in seconds since the start."""
    return [fact.time - 1_700_001_000 for fact in rig.told(ConnectionReplaced)]


async def test_a_connection_far_below_its_peers_is_replaced() -> None:
    rig = rig_of({"f01": FAR_BEHIND})
    await rig.run()
    [seconds] = replaced_after(rig)
    assert 5 < seconds <= 15
    assert "far below the others" in rig.told(ConnectionReplaced)[0].reason
    assert rig.told(SegmentRetried) == []  # nothing has failed


async def test_the_rest_is_asked_for_at_once_over_a_connection_that_carried_nothing() -> None:
    rig = rig_of({"f01": FAR_BEHIND})
    await rig.run()
    assert [asked.path for asked in rig.source.asked if asked.fresh] == ["f01"]
    first, rest = rig.source.spans("f01")
    assert 0 < rest.start < 64 * KIB  # what it had brought is kept
    assert rest.stop == first.stop == 2 * MIB


async def test_a_stalled_one_among_others_need_not_be_silent_for_long() -> None:
    rig = rig_of({"f01": stalled(256 * KIB)})
    await rig.run()
    assert 5 < replaced_after(rig)[0] <= 2 + 15


async def test_when_all_are_slow_nobody_is_replaced() -> None:
    all_slow = dict.fromkeys((f"f{number:02}" for number in range(6)), slow(10 * CHUNK_SECONDS))
    rig = rig_of(all_slow, files=6)
    await rig.run()
    assert replaced_after(rig) == []


async def test_two_connections_are_no_peers() -> None:
    rig = rig_of({"f01": slow(30 * CHUNK_SECONDS)}, files=2, connections=2)
    await rig.run()
    assert not any(asked.fresh for asked in rig.source.asked)


async def test_replacements_are_rationed_where_many_are_slow() -> None:
    rig = rig_of({"f03": FAR_BEHIND, "f04": FAR_BEHIND, "f05": FAR_BEHIND}, files=30)
    await rig.run()
    times = replaced_after(rig)
    assert len(times) >= 2
    assert all(later - earlier >= 30 for earlier, later in pairwise(times))


async def test_a_replacement_is_no_failure_and_its_tick_says_nothing() -> None:
    law = Watching(6)
    rig = rig_of({"f01": FAR_BEHIND}, controller=law)
    await rig.run()
    assert sum(sample.failed for sample in law.seen) == 0
    [seconds] = replaced_after(rig)
    [then] = [one for one in law.seen if one.t - one.dt <= 1000 + seconds < one.t]
    assert then.starved


async def test_what_a_connection_too_many_had_left_is_taken_up_by_another() -> None:
    rig = rig_of({}, files=4, connections=2)
    began: list[Flow] = []
    begin = rig.line.begin

    def noting(scope: anyio.CancelScope, *, silence_seconds: float) -> Flow:
        began.append(begin(scope, silence_seconds=silence_seconds))
        return began[-1]

    rig.line.begin = noting  # type: ignore[method-assign]

    async def cut_one() -> None:
        await rig.clock.sleep(3.2)
        began[0].cut("fewer are wanted", Cut.SURPLUS)

    async with anyio.create_task_group() as group:
        group.start_soon(cut_one)
        await rig.run()
    assert set(rig.statuses().values()) == {"downloaded"}
    again = [path for path in rig.contents if len(rig.source.spans(path)) == 2]
    assert len(again) == 1
    assert 0 < rig.source.spans(again[0])[1].start <= 52 * CHUNK_BYTES
    assert rig.told(ConnectionReplaced) == []
    assert rig.told(SegmentRetried) == []
