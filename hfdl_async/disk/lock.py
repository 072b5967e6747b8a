"""One writer a folder: the lock, who holds it, and waiting for it.

The lock saves work and keeps messages clear; no byte's correctness rests on it, because some
cluster file systems grant it to everyone. It belongs to an open file, so a dead holder's is free.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from types import TracebackType

import anyio
from anyio import to_thread
from filelock import FileLock, Timeout

from hfdl_async.core.names import shown
from hfdl_async.core.sealed import StateRefused, integer, parse, text_of
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.folder import open_for_reading, open_for_writing
from hfdl_async.disk.home import Home
from hfdl_async.disk.native import process_alive
from hfdl_async.disk.partopen import Note
from hfdl_async.disk.statefiles import read_state, remove_if_there, write_state
from hfdl_async.disk.trouble import translated
from hfdl_async.errors import BusyError

LOCK, HOLDER = "lock", "holder.json"
POLL_SECONDS = 0.1
HOLDER_SECONDS = 1.0  # between two looks at who holds it
# What flock says on a file system that has no locks, or on a network drive without its lock server.
_NO_LOCKS = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}
MAX_HOLDER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Holder:
    """Who works on a folder; *since* is ISO 8601 in UTC."""

    pid: int
    host: str
    since: str

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"pid": self.pid, "host": self.host, "since": self.since}

    def __str__(self) -> str:
        return f"process {self.pid} on {shown(self.host)}, since {shown(self.since)}"


OnWait = Callable[[Holder | None], None]
"""Called once when waiting begins, and again when the holder changes."""


def read_holder(calls: Calls, state: Folder) -> Holder | None:
    """Return who says to hold the lock; one that is known to be dead does not count."""
    try:
        data = read_state(calls, state, HOLDER, MAX_HOLDER_BYTES)
        body = parse(data) if data is not None else None
        if not isinstance(body, dict):
            return None
        pid = integer(body.get("pid"), 2**31, 1)
        holder = Holder(pid, text_of(body.get("host")), text_of(body.get("since")))
    except (StateRefused, OSError):
        return None
    alive = holder.host != socket.gethostname() or process_alive(holder.pid)
    return holder if alive else None


class Lock:
    """The right to write below *home*; taken and given back by one task at a time."""

    def __init__(
        self,
        home: Home,
        *,
        calls: Calls | None = None,
        note: Note | None = None,
        wait_seconds: float | None = None,
        on_wait: OnWait | None = None,
        on_release: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._home = home
        self._wait_seconds, self._on_wait, self._on_release = wait_seconds, on_wait, on_release
        self._calls = calls or Calls()
        self._note = note or (lambda _sentence: None)
        self._file = os.path.join(home.root, home.state_name, LOCK)
        self._lock: FileLock | None = None

    async def __aenter__(self) -> Lock:
        await self.acquire()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.release()

    async def acquire(self) -> None:
        """Wait for the lock: for ever, or for `wait_seconds` (0: one try).

        Where the file system has no locks it goes on without one and says so.

        Raises:
            BusyError: the time is over; the message names the holder.
            StorageError, UnsafeError: the folder cannot be written to.
        """
        mode = await to_thread.run_sync(self._prepare)
        # Tried on the loop: one that does not wait takes microseconds, and a cancellation could
        # otherwise leave a thread behind that gets the lock after we are gone.
        # Its own fallback waits until the lock file is gone, and we have just made that file.
        lock = FileLock(
            self._file, timeout=0, mode=mode, thread_local=False, fallback_to_soft=False
        )
        await self._wait_for(lock)
        self._lock = lock
        try:
            await to_thread.run_sync(self._sign)
        except BaseException:
            await self.release()
            raise

    async def _wait_for(self, lock: FileLock) -> None:
        deadline = None if self._wait_seconds is None else anyio.current_time() + self._wait_seconds
        look_again_at, told, waiting = 0.0, None, False
        while not self._try(lock):
            now = anyio.current_time()
            over = deadline is not None and now >= deadline
            if over or now >= look_again_at:
                holder = await to_thread.run_sync(self._holder)
                if over:
                    raise self._busy(holder)
                if self._on_wait is not None and (not waiting or (holder and holder != told)):
                    self._on_wait(holder)
                waiting, told, look_again_at = True, holder, now + HOLDER_SECONDS
            await anyio.sleep(POLL_SECONDS)

    async def release(self) -> None:
        """Give the lock back; twice does no harm."""
        lock, self._lock = self._lock, None
        if lock is None:
            return
        with anyio.CancelScope(shield=True):  # an unlink and a close
            try:
                if self._on_release is not None:
                    await self._on_release()
                await to_thread.run_sync(self._unsign)
            finally:
                lock.release()

    def _try(self, lock: FileLock) -> bool:
        with translated(self._file):
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return False
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                self._note(
                    f"{shown(self._home.root)}: the file system has no locks; "
                    "let no second download work on this folder"
                )
        return True

    def _prepare(self) -> int:
        """Make the lock file; return its permissions, which filelock would set to its own."""
        with translated(self._home.root):
            folders = open_for_writing(self._calls, self._home, self._note)
            try:
                # filelock opens by path; what it would open must be a file of ours.
                fd = self._calls.open_file(
                    folders.state, LOCK, os.O_RDWR | os.O_CREAT, folders.state.file_mode
                )
                try:
                    return stat.S_IMODE(os.fstat(fd).st_mode)
                finally:
                    os.close(fd)
            finally:
                folders.close(self._calls)

    def _holder(self) -> Holder | None:
        with translated(self._file), open_for_reading(self._calls, self._home) as (_, state):
            return None if state is None else read_holder(self._calls, state)

    def _sign(self) -> None:
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        holder = Holder(os.getpid(), socket.gethostname() or "unknown", now)
        data = json.dumps(holder.to_dict()).encode()
        with translated(self._file), open_for_reading(self._calls, self._home) as (_, state):
            if state is not None:
                write_state(self._calls, state, HOLDER, data)

    def _unsign(self) -> None:
        with translated(self._file), open_for_reading(self._calls, self._home) as (_, state):
            if state is not None:
                remove_if_there(self._calls, state, HOLDER)

    def _busy(self, holder: Holder | None) -> BusyError:
        who = str(holder) if holder else "another process"
        return BusyError(
            f"{shown(self._home.root)}: busy, {who} works on it",
            hint="wait for it to end, or run the command without --wait to wait for it",
        )
