from __future__ import annotations

import random
from itertools import pairwise

import pytest

from hfdl_async.core.model import MIB, Action, ByteRange, Chunk, PlannedFile
from hfdl_async.engine.batch import WRITE_BATCH_BYTES, Batch, batch_bytes
from hfdl_async.engine.ports import Part
from hfdl_async.testing.fakes import MemoryPart, MemorySink, remote_file

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(100))


@pytest.mark.parametrize("memory_bytes", [MIB, 32 * MIB])
@pytest.mark.parametrize("connections", [1, 8, 16, 64, 256])
def test_batches_of_all_connections_together_take_half_of_the_memory(
    memory_bytes: int, connections: int
) -> None:
    size = batch_bytes(memory_bytes, connections)
    assert size * connections <= memory_bytes // 2
    assert size == WRITE_BATCH_BYTES or (size + 1) * connections > memory_bytes // 2


async def opened(sink: MemorySink) -> Part:
    return await sink.open(PlannedFile(remote_file("f", CONTENT), Action.FETCH))


def chunk(start: int, stop: int, given_back: list[int]) -> Chunk:
    return Chunk(start, CONTENT[start:stop], lambda: given_back.append(start))


def writes(sink: MemorySink) -> list[str]:
    return [line.split()[2] for line in sink.log if line.startswith("write")]


async def test_chunks_that_follow_each_other_are_one_write() -> None:
    sink, given_back = MemorySink(), list[int]()
    batch = Batch(await opened(sink))
    assert batch.add(chunk(0, 10, given_back)) is None
    assert batch.add(chunk(10, 30, given_back)) is None
    full = batch.add(chunk(50, 60, given_back))
    assert full is not None
    assert (full.size, batch.size) == (30, 10)
    await full.write()
    assert writes(sink) == ["0..30"]
    assert given_back == [0, 10]


async def test_what_the_part_has_is_left_out() -> None:
    sink, given_back = MemorySink(), list[int]()
    part = await opened(sink)
    for start, stop in [(0, 5), (12, 14), (25, 40)]:
        await part.write(start, [CONTENT[start:stop]])
    batch = Batch(part)
    for start, stop in [(0, 10), (10, 20), (20, 30)]:
        batch.add(chunk(start, stop, given_back))
    await batch.write_missing()
    assert writes(sink)[3:] == ["5..12", "14..25"]
    assert part.ledger.spans == (ByteRange(0, 40),)
    assert given_back == [0, 10, 20]


async def test_nothing_is_written_where_nothing_is_missing() -> None:
    sink, given_back = MemorySink(), list[int]()
    part = await opened(sink)
    await part.write(0, [CONTENT])
    batch = Batch(part)
    batch.add(chunk(10, 20, given_back))
    await batch.write_missing()
    assert writes(sink) == ["0..100"]
    assert given_back == [10]


async def test_what_is_dropped_is_given_back() -> None:
    given_back: list[int] = []
    batch = Batch(await opened(MemorySink()))
    batch.add(chunk(0, 10, given_back))
    batch.drop()
    batch.drop()
    assert given_back == [0]


@pytest.mark.parametrize("seed", range(30))
async def test_whatever_is_there_every_missing_byte_is_written_once(seed: int) -> None:
    dice, sink = random.Random(seed), MemorySink()
    part = await opened(sink)
    assert isinstance(part, MemoryPart)
    for _ in range(dice.randrange(6)):
        start, stop = sorted(dice.sample(range(101), 2))
        if gap := part.ledger.first_missing_in(ByteRange(start, stop)):
            await part.write(gap.start, [CONTENT[gap.start : gap.stop]])
    held, before = part.ledger.covered, len(writes(sink))
    batch, cuts = Batch(part), [0, *sorted(dice.sample(range(1, 100), 4)), 100]
    for start, stop in pairwise(cuts):
        batch.add(chunk(start, stop, []))
    await batch.write_missing()
    spans = [row.split("..") for row in writes(sink)[before:]]
    assert sum(int(stop) - int(start) for start, stop in spans) == 100 - held
    assert part.data == CONTENT
