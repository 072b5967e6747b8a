from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.hashing import hashing_limiter
from hfdl_async.disk.native import Features
from hfdl_async.disk.placing import LinkMode, place
from hfdl_async.errors import IntegrityError, StorageError
from tests.disk.faults import FaultyCalls, descriptors_balanced, pattern, remote

pytestmark = pytest.mark.anyio

T = TypeVar("T")

DATA = pattern(300_000)
FILE = remote("x", DATA)


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Folder]:
    (tmp_path / "parts").mkdir()
    opened = Calls().open_root(str(tmp_path / "parts"))
    yield opened
    Calls().close_folder(opened)


@pytest.mark.parametrize("mode", ["clone", "hard", "copy"])
async def test_content_is_taken_over_and_read(
    mode: LinkMode, parts: Folder, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA)
    reported: list[int] = []
    with descriptors_balanced():
        settled = await place(
            Calls(), parts, FILE, "key", str(source), mode, reported.append,
            subject="final name", limiter=hashing_limiter(),
        )  # fmt: skip
    assert sum(reported) == len(DATA)
    placed = tmp_path / "parts" / settled.name
    assert placed.read_bytes() == DATA
    assert len(settled.cells) == 1
    assert (placed.stat().st_ino == source.stat().st_ino) is (mode == "hard")


@pytest.mark.parametrize("mode", ["clone", "hard", "copy"])
@pytest.mark.parametrize("data", [bytes(len(DATA)), DATA + b"x", DATA[:-1]])
async def test_other_content_is_refused_and_nothing_stays(
    data: bytes, mode: LinkMode, parts: Folder, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(data)
    with descriptors_balanced(), pytest.raises(IntegrityError):
        await place(
            Calls(), parts, FILE, "key", str(tmp_path / "source"), mode, lambda _count: None,
            subject="final name", limiter=hashing_limiter(),
        )  # fmt: skip
    assert os.listdir(tmp_path / "parts") == []


class CloningCalls(FaultyCalls):
    """On a file system that shares blocks, in effect."""

    def system(self, name: str, call: Callable[..., T], *arguments: Any) -> T:
        if name == "clone":
            self.made.append(name)
            source, target = arguments
            os.pwrite(target, os.pread(source, os.fstat(source).st_size, 0), 0)
            return None  # type: ignore[return-value]
        return super().system(name, call, *arguments)


@pytest.mark.parametrize("wrong", [False, True])
async def test_a_clone_is_read_and_not_copied(wrong: bool, parts: Folder, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(len(DATA)) if wrong else DATA)
    calls = CloningCalls(features=replace(Features.here(), clone=True))
    with pytest.raises(IntegrityError) if wrong else nullcontext():
        settled = await place(
            calls, parts, FILE, "key", str(source), "clone", lambda _count: None,
            subject="final name", limiter=hashing_limiter(),
        )  # fmt: skip
        assert (tmp_path / "parts" / settled.name).read_bytes() == DATA
    assert "clone" in calls.made
    assert not {"write", "allocate", "truncate"} & set(calls.made)
    assert wrong is (os.listdir(tmp_path / "parts") == [])


async def test_whichever_call_fails_nothing_stays(parts: Folder, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(DATA)
    for number in range(1, 100):
        calls = FaultyCalls(fail_at=number)
        try:
            await place(
                calls, parts, FILE, "key", str(tmp_path / "source"), "copy", lambda _count: None,
                subject="final name", limiter=hashing_limiter(),
            )  # fmt: skip
        except StorageError:
            assert os.listdir(tmp_path / "parts") == []
        else:
            break
    assert 4 < number < 99


@pytest.mark.parametrize("mode", ["clone", "hard", "copy"])
@pytest.mark.parametrize("source", ["gone", "folder"])
async def test_a_source_that_cannot_be_read_is_content_that_is_not_there(
    source: str, mode: LinkMode, parts: Folder, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    with descriptors_balanced(), pytest.raises(IntegrityError, match=f"{source} cannot be read"):
        await place(
            Calls(), parts, FILE, "key", str(tmp_path / source), mode, lambda _count: None,
            subject="final name", limiter=hashing_limiter(),
        )  # fmt: skip
    assert os.listdir(tmp_path / "parts") == []


@pytest.mark.parametrize("call", ["read", "write"])
async def test_an_error_while_copying_is_taken_for_the_sources(
    call: str, parts: Folder, tmp_path: Path
) -> None:
    (tmp_path / "source").write_bytes(DATA)
    calls = FaultyCalls(fail_at=1, error=errno.EIO, only=(call,))
    with pytest.raises(IntegrityError, match="source cannot be read"):
        await place(
            calls, parts, FILE, "key", str(tmp_path / "source"), "copy", lambda _count: None,
            subject="final name", limiter=hashing_limiter(),
        )  # fmt: skip


async def test_a_full_disk_is_told_with_the_final_name(parts: Folder, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(DATA)
    calls = FaultyCalls(fail_at=1, error=errno.ENOSPC, only=("write",))
    with pytest.raises(StorageError, match=r"^final name: the disk is full"):
        await place(
            calls, parts, FILE, "key", str(tmp_path / "source"), "copy", lambda _count: None,
            subject="final name", limiter=hashing_limiter(),
        )  # fmt: skip
