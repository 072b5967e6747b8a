"""What every source and every sink must do, as checks to run on fakes and real ones alike.

Each check is an async function of a world: the thing under test and what a check must know of it.
`SOURCE_CHECKS` and `SINK_CHECKS` are meant for `pytest.mark.parametrize`; a check that fails raises
`AssertionError`. A new source or sink is done when it passes its list.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import anyio

from hfdl_async.core.ledger import Ledger
from hfdl_async.core.model import (
    Action,
    ByteRange,
    Chunk,
    Digest,
    PlannedFile,
    RemoteFile,
)
from hfdl_async.engine.ports import Part, Sink, Source
from hfdl_async.errors import IntegrityError, NotFoundError

SOON_SECONDS = 5.0  # whatever takes longer than this hangs

# -- sources ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class SourceWorld:
    """A source, and one of its files of at least 1000 bytes."""

    source: Source
    file: RemoteFile
    content: bytes

    async def read(self, span: ByteRange, *, whole: bool = False, fresh: bool = False) -> bytes:
        """Return what one request brings, put together by offset, every lease given back."""
        data, ledger = bytearray(len(self.content)), Ledger(len(self.content))
        opened = self.source.open(self.file, span, whole=whole, fresh=fresh)
        with anyio.fail_after(SOON_SECONDS):
            async with opened as chunks:
                async for chunk in chunks:
                    ledger = self.take(chunk, span, data, ledger)
        assert ledger.spans == ((span,) if span else ()), f"{span}: only {ledger.spans} came"
        return bytes(data[span.start : span.stop])

    def take(self, chunk: Chunk, span: ByteRange, data: bytearray, ledger: Ledger) -> Ledger:
        """Put one chunk in its place and release it."""
        assert chunk.data, "an empty chunk"
        assert span.start <= chunk.offset, f"{chunk.span} begins before {span}"
        assert chunk.span.stop <= span.stop, f"{chunk.span} ends behind {span}"
        grown = ledger.add(chunk.span)
        assert grown.covered == ledger.covered + len(chunk.data), f"{chunk.span} came twice"
        data[chunk.span.start : chunk.span.stop] = chunk.data
        chunk.release()
        return grown


async def brings_exactly_what_was_asked_for(world: SourceWorld) -> None:
    """Whole file, first byte, last byte, something in between."""
    size = len(world.content)
    cuts = [(0, size), (0, 1), (size - 1, size), (3, 500), (size // 2, size)]
    for start, stop in cuts:
        assert await world.read(ByteRange(start, stop)) == world.content[start:stop]


async def brings_the_whole_file_as_one_stream(world: SourceWorld) -> None:
    """The mode for servers that ignore ranges."""
    span = ByteRange(0, len(world.content))
    assert await world.read(span, whole=True) == world.content


async def brings_the_same_over_fresh_connections(world: SourceWorld) -> None:
    """The mode of a second round."""
    for _ in range(2):
        assert await world.read(ByteRange(10, 900), fresh=True) == world.content[10:900]


async def keeps_requests_apart_that_run_at_once(world: SourceWorld) -> None:
    """Several requests for one file bring each its own bytes."""
    found: dict[int, bytes] = {}

    async def read(start: int) -> None:
        found[start] = await world.read(ByteRange(start, start + 100))

    async with anyio.create_task_group() as group:
        for start in range(0, 800, 100):
            group.start_soon(read, start)
    assert found == {start: world.content[start : start + 100] for start in range(0, 800, 100)}


async def can_be_left_in_the_middle(world: SourceWorld) -> None:
    """Who leaves after the first chunk, or before it, can ask again."""
    span = ByteRange(0, len(world.content))
    with anyio.fail_after(SOON_SECONDS):
        async with world.source.open(world.file, span):
            pass
        async with world.source.open(world.file, span) as chunks:
            (await _first(chunks)).release()
    assert await world.read(span) == world.content


async def can_be_cancelled_in_the_middle(world: SourceWorld) -> None:
    """A cancelled request ends at once and leaves the source usable."""
    span = ByteRange(0, len(world.content))
    with anyio.fail_after(SOON_SECONDS):
        with anyio.CancelScope() as scope:
            async with world.source.open(world.file, span) as chunks:
                (await _first(chunks)).release()
                scope.cancel()
                await anyio.sleep_forever()
        assert scope.cancelled_caught
    assert await world.read(span) == world.content


async def _first(chunks: AsyncIterator[Chunk]) -> Chunk:
    async for chunk in chunks:
        return chunk
    raise AssertionError("no chunk came")


async def says_what_is_not_there(world: SourceWorld) -> None:
    """A file that the source does not have is a final error."""
    missing = RemoteFile("there/is/no.such", 10, None)
    message = ""
    try:
        async with world.source.open(missing, ByteRange(0, 10)) as chunks:
            await _first(chunks)
    except NotFoundError as error:
        message = error.message
    assert "no.such" in message, f"the error does not name the file: {message}"


async def counts_its_requests_and_knows_that_it_was_answered(world: SourceWorld) -> None:
    """The books for the report and for the first contact."""
    before = world.source.requests()
    await world.read(ByteRange(0, 10))
    after = world.source.requests()
    assert after.resolve + after.data > before.resolve + before.data
    assert after.retried == before.retried
    assert world.source.contacted
    assert world.source.describe_hold() == ""


SourceCheck = Callable[[SourceWorld], Awaitable[None]]

SOURCE_CHECKS: tuple[SourceCheck, ...] = (
    brings_exactly_what_was_asked_for,
    brings_the_whole_file_as_one_stream,
    brings_the_same_over_fresh_connections,
    keeps_requests_apart_that_run_at_once,
    can_be_left_in_the_middle,
    can_be_cancelled_in_the_middle,
    says_what_is_not_there,
    counts_its_requests_and_knows_that_it_was_answered,
)

# -- sinks -----------------------------------------------------------------------------------


def _content(size: int, seed: int) -> bytes:
    return hashlib.shake_256(seed.to_bytes(4, "big")).digest(size)


SINK_CONTENTS = {
    "empty": b"",
    "small.json": _content(300, 1),
    "folder/big.bin": _content(700_001, 2),
    "other.bin": _content(400_000, 3),
}
"""What the files of a sink's world will hold; a world prepares its place for them."""

BIG = "folder/big.bin"


def sink_file(path: str) -> RemoteFile:
    """Return one file of `SINK_CONTENTS` as a listing names it."""
    content = SINK_CONTENTS[path]
    return RemoteFile(path, len(content), Digest("sha256", hashlib.sha256(content).hexdigest()))


class SinkWorld(Protocol):
    """One place on a disk, real or not, and whoever comes to work there."""

    async def arrive(self) -> Sink:
        """Return a new sink over the place, as a new process would after the last was killed."""
        ...

    def published(self, path: str) -> bytes | None:
        """Return what is at a final name."""
        ...

    def damage(self, file: RemoteFile, offset: int) -> None:
        """Flip a bit of the unfinished part of *file*, behind everybody's back."""
        ...


async def _open(sink: Sink, path: str) -> Part:
    part = await sink.open(PlannedFile(sink_file(path), Action.FETCH))
    await part.prove()
    return part


async def _write(part: Part, span: ByteRange) -> None:
    content = SINK_CONTENTS[part.file.path]
    await part.write(span.start, [content[span.start : span.stop]])


async def _finish(part: Part) -> None:
    """Write what is missing, hash to the end, and check that the digest is right."""
    for gap in list(part.ledger.missing()):
        await _write(part, gap)
    await part.hash_to(part.file.size_bytes)
    assert part.hashed_bytes == part.file.size_bytes
    assert part.digest() == part.file.digest


async def _publish(world: SinkWorld, sink: Sink, *parts: Part) -> None:
    outcomes = await sink.publish(parts)
    assert outcomes == {part.file.path: None for part in parts}
    for part in parts:
        assert world.published(part.file.path) == SINK_CONTENTS[part.file.path]


async def a_new_part_has_nothing(world: SinkWorld) -> None:
    """No bytes, no claims, nothing hashed, nothing at the final name."""
    part = await (await world.arrive()).open(PlannedFile(sink_file(BIG), Action.FETCH))
    facts = await part.prove()
    assert (facts.proven_bytes, facts.rejected_bytes) == (0, 0)
    assert (part.ledger.covered, part.unclaimed_bytes, part.hashed_bytes) == (0, 0, 0)
    assert part.file == sink_file(BIG)
    assert world.published(BIG) is None
    await part.close()


async def bytes_may_come_in_any_order_and_as_any_buffer(world: SinkWorld) -> None:
    """The ledger says what was written; the digest is that of the content."""
    sink = await world.arrive()
    part = await _open(sink, BIG)
    content, size = SINK_CONTENTS[BIG], len(SINK_CONTENTS[BIG])
    await part.write(500_000, [content[500_000:600_000], bytearray(content[600_000:])])
    assert part.ledger.spans == (ByteRange(500_000, size),)
    await part.write(0, [memoryview(content)[:7], content[7:100_000]])
    assert part.ledger.prefix == 100_000
    await part.hash_to(100_000)
    await _write(part, ByteRange(100_000, 500_000))
    await _finish(part)
    await _publish(world, sink, part)


async def a_small_file_and_an_empty_one_go_the_same_way(world: SinkWorld) -> None:
    """Several files are published together, each with its own answer."""
    sink = await world.arrive()
    parts = [await _open(sink, path) for path in ("empty", "small.json", "other.bin")]
    for part in parts:
        await _finish(part)
        assert world.published(part.file.path) is None
    await _publish(world, sink, *parts)


async def hashing_overlaps_with_writing(world: SinkWorld) -> None:
    """The digest follows the prefix while later bytes are still being written."""
    sink = await world.arrive()
    part = await _open(sink, BIG)
    await _write(part, ByteRange(0, 300_000))
    async with anyio.create_task_group() as group:
        group.start_soon(part.hash_to, 300_000)
        group.start_soon(_write, part, ByteRange(300_000, 500_000))
        group.start_soon(part.checkpoint)
    assert part.hashed_bytes >= 300_000
    await _finish(part)
    await _publish(world, sink, part)


async def nothing_outside_the_file_is_written(world: SinkWorld) -> None:
    """A write that reaches beyond the end is refused as a bug."""
    part = await _open(await world.arrive(), BIG)
    try:
        await part.write(part.file.size_bytes - 1, [b"xy"])
    except ValueError:
        assert part.ledger.covered == 0
    else:
        raise AssertionError("a byte was written behind the end of the file")
    finally:
        await part.close()


async def a_claim_survives_a_kill_and_is_never_more_than_the_truth(world: SinkWorld) -> None:
    """What was checkpointed is found again; what was not is not believed."""
    part = await _open(await world.arrive(), BIG)
    await _write(part, ByteRange(0, 200_000))
    assert part.unclaimed_bytes in (0, 200_000)
    await part.checkpoint()
    assert part.unclaimed_bytes == 0
    await _write(part, ByteRange(200_000, 300_000))
    sink = await world.arrive()
    again = await sink.open(PlannedFile(sink_file(BIG), Action.FETCH))
    facts = await again.prove()
    assert facts.proven_bytes == again.ledger.covered == again.ledger.prefix
    assert 200_000 <= facts.proven_bytes <= 300_000
    assert again.unclaimed_bytes == 0
    await _finish(again)
    await _publish(world, sink, again)


async def a_damaged_claim_does_not_count(world: SinkWorld) -> None:
    """Every claim is compared with the bytes before it is believed."""
    part = await _open(await world.arrive(), BIG)
    await _write(part, ByteRange(0, 600_000))
    await part.checkpoint()
    await part.close()
    world.damage(part.file, 123_456)
    sink = await world.arrive()
    again = await sink.open(PlannedFile(sink_file(BIG), Action.FETCH))
    facts = await again.prove()
    assert facts.rejected_bytes > 0
    assert all(not (span.start <= 123_456 < span.stop) for span in again.ledger.spans)
    await _finish(again)
    await _publish(world, sink, again)


async def a_closed_part_keeps_what_was_checkpointed(world: SinkWorld) -> None:
    """Closing loses nothing that was claimed, also when it comes twice or while cancelled."""
    part = await _open(await world.arrive(), BIG)
    await _write(part, ByteRange(0, 400_000))
    await part.checkpoint()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await part.close()
    await part.close()
    assert part.unclaimed_bytes == 0
    again = await _open(await world.arrive(), BIG)
    assert again.ledger.covered == 400_000
    await again.close()


async def a_discarded_part_is_gone(world: SinkWorld) -> None:
    """Nothing of it is found again, also when discarding was cancelled or comes twice."""
    part = await _open(await world.arrive(), BIG)
    await _write(part, ByteRange(0, 400_000))
    await part.checkpoint()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await part.discard()
    await part.discard()
    again = await _open(await world.arrive(), BIG)
    assert again.ledger.covered == 0
    await again.close()


async def a_part_that_was_reset_starts_from_nothing(world: SinkWorld) -> None:
    """Bytes, claims and the digest are forgotten; the second round may bring others."""
    sink = await world.arrive()
    part = await _open(sink, BIG)
    await part.write(0, [bytes(part.file.size_bytes)])
    await part.hash_to(part.file.size_bytes)
    assert part.digest() != part.file.digest
    await part.checkpoint()
    await part.reset()
    assert (part.ledger.covered, part.unclaimed_bytes, part.hashed_bytes) == (0, 0, 0)
    await _finish(part)
    await _publish(world, sink, part)


async def a_reset_is_not_undone_by_a_kill(world: SinkWorld) -> None:
    """Claims of before a reset are not found again."""
    part = await _open(await world.arrive(), BIG)
    await _write(part, ByteRange(0, 400_000))
    async with anyio.create_task_group() as group:
        group.start_soon(part.checkpoint)
        group.start_soon(part.reset)
    again = await _open(await world.arrive(), BIG)
    assert again.ledger.covered == 0
    await again.close()


async def a_published_part_is_closed(world: SinkWorld) -> None:
    """Afterwards `close` and `discard` do nothing, and a new part has nothing."""
    sink = await world.arrive()
    part = await _open(sink, BIG)
    await _finish(part)
    await _publish(world, sink, part)
    assert part.unclaimed_bytes == 0
    await part.close()
    await part.discard()
    assert world.published(BIG) == SINK_CONTENTS[BIG]
    again = await _open(await world.arrive(), BIG)
    assert again.ledger.covered == 0
    await again.close()


async def content_in_place_can_be_copied(world: SinkWorld) -> None:
    """A copy is placed, and every byte of it reported."""
    sink = await world.arrive()
    part = await _open(sink, BIG)
    await _finish(part)
    await _publish(world, sink, part)
    twin = RemoteFile("twin.bin", part.file.size_bytes, part.file.digest)
    reported: list[int] = []
    await sink.copy(PlannedFile(twin, Action.COPY, copy_of=BIG), reported.append)
    assert world.published("twin.bin") == SINK_CONTENTS[BIG]
    assert sum(reported) == part.file.size_bytes


async def other_content_is_not_copied(world: SinkWorld) -> None:
    """What does not have the digest is refused, and nothing is placed."""
    sink = await world.arrive()
    part = await _open(sink, BIG)
    await _finish(part)
    await _publish(world, sink, part)
    item = PlannedFile(sink_file("other.bin"), Action.COPY, copy_of=BIG)
    try:
        await sink.copy(item, lambda _count: None)
    except IntegrityError:
        assert world.published("other.bin") is None
    else:
        raise AssertionError("content of another digest was placed")


SinkCheck = Callable[[SinkWorld], Awaitable[None]]

SINK_CHECKS: tuple[SinkCheck, ...] = (
    a_new_part_has_nothing,
    bytes_may_come_in_any_order_and_as_any_buffer,
    a_small_file_and_an_empty_one_go_the_same_way,
    hashing_overlaps_with_writing,
    nothing_outside_the_file_is_written,
    a_claim_survives_a_kill_and_is_never_more_than_the_truth,
    a_damaged_claim_does_not_count,
    a_closed_part_keeps_what_was_checkpointed,
    a_discarded_part_is_gone,
    a_part_that_was_reset_starts_from_nothing,
    a_reset_is_not_undone_by_a_kill,
    a_published_part_is_closed,
    content_in_place_can_be_copied,
    other_content_is_not_copied,
)
