from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import pytest

from hfdl_async.disk.bloblocks import BlobLocks
from tests.disk.faults import descriptors_balanced

pytestmark = pytest.mark.anyio

NAME = "a" * 64
HOLD = """
import sys
from huggingface_hub.utils import WeakFileLock
with WeakFileLock(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.readline()
print("gone", flush=True)
sys.stdin.readline()
"""


class Holder:
    """Another process that holds a lock as the reference client does."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child

    def let_go(self) -> None:
        """Return once the lock is given back."""
        assert self._child.stdin
        assert self._child.stdout
        self._child.stdin.write(b"\n")
        self._child.stdin.flush()
        assert self._child.stdout.readline() == b"gone\n"

    def kill(self) -> None:
        """End it while it holds the lock."""
        self._child.kill()
        self._child.wait()


@contextmanager
def held_elsewhere(file: Path) -> Iterator[Holder]:
    """Give a process of the reference client that holds the lock *file*."""
    file.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", HOLD, str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline() == b"held\n"
            yield Holder(child)
        finally:
            child.kill()


async def soon(locks: BlobLocks) -> bool:
    with anyio.fail_after(10):
        return await locks.take(NAME)


async def test_a_free_lock_is_taken_at_once_and_the_file_stays(tmp_path: Path) -> None:
    locks = BlobLocks(tmp_path / ".locks" / "models--x")
    with descriptors_balanced():
        assert not await soon(locks)
        assert not await soon(locks), "twice does no harm"
        locks.release(NAME)
        locks.release(NAME)
    assert os.listdir(tmp_path / ".locks" / "models--x") == [f"{NAME}.lock"]


async def test_the_reference_client_is_waited_for(tmp_path: Path) -> None:
    locks, waited = BlobLocks(tmp_path), []
    with held_elsewhere(tmp_path / f"{NAME}.lock") as holder:

        async def wait() -> None:
            waited.append(await soon(locks))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await anyio.sleep(0.02)
            assert waited == []
            holder.let_go()
    assert waited == [True]
    locks.release_all()


async def test_the_lock_of_the_dead_is_free(tmp_path: Path) -> None:
    locks = BlobLocks(tmp_path)
    with held_elsewhere(tmp_path / f"{NAME}.lock") as holder:
        holder.kill()
        assert not await soon(locks)
    locks.release_all()


async def test_what_is_held_keeps_others_out_until_it_is_released(tmp_path: Path) -> None:
    ours, others = BlobLocks(tmp_path), BlobLocks(tmp_path)
    await soon(ours)
    with anyio.move_on_after(0.02) as scope:
        await others.take(NAME)
    assert scope.cancelled_caught
    ours.release_all()
    assert not await soon(others)
    others.release_all()


async def test_cancelled_while_waiting_leaves_nothing(tmp_path: Path) -> None:
    ours, others = BlobLocks(tmp_path), BlobLocks(tmp_path)
    await soon(ours)
    with descriptors_balanced(), anyio.move_on_after(0.02):
        await others.take(NAME)
    ours.release_all()
    others.release_all()


@pytest.mark.skipif(sys.platform == "win32", reason="flock is of Unix")
@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
async def test_without_locks_in_the_file_system_it_goes_on(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def flock(_fd: int, _operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    locks = BlobLocks(tmp_path)
    with descriptors_balanced():
        assert not await soon(locks)
        locks.release_all()


async def test_where_no_lock_file_can_be_there_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "in the way" / f"{NAME}.lock").mkdir(parents=True)
    with descriptors_balanced():
        for folder in ("file", "in the way"):
            locks = BlobLocks(tmp_path / folder)
            assert not await soon(locks)
            locks.release_all()
