from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.disk.calls import Folder
from hfdl_async.disk.home import Home
from hfdl_async.disk.lock import HOLDER, Holder, Lock
from hfdl_async.errors import BusyError, StorageError, UnsafeError
from tests.disk.faults import FaultyCalls, descriptors_balanced

pytestmark = pytest.mark.anyio

HOLD = """
import anyio, sys
from pathlib import Path
from hfdl_async.disk.home import Home
from hfdl_async.disk.lock import Lock
async def main():
    async with Lock(Home.of_folder(Path(sys.argv[1]))):
        print("held", flush=True)
        await anyio.sleep_forever()
anyio.run(main)
"""


def hold(path: Path) -> subprocess.Popen[bytes]:
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    return child


def end(child: subprocess.Popen[bytes]) -> None:
    child.kill()
    child.wait()
    assert child.stdout is not None
    child.stdout.close()


async def test_taken_and_given_back(tmp_path: Path) -> None:
    with descriptors_balanced():
        async with Lock(Home.of_folder(tmp_path), wait_seconds=0):
            holder = json.loads((tmp_path / STATE_FOLDER / HOLDER).read_bytes())
            assert (holder["pid"], holder["host"]) == (os.getpid(), socket.gethostname())
        assert not (tmp_path / STATE_FOLDER / HOLDER).exists()
        async with Lock(Home.of_folder(tmp_path), wait_seconds=0):
            pass


async def test_two_tasks_of_one_process_take_turns(tmp_path: Path) -> None:
    inside = 0

    async def work() -> None:
        nonlocal inside
        async with Lock(Home.of_folder(tmp_path)):
            inside += 1
            assert inside == 1
            await anyio.sleep(0.01)
            inside -= 1

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(work)


async def test_busy_names_the_holder(tmp_path: Path) -> None:
    async with Lock(Home.of_folder(tmp_path)):
        with pytest.raises(BusyError, match=f"process {os.getpid()} on"):
            await Lock(Home.of_folder(tmp_path), wait_seconds=0).acquire()


async def test_a_stopped_holder_keeps_it_and_a_killed_one_does_not(tmp_path: Path) -> None:
    child = hold(tmp_path)
    told: list[Holder | None] = []
    try:
        child.send_signal(signal.SIGSTOP)
        with pytest.raises(BusyError, match=str(child.pid)):
            await Lock(Home.of_folder(tmp_path), wait_seconds=0, on_wait=told.append).acquire()
        with pytest.raises(BusyError):
            await Lock(Home.of_folder(tmp_path), wait_seconds=0.15, on_wait=told.append).acquire()
        assert [holder.pid for holder in told if holder] == [child.pid]
    finally:
        end(child)
    assert (tmp_path / STATE_FOLDER / HOLDER).exists()
    async with Lock(Home.of_folder(tmp_path), wait_seconds=0):
        pass


async def test_cancelled_while_waiting_leaves_nothing(tmp_path: Path) -> None:
    async with Lock(Home.of_folder(tmp_path)):
        waiting = Lock(Home.of_folder(tmp_path))
        with descriptors_balanced(), anyio.move_on_after(0.03):
            await waiting.acquire()
        await waiting.release()
        with pytest.raises(BusyError):
            await Lock(Home.of_folder(tmp_path), wait_seconds=0).acquire()
    async with Lock(Home.of_folder(tmp_path), wait_seconds=0):
        pass


async def test_a_planted_link_is_not_locked(tmp_path: Path) -> None:
    (tmp_path / "d" / STATE_FOLDER).mkdir(parents=True)
    (tmp_path / "outside").write_bytes(b"precious")
    (tmp_path / "d" / STATE_FOLDER / "lock").symlink_to(tmp_path / "outside")
    with pytest.raises(UnsafeError):
        await Lock(Home.of_folder(tmp_path / "d")).acquire()
    assert (tmp_path / "outside").read_bytes() == b"precious"


async def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    calls = FaultyCalls(fail_at=1, error=30, only=("mkdir",))
    with pytest.raises(StorageError, match="read-only"):
        await Lock(Home.of_folder(tmp_path / "d"), calls=calls).acquire()


async def test_a_damaged_holder_file_is_no_holder(tmp_path: Path) -> None:
    async with Lock(Home.of_folder(tmp_path)):
        (tmp_path / STATE_FOLDER / HOLDER).write_bytes(b'{"pid": -5}')
        with pytest.raises(BusyError, match="another process"):
            await Lock(Home.of_folder(tmp_path), wait_seconds=0).acquire()


@pytest.mark.skipif(sys.platform == "win32", reason="flock is of Unix")
@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
async def test_without_locks_in_the_file_system_it_goes_on_and_says_so(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def flock(_fd: int, _operation: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", flock)
    notes: list[str] = []
    with descriptors_balanced(), anyio.fail_after(5):
        async with Lock(Home.of_folder(tmp_path), note=notes.append):
            pass
    [note] = notes
    assert "has no locks" in note


async def test_while_waiting_the_holder_is_looked_up_once_a_second(tmp_path: Path) -> None:
    class Counting(FaultyCalls):
        looks = 0

        def look(self, folder: Folder, name: str) -> os.stat_result:
            self.looks += name == HOLDER
            return super().look(folder, name)

    calls = Counting()
    async with Lock(Home.of_folder(tmp_path)):
        with pytest.raises(BusyError):
            await Lock(Home.of_folder(tmp_path), calls=calls, wait_seconds=0.35).acquire()
    assert calls.looks == 2, "once at the start, once for the message"
