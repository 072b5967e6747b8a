from __future__ import annotations

import pytest

from hfdl_async.core.model import Action, ByteRange, Digest, PlannedFile, RemoteFile
from hfdl_async.engine.ports import Part, Sink
from hfdl_async.errors import StorageError
from hfdl_async.testing.memorysink import MemorySink, MemoryStore, remote_file

pytestmark = pytest.mark.anyio

CONTENT = b"hello world"
FILE = remote_file("f", CONTENT)
ITEM = PlannedFile(FILE, Action.FETCH)


async def opened(sink: MemorySink) -> Part:
    part = await sink.open(ITEM)
    await part.prove()
    return part


def test_fits_what_the_engine_asks_of_a_sink() -> None:
    sink: Sink = MemorySink()
    assert sink.path.name == "in-memory"


async def test_the_log_has_every_change_in_order() -> None:
    sink = MemorySink()
    part = await opened(sink)
    await part.write(0, [b"hello"])
    await part.checkpoint()
    await part.write(5, [b" wor", b"ld"])
    await part.hash_to(11)
    await sink.publish([part])
    assert sink.log == ["open f", "write f 0..5", "checkpoint f", "write f 5..11", "publish f"]
    assert sink.files == {"f": CONTENT}


async def test_publishing_wrong_or_missing_bytes_is_a_bug_of_the_caller() -> None:
    sink = MemorySink()
    part = await opened(sink)
    await part.write(0, [b"HELLO"])
    with pytest.raises(AssertionError, match="gaps"):
        await sink.publish([part])
    await part.write(5, [b" world"])
    with pytest.raises(AssertionError, match="wrong bytes"):
        await sink.publish([part])
    assert sink.files == {}


async def test_using_a_part_after_its_end_is_a_bug_of_the_caller() -> None:
    sink = MemorySink()
    part = await opened(sink)
    await part.close()
    with pytest.raises(AssertionError, match="after the part was closed"):
        await part.write(0, [b"x"])
    with pytest.raises(AssertionError, match="after it was closed"):
        await sink.publish([part])


@pytest.mark.parametrize("operation", ["write", "checkpoint", "hash", "reset"])
async def test_trouble_comes_when_and_as_often_as_asked_for(operation: str) -> None:
    sink = MemorySink()
    sink.trouble(operation, "f", after=1, times=1)
    part = await opened(sink)
    calls = {
        "write": lambda: part.write(0, [b"x"]),
        "checkpoint": part.checkpoint,
        "hash": lambda: part.hash_to(0),
        "reset": part.reset,
    }
    await calls[operation]()
    with pytest.raises(StorageError):
        await calls[operation]()
    await calls[operation]()


async def test_trouble_can_be_for_one_file_or_for_all() -> None:
    sink = MemorySink()
    full = StorageError("full", ends_run=True)
    sink.trouble("open", "other")
    await opened(sink)
    sink.trouble("open", error=full)
    with pytest.raises(StorageError) as caught:
        await sink.open(ITEM)
    assert caught.value is full


async def test_what_was_left_behind_is_found_again() -> None:
    store = MemoryStore()
    store.keep(FILE, CONTENT, [ByteRange(0, 5), ByteRange(8, 11)])
    part = await opened(MemorySink(store))
    assert part.ledger.spans == (ByteRange(0, 5), ByteRange(8, 11))
    assert store.kept(FILE) == part.ledger


async def test_hashing_inline_needs_no_follower() -> None:
    part = await opened(MemorySink(hashes_inline=True))
    assert part.hashes_inline
    await part.write(0, [b"hello"])
    assert part.hashed_bytes == 5
    await part.write(8, [b"rld"])
    assert part.hashed_bytes == 5
    await part.write(5, [b" wo"])
    assert part.digest() == FILE.digest


async def test_git_digests_are_those_of_git() -> None:
    empty = RemoteFile("f", 0, Digest("git-sha1", "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"))
    sink = MemorySink()
    part = await sink.open(PlannedFile(empty, Action.FETCH))
    assert part.digest() == empty.digest
