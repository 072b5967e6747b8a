from __future__ import annotations

import errno
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from hfdl_async.core.model import MIB, ByteRange
from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.partfile import PartFile
from hfdl_async.engine.ports import Part
from hfdl_async.errors import StorageError
from tests.disk.faults import FaultyCalls, assert_claims_hold, begin, pattern, planned, remote

pytestmark = pytest.mark.anyio

DATA = pattern(10 * MIB)
FILE = remote("x", DATA)


class Bench:
    """One folder, one file, and calls that can be told to fail."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls = FaultyCalls()
        self.folder = LocalDir(root, calls=self.calls)

    @property
    def part_path(self) -> Path:
        return self.root / STATE_FOLDER / "parts" / f"{FILE.content_key}.part"

    async def open(self) -> PartFile:
        await begin(self.folder, {"x": DATA})
        part = await self.folder.open(planned(FILE))
        assert isinstance(part, PartFile)
        return part

    def fail_next(self, name: str, error: int = errno.EIO) -> None:
        self.calls.only, self.calls.error = (name,), error
        self.calls.count, self.calls.fail_at = 0, 1


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.folder.close()


async def test_fits_what_the_engine_asks_of_a_part(bench: Bench) -> None:
    part: Part = await bench.open()
    assert part.file == FILE
    await part.discard()


async def test_one_write_is_one_hop_and_one_call(bench: Bench) -> None:
    part = await bench.open()
    bench.calls.made.clear()
    await part.write(0, [DATA[:100], DATA[100:1000], DATA[1000:MIB]])
    assert bench.calls.made == ["write"]
    assert part.ledger.spans == (ByteRange(0, MIB),)
    assert part.unclaimed_bytes == MIB
    await part.close()


async def test_a_checkpoint_claims_what_it_synced_and_nothing_later(bench: Bench) -> None:
    part = await bench.open()
    await part.write(0, [DATA[:MIB]])
    async with anyio.create_task_group() as group:
        group.start_soon(part.checkpoint)
        group.start_soon(part.write, 9 * MIB, [DATA[9 * MIB :]])
    assert part.unclaimed_bytes in (0, MIB)
    await part.close()
    assert assert_claims_hold(bench.root) in (MIB, 2 * MIB)


async def written_in_bits(part: PartFile, start: int, stop: int) -> None:
    """Write so little at a time that the digest is not fed from memory."""
    for offset in range(start, stop, MIB // 2):
        await part.write(offset, [DATA[offset : offset + MIB // 2]])


async def made_whole(part: PartFile) -> None:
    """Write what is missing, check the digest, close."""
    for gap in list(part.ledger.missing()):
        await part.write(gap.start, [DATA[gap.start : gap.stop]])
    await part.hash_to(len(DATA))
    assert part.digest() == FILE.digest
    await part.close()


async def test_the_digest_follows_the_prefix(bench: Bench) -> None:
    part = await bench.open()
    await written_in_bits(part, 0, 3 * MIB)
    assert part.hashed_bytes == 0
    await part.hash_to(2 * MIB)
    assert part.hashed_bytes == 2 * MIB
    await part.hash_to(4 * MIB)  # a failed sync may have taken back what the caller saw
    assert part.hashed_bytes == 3 * MIB
    await part.write(3 * MIB, [DATA[3 * MIB :]])
    await part.hash_to(len(DATA))
    assert part.digest() == FILE.digest
    await part.close()


async def test_what_is_written_in_order_is_hashed_from_memory(bench: Bench) -> None:
    part = await bench.open()
    await part.write(0, [DATA[:100], DATA[100 : 3 * MIB]])
    assert part.hashed_bytes == 3 * MIB
    await part.write(3 * MIB, [DATA[3 * MIB :]])
    await part.hash_to(len(DATA))
    assert part.digest() == FILE.digest
    assert "read" not in bench.calls.made
    await part.close()


async def test_a_write_at_the_frontier_catches_up_with_what_is_near(bench: Bench) -> None:
    part = await bench.open()
    await part.write(4 * MIB, [DATA[4 * MIB : 6 * MIB]])
    assert part.hashed_bytes == 0
    await part.write(0, [DATA[: 4 * MIB]])
    assert part.hashed_bytes == 4 * MIB
    await part.write(6 * MIB, [DATA[6 * MIB :]])
    assert part.hashed_bytes == len(DATA)
    assert part.digest() == FILE.digest
    await part.close()


@pytest.mark.parametrize("call", ["write", "read"])
async def test_a_digest_that_saw_bytes_which_did_not_get_there_begins_anew(
    bench: Bench, call: str
) -> None:
    part = await bench.open()
    await written_in_bits(part, 0, 2 * MIB)
    bench.fail_next(call)
    with pytest.raises(StorageError):
        await part.write(2 * MIB, [bytes(3 * MIB)])
    assert part.hashed_bytes == 0
    await part.write(2 * MIB, [DATA[2 * MIB :]])
    await part.hash_to(len(DATA))
    assert part.digest() == FILE.digest
    await part.close()


async def test_memory_is_lent_until_both_threads_are_done_with_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, fed = threading.Event(), threading.Event()

    def feed(*_: object) -> bool:
        go.wait(10)
        fed.set()
        return True

    monkeypatch.setattr(PartFile, "_feed", feed)
    part = await bench.open()
    bench.fail_next("write")

    async def write() -> None:
        with pytest.raises(StorageError):
            await part.write(0, [DATA[: 2 * MIB]])
        assert fed.is_set()

    async with anyio.create_task_group() as group:
        group.start_soon(write)
        for _ in range(100):
            await checkpoint()
        go.set()
    assert part.hashed_bytes == 0
    await part.discard()


async def test_where_all_threads_for_it_are_busy_the_digest_follows_later(bench: Bench) -> None:
    part = await bench.open()
    limiter = part._hashing
    for busy in range(int(limiter.total_tokens)):
        limiter.acquire_on_behalf_of_nowait(busy)
    await part.write(0, [DATA[: 4 * MIB]])
    assert (part.ledger.prefix, part.hashed_bytes) == (4 * MIB, 0)
    for busy in range(int(limiter.total_tokens)):
        limiter.release_on_behalf_of(busy)
    await made_whole(part)


async def test_a_write_that_is_cancelled_is_there_or_not_and_the_digest_is_right(
    bench: Bench,
) -> None:
    part = await bench.open()
    for turns in range(4):
        async with anyio.create_task_group() as group:
            group.start_soon(part.write, 0, [DATA[: 2 * MIB]])
            for _ in range(turns):
                await checkpoint()
            group.cancel_scope.cancel()
        assert part.hashed_bytes <= part.ledger.prefix
    await part.write(0, [DATA])
    await part.hash_to(len(DATA))
    assert part.digest() == FILE.digest
    await part.close()


async def test_bytes_written_over_are_hashed_again(bench: Bench) -> None:
    part = await bench.open()
    await part.write(0, [bytes(len(DATA))])
    await part.hash_to(len(DATA))
    assert part.digest() != FILE.digest
    await part.write(0, [DATA])
    assert part.hashed_bytes == 0
    await part.hash_to(len(DATA))
    assert part.digest() == FILE.digest
    await part.close()


async def test_after_a_failed_sync_nothing_since_the_last_claim_is_believed(bench: Bench) -> None:
    part = await bench.open()
    await part.write(0, [DATA[:MIB]])
    await part.checkpoint()
    await part.write(MIB, [DATA[MIB : 2 * MIB]])
    await part.hash_to(2 * MIB)
    bench.fail_next("sync")
    with pytest.raises(StorageError):
        await part.checkpoint()
    assert part.ledger.spans == (ByteRange(0, MIB),)
    assert part.hashed_bytes == 0
    for again in (part.checkpoint(), part.write(MIB, [b"x"])):
        with pytest.raises(StorageError):
            await again
    await part.close()
    assert assert_claims_hold(bench.root) == MIB
    part = await bench.open()
    assert (await part.prove()).proven_bytes == MIB
    await part.discard()


async def test_on_a_full_disk_it_says_how_much_more_is_needed_than_the_part_takes_up(
    bench: Bench,
) -> None:
    part = await bench.open()
    os.truncate(bench.part_path, MIB)  # as if no more had been reserved
    bench.fail_next("write", errno.ENOSPC)
    with pytest.raises(
        StorageError, match=r"/x: the disk is full, 9\.4 MB are needed, .+ are free"
    ):
        await part.write(MIB, [DATA[MIB : 2 * MIB]])
    await part.discard()


async def test_the_last_claim_finds_its_room_at_the_end_of_the_part(bench: Bench) -> None:
    part = await bench.open()
    await part.write(0, [DATA[: 5 * MIB]])
    await part.write(8 * MIB, [DATA[8 * MIB : 9 * MIB + 7]])
    bench.fail_next("open", errno.ENOSPC)  # of the record
    await part.checkpoint(last=True)
    assert part.ledger.spans == (ByteRange(0, 5 * MIB), ByteRange(8 * MIB, 8 * MIB + 7))
    assert bench.part_path.stat().st_size == 8 * MIB + 7
    await part.close()
    assert assert_claims_hold(bench.root) == 5 * MIB + 7
    part = await bench.open()
    assert (await part.prove()).proven_bytes == 5 * MIB + 7
    await made_whole(part)


async def test_a_part_that_was_cut_can_be_gone_on_with(bench: Bench) -> None:
    part = await bench.open()
    await part.write(0, [DATA[: 5 * MIB]])
    bench.fail_next("open", errno.ENOSPC)
    await part.checkpoint(last=True)
    assert (part.ledger.prefix, part.hashed_bytes) == (4 * MIB, 0)
    await made_whole(part)


async def test_a_sync_that_finds_no_room_is_not_tried_again(bench: Bench) -> None:
    part = await bench.open()
    await part.write(0, [DATA[: 5 * MIB]])
    bench.fail_next("sync", errno.ENOSPC)
    with pytest.raises(StorageError, match="disk is full"):
        await part.checkpoint(last=True)
    assert part.ledger.spans == ()
    assert bench.part_path.stat().st_size == len(DATA)
    assert not list(bench.part_path.parent.glob("*.json"))
    await part.close()


async def test_what_is_claimed_is_not_cut_and_holds_if_there_is_no_room_even_so(
    bench: Bench,
) -> None:
    part = await bench.open()
    await part.write(0, [DATA[: 4 * MIB]])
    await part.checkpoint()
    await part.write(4 * MIB, [DATA[4 * MIB : 4 * MIB + 9]])
    bench.fail_next("open", errno.ENOSPC)
    bench.calls.for_ever = True
    with pytest.raises(StorageError, match="disk is full"):
        await part.checkpoint(last=True)
    assert bench.part_path.stat().st_size == 4 * MIB
    assert assert_claims_hold(bench.root) == 4 * MIB
    await part.close()


@pytest.mark.parametrize("last", [False, True])
async def test_nothing_is_cut_but_on_a_full_disk_at_the_end(bench: Bench, last: bool) -> None:
    part = await bench.open()
    await part.write(0, [DATA[: 5 * MIB]])
    bench.fail_next("open", errno.EIO if last else errno.ENOSPC)
    with pytest.raises(StorageError):
        await part.checkpoint(last=last)
    assert part.ledger.spans == (ByteRange(0, 5 * MIB),)
    assert bench.part_path.stat().st_size == len(DATA)
    await part.discard()


async def test_a_failed_sync_of_the_record_keeps_the_old_claims(bench: Bench) -> None:
    part = await bench.open()
    await part.write(0, [DATA[:MIB]])
    await part.checkpoint()
    await part.write(MIB, [DATA[MIB : 2 * MIB]])
    bench.fail_next("rename")
    with pytest.raises(StorageError):
        await part.checkpoint()
    assert assert_claims_hold(bench.root) == MIB
    await part.checkpoint()
    assert assert_claims_hold(bench.root) == 2 * MIB
    await part.close()


@pytest.mark.parametrize(
    ("damage", "proven"),
    [
        ("flip", 2 * MIB),
        ("zero", 2 * MIB),
        ("truncate", 8 * MIB),
        ("replace", 0),
        ("extend", 10 * MIB),
    ],
)
async def test_resume_trusts_nothing_it_has_not_read(
    damage: str, proven: int, bench: Bench
) -> None:
    part = await bench.open()
    await part.write(0, [DATA])
    await part.checkpoint()
    await part.close()
    stamps = bench.part_path.stat()
    with bench.part_path.open("r+b") as file:
        if damage == "flip":
            file.seek(5)
            file.write(bytes([DATA[5] ^ 1]))
        elif damage == "zero":
            file.write(bytes(MIB))
        elif damage == "truncate":
            file.truncate(9 * MIB)
        elif damage == "extend":
            file.truncate(11 * MIB)
        else:
            file.write(pattern(10 * MIB, 9))
    os.utime(bench.part_path, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    part = await bench.open()
    facts = await part.prove()
    assert (facts.proven_bytes, facts.rejected_bytes) == (proven, 10 * MIB - proven)
    await made_whole(part)


async def test_claims_are_not_replaced_before_they_were_looked_at(bench: Bench) -> None:
    part = await bench.open()
    await part.write(0, [DATA[:MIB]])
    await part.checkpoint()
    await part.close()
    part = await bench.open()
    await part.checkpoint()
    await part.close()
    assert assert_claims_hold(bench.root) == MIB


async def test_a_reset_part_starts_with_a_fresh_file(bench: Bench) -> None:
    part = await bench.open()
    await part.write(0, [DATA])
    await part.checkpoint()
    inode = bench.part_path.stat().st_ino
    with bench.part_path.open("rb") as other_writer:
        await part.reset()
        assert os.fstat(other_writer.fileno()).st_ino == inode
        assert other_writer.read() == DATA
    assert part.ledger.covered == part.hashed_bytes == part.unclaimed_bytes == 0
    assert os.listdir(bench.part_path.parent) == [bench.part_path.name]
    await part.close()


async def test_a_part_without_a_claim_does_not_stay(bench: Bench) -> None:
    part = await bench.open()
    await part.write(0, [DATA[:100]])
    await part.close()
    assert os.listdir(bench.part_path.parent) == []
    await part.close()
    await part.discard()
    await part.checkpoint()


async def test_a_cancelled_writer_leaves_no_thread_that_writes(bench: Bench) -> None:
    part = await bench.open()
    async with anyio.create_task_group() as group:
        for cell in range(2):
            group.start_soon(part.write, cell * 8 * MIB, [DATA[: 2 * MIB]])
        await anyio.sleep(0)
        group.cancel_scope.cancel()
    bench.calls.made.clear()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await part.close()
    await anyio.sleep(0.01)
    assert "write" not in bench.calls.made


async def test_a_write_outside_the_file_is_a_bug(bench: Bench) -> None:
    part = await bench.open()
    with pytest.raises(ValueError, match="outside"):
        await part.write(len(DATA) - 1, [b"xy"])
    await part.close()


async def test_a_part_that_somebody_cut_has_another_digest_and_an_end(bench: Bench) -> None:
    part = await bench.open()
    await part.write(MIB, [DATA[MIB:]])  # out of order: nothing is hashed on its way
    await part.write(0, [DATA[:MIB]])
    os.truncate(bench.part_path, len(DATA) // 2)
    await part.hash_to(len(DATA))
    assert part.hashed_bytes == len(DATA)  # who follows it comes to an end
    assert part.digest() != FILE.digest
