from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfdl_async.core.model import RemoteFile
from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.disk.calls import Folder
from hfdl_async.disk.folder import open_for_writing
from hfdl_async.disk.home import Home
from hfdl_async.disk.memorypart import MemoryPart
from hfdl_async.disk.settled import Settled
from hfdl_async.disk.writing import Failed, Written, sync, write
from hfdl_async.errors import StorageError
from tests.disk.faults import FaultyCalls, descriptors_balanced, pattern, remote

pytestmark = pytest.mark.anyio


@pytest.fixture
def calls() -> FaultyCalls:
    return FaultyCalls()


@pytest.fixture
def parts(calls: FaultyCalls, tmp_path: Path) -> Iterator[Folder]:
    folders = open_for_writing(calls, Home.of_folder(tmp_path), lambda _: None)
    calls.made.clear()
    yield folders.parts
    folders.close(calls)


async def filled(file: RemoteFile, data: bytes) -> MemoryPart:
    part = MemoryPart(file)
    await part.write(0, [data])
    return part


async def test_content_lies_under_a_name_of_ours_until_it_is_published(
    calls: FaultyCalls, parts: Folder, tmp_path: Path
) -> None:
    data = pattern(1000)
    written = write(calls, parts, await filled(remote("x", data), data))
    assert isinstance(written, Written)
    settled = sync(calls, parts, written)
    assert isinstance(settled, Settled)
    assert settled.is_ours_alone
    assert settled.cells == ()
    path = tmp_path / STATE_FOLDER / "parts" / settled.name
    assert path.read_bytes() == data
    assert settled.identity == (path.stat().st_dev, path.stat().st_ino, len(data))


async def test_a_small_file_costs_four_calls_that_change_the_disk(
    calls: FaultyCalls, parts: Folder
) -> None:
    written = write(calls, parts, await filled(remote("x", b"abc"), b"abc"))
    assert isinstance(written, Written)
    sync(calls, parts, written)
    assert calls.made == ["open", "write", "sync", "close"]


async def test_no_two_files_share_a_name(calls: FaultyCalls, parts: Folder) -> None:
    part = await filled(remote("x", b"abc"), b"abc")
    one, two = write(calls, parts, part), write(calls, parts, part)
    assert isinstance(one, Written)
    assert isinstance(two, Written)
    assert one.name != two.name
    for written in (one, two):
        sync(calls, parts, written)


async def test_without_a_digest_the_content_gets_a_hash_of_ours(
    calls: FaultyCalls, parts: Folder
) -> None:
    from blake3 import blake3

    written = write(calls, parts, await filled(RemoteFile("x", 3, None), b"abc"))
    assert isinstance(written, Written)
    settled = sync(calls, parts, written)
    assert isinstance(settled, Settled)
    assert settled.cells == (blake3(b"abc").hexdigest(),)


@pytest.mark.parametrize("call", ["open", "write", "sync", "close"])
async def test_a_failure_leaves_nothing_behind(
    call: str, calls: FaultyCalls, parts: Folder, tmp_path: Path
) -> None:
    part = await filled(remote("x", b"abc"), b"abc")
    calls.only, calls.count, calls.fail_at, calls.error = (call,), 0, 1, errno.ENOSPC
    with descriptors_balanced():
        result = write(calls, parts, part)
        if isinstance(result, Written):
            assert call in ("sync", "close")
            outcome = sync(calls, parts, result)
            assert isinstance(outcome, Failed)
            result = outcome
    assert result.path == "x"
    assert isinstance(result.error, StorageError)
    assert "the disk is full, 3 bytes are needed" in result.error.message
    assert os.listdir(tmp_path / STATE_FOLDER / "parts") == []
