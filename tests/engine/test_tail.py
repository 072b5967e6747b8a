from __future__ import annotations

import random
from itertools import pairwise

import pytest

from hfdl_async.core.controller import FixedController
from hfdl_async.core.events import ConnectionReplaced, SegmentRetried
from hfdl_async.core.ledger import CELL_BYTES
from hfdl_async.core.model import KIB, MIB, ByteRange
from hfdl_async.errors import LostConnectionError, RateLimitedError
from hfdl_async.testing.fakes import (
    ManualClock,
    MemorySink,
    MemorySource,
    Turn,
    broken,
    refused,
    slow,
    stalled,
)
from tests.engine.rig import Rig

pytestmark = pytest.mark.anyio

CHUNK_BYTES = 16 * KIB
CHUNK_SECONDS = 1 / 8  # 128 KiB/s


def rig_of(*sizes: int, connections: int | None = None, sink: MemorySink | None = None) -> Rig:
    """Return a download of files `f00`, `f01`, … of these sizes, each on its own connection."""
    clock, dice = ManualClock(), random.Random(1)
    source = MemorySource({}, chunk_bytes=CHUNK_BYTES, clock=clock, chunk_seconds=CHUNK_SECONDS)
    contents = {f"f{number:02}": dice.randbytes(size) for number, size in enumerate(sizes)}
    return Rig(
        contents,
        source=source,
        sink=sink or MemorySink(one_writer_a_cell=True),
        clock=clock,
        controller=FixedController(connections or len(sizes)),
        threshold_bytes=64 * MIB,
    )


def seconds_of(rig: Rig) -> float:
    return rig.clock.monotonic() - 1000


def written(rig: Rig, path: str) -> list[ByteRange]:
    """Return what was written of one file, by place."""
    rows = [line.split() for line in rig.sink.log if line.startswith(f"write {path} ")]
    spans = [row[2].split("..") for row in rows]
    return sorted(ByteRange(int(start), int(stop)) for start, stop in spans)


def check_written_once(rig: Rig) -> None:
    for path, content in rig.contents.items():
        spans = written(rig, path)
        assert all(left.stop == right.start for left, right in pairwise(spans))
        assert (spans[0].start, spans[-1].stop) == (0, len(content))


async def test_idle_connections_take_over_the_end_of_the_slowest() -> None:
    rig = rig_of(*[4 * MIB] * 4)
    rig.source.script("f03", slow(5 * CHUNK_SECONDS))  # alone it would take 160 s
    await rig.run()
    assert seconds_of(rig) < 70
    first, taken, *_ = rig.source.spans("f03")
    assert first == ByteRange(0, 4 * MIB)
    assert taken.stop == 4 * MIB
    assert len(taken) >= 2 * MIB
    check_written_once(rig)


async def test_what_is_taken_over_is_fetched_once() -> None:
    rig = rig_of(*[4 * MIB] * 4)
    rig.source.script("f03", slow(5 * CHUNK_SECONDS))
    await rig.run()
    assert rig.tally.bytes_from_wire <= 1.02 * 16 * MIB + 4 * CHUNK_BYTES
    assert rig.told(SegmentRetried) == []


async def test_connections_as_fast_as_each_other_are_left_alone() -> None:
    rig = rig_of(*[2 * MIB] * 4)
    await rig.run()
    assert len(rig.source.asked) == 4


async def test_nothing_is_taken_over_while_there_is_something_to_begin() -> None:
    rig = rig_of(*[2 * MIB] * 12, connections=3)
    rig.source.script("f00", slow(3 * CHUNK_SECONDS))
    await rig.run()
    begun = [asked.path for asked in rig.source.asked]
    assert begun.index("f11") < len(begun) - 1 - begun[::-1].index("f00") or begun.count("f00") == 1
    check_written_once(rig)


async def test_a_border_between_two_cells_is_preferred() -> None:
    rig = rig_of(2 * MIB, 2 * MIB, 2 * MIB, 20 * MIB)
    await rig.run()
    borders = {span.start for span in rig.source.spans("f03")} - {0}
    assert borders & {CELL_BYTES, 2 * CELL_BYTES}
    check_written_once(rig)


async def test_a_file_in_one_stream_is_never_split() -> None:
    rig = rig_of(*[4 * MIB] * 4)
    rig.source.ignores_ranges = {"f03"}
    rig.source.script("f03", Turn(), slow(5 * CHUNK_SECONDS))
    await rig.run()
    assert [asked.whole for asked in rig.source.asked if asked.path == "f03"] == [False, True]


LAST = "f31"
STALLS_AT = MIB - 256 * KIB


def with_a_stall(*, connections: int = 16, sink: MemorySink | None = None) -> Rig:
    """Return a download whose last connection but a few stalls near the end of its file."""
    rig = rig_of(*[MIB] * 32, connections=connections, sink=sink)
    rig.source.script(LAST, stalled(STALLS_AT))
    return rig


async def test_a_small_rest_that_is_stuck_is_fetched_a_second_time() -> None:
    rig = with_a_stall(sink=MemorySink(one_writer_a_cell=True))
    await rig.run()
    assert rig.source.spans(LAST) == [ByteRange(0, MIB), ByteRange(STALLS_AT, MIB)]
    [fact] = rig.told(ConnectionReplaced)
    assert fact.reason == "another connection had the rest first"
    assert rig.told(SegmentRetried) == []
    assert seconds_of(rig) < 16 + 15  # sooner than silence would have told
    check_written_once(rig)


async def test_two_broken_connections_at_the_end_do_not_speak_for_each_other() -> None:
    rig = rig_of(*[MIB] * 30, 5 * MIB, MIB, connections=16)
    rig.source.script("f30", slow(20 * CHUNK_SECONDS))
    rig.source.script(LAST, stalled(STALLS_AT))
    await rig.run()
    assert rig.source.spans(LAST) == [ByteRange(0, MIB), ByteRange(STALLS_AT, MIB)]
    assert not [fact for fact in rig.told(ConnectionReplaced) if "no byte" in fact.reason]
    assert len(rig.source.spans("f30")) > 1


async def test_not_soon_after_a_server_asked_for_patience() -> None:
    rig = with_a_stall()
    rig.source.script("f16", refused(RateLimitedError("HTTP 429", retry_after_seconds=1.0)))
    await rig.run()
    [fact] = rig.told(ConnectionReplaced)
    assert "no byte for" in fact.reason


async def test_not_beyond_two_percent_of_the_download() -> None:
    rig = rig_of(*[MIB] * 4)
    rig.source.script("f03", stalled(STALLS_AT))
    await rig.run()
    [fact] = rig.told(ConnectionReplaced)
    assert "no byte for" in fact.reason


async def test_a_duplicate_that_fails_costs_nothing() -> None:
    rig = with_a_stall()
    rig.source.script(LAST, refused(LostConnectionError("the connection was reset")))
    await rig.run()
    assert rig.statuses()[LAST] == "downloaded"
    assert [fact.reason for fact in rig.told(SegmentRetried)] != []
    check_written_once(rig)


async def test_the_first_to_have_the_rest_ends_the_other() -> None:
    rig = with_a_stall()
    rig.source.script(LAST, stalled(8 * KIB))  # the duplicate, too
    await rig.run()
    assert rig.statuses()[LAST] == "downloaded"
    assert len(rig.source.spans(LAST)) == 3
    check_written_once(rig)


@pytest.mark.parametrize("seed", range(25))
async def test_whatever_is_split_or_fetched_twice_every_byte_is_written_once(seed: int) -> None:
    dice = random.Random(seed)
    sizes = [dice.randrange(1, 5 * MIB) for _ in range(dice.randrange(1, 5))] + [MIB // 8] * 40
    rig = rig_of(*sizes, connections=dice.randrange(2, 10))
    for path in rig.contents:
        rig.source.script(path, *(_turn(dice) for _ in range(dice.randrange(4))))
    write_seconds = dice.choice([0.0, 0.4])
    step = rig.sink.step

    async def as_slow_as_a_disk(operation: str, path: str) -> None:
        await step(operation, path)
        if operation == "write" and write_seconds:
            await rig.clock.sleep(write_seconds)

    rig.sink.step = as_slow_as_a_disk  # type: ignore[method-assign]
    await rig.run()
    assert set(rig.statuses().values()) == {"downloaded"}
    check_written_once(rig)


def _turn(dice: random.Random) -> Turn:
    serve = dice.choice([None, dice.randrange(4 * MIB)])
    return dice.choice(
        [
            Turn(),
            slow(CHUNK_SECONDS * dice.choice([2, 5, 20, 60])),
            stalled(serve or 0),
            broken(serve or 0),
            Turn(serve, chunk_seconds=CHUNK_SECONDS * dice.choice([1, 4])),
        ]
    )
