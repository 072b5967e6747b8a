"""Taking over content that is on this machine already: shared, linked or copied, always read."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Literal

import anyio
from anyio import to_thread

from hfdl_async.core.model import RemoteFile
from hfdl_async.core.names import shown
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.hashing import SLICE_BYTES, ContentHasher, read_slice
from hfdl_async.disk.native import UNSUPPORTED
from hfdl_async.disk.settled import Settled, identity_of
from hfdl_async.disk.statefiles import remove_if_there, temporary_name
from hfdl_async.disk.trouble import translated
from hfdl_async.errors import IntegrityError

LinkMode = Literal["clone", "hard", "copy"]

# A link cannot be made, a copy may: other file systems, no right to link, too many links already.
_NO_LINK = UNSUPPORTED | {errno.ENOENT, errno.EACCES, errno.EMLINK}
_OF_THE_TARGET = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC), errno.EFBIG, errno.EROFS}


async def place(
    calls: Calls,
    parts: Folder,
    file: RemoteFile,
    key: str,
    source: str,
    mode: LinkMode,
    report: Callable[[int], None],
    *,
    subject: str,
    limiter: anyio.CapacityLimiter,
) -> Settled:
    """Return *file*, taken over from the path *source*, verified and ready for its final name.

    *subject* is the path of that name, for messages. Whatever is raised, nothing is left behind.

    Raises:
        IntegrityError: the content there is another, or cannot be read.
        StorageError: the disk takes nothing more.
    """
    name = temporary_name(key)
    done = False
    fds: list[int] = []
    try:
        begin = partial(_begin, calls, parts, name, file, source, mode)
        with translated(subject, needed=file.size_bytes):
            fds, shared = await to_thread.run_sync(begin, limiter=limiter)
            with _reading(file, source):
                hasher = await _fill(calls, fds, file, report, shared=shared, limiter=limiter)
            _check(file, source, hasher, os.fstat(fds[0]).st_size)
            end = partial(_end, calls, fds, file, parts, name, hasher.cells())
            settled = await to_thread.run_sync(end, limiter=limiter)
            done = True
            return settled
    finally:
        if not done:
            with anyio.CancelScope(shield=True):  # two closes and one unlink
                await to_thread.run_sync(_give_up, calls, fds, parts, name, limiter=limiter)


@contextmanager
def _reading(file: RemoteFile, source: str) -> Iterator[None]:
    """Raise what goes wrong with *source* inside the block as content that is not there.

    While copying, an error does not say whose it is. Only what a source cannot cause is blamed on
    the target at once: the file is fetched instead, and a target that is broken says so again.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _OF_THE_TARGET:
            raise
        cause = error.strerror or str(error)
        raise IntegrityError(
            f"{shown(file.path)}: {shown(source)} cannot be read: {cause}",
            hint="run again without --reuse-from to fetch it",
        ) from error


def _begin(
    calls: Calls, parts: Folder, name: str, file: RemoteFile, source: str, mode: LinkMode
) -> tuple[list[int], bool]:
    """Open source and target; return whether the target has the content already."""
    if mode == "hard":
        try:
            calls.hardlink(os.path.realpath(source), parts, name)
            return [calls.open_file(parts, name, os.O_RDONLY)], True
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            remove_if_there(calls, parts, name)
    with _reading(file, source):
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        fds = [os.open(source, flags)]
    try:
        fds.append(calls.open_file(parts, name, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        with _reading(file, source):
            if mode != "copy" and calls.clone(fds[0], fds[1]):
                return fds, True
        calls.allocate(fds[1], file.size_bytes)
    except (OSError, IntegrityError):
        for fd in fds:
            os.close(fd)
        raise
    return fds, False


async def _fill(
    calls: Calls,
    fds: list[int],
    file: RemoteFile,
    report: Callable[[int], None],
    *,
    shared: bool,
    limiter: anyio.CapacityLimiter,
) -> ContentHasher:
    """Copy where nothing is shared; hash what the target holds."""
    algorithms = [] if file.digest is None else [file.digest.algorithm]
    hasher = ContentHasher(algorithms, file.size_bytes, cells=True)
    for start in range(0, file.size_bytes, SLICE_BYTES):
        stop = min(start + SLICE_BYTES, file.size_bytes)
        if not shared:
            copy = partial(calls.copy_range, fds[0], fds[1], start, stop - start)
            await to_thread.run_sync(copy, limiter=limiter)
        read = partial(read_slice, calls, fds[-1], start, stop, hasher.feed)
        await to_thread.run_sync(read, limiter=limiter)
        report(stop - start)
    return hasher


def _check(file: RemoteFile, source: str, hasher: ContentHasher, size: int) -> None:
    found = hasher.digest(file.digest.algorithm) if file.digest else None
    if file.digest is None or found != file.digest or size != file.size_bytes:
        seen = found.hex if found else "unknown"
        expected = file.digest.hex if file.digest else "unknown"
        raise IntegrityError(
            f"{shown(file.path)}: {shown(source)} holds something else "
            f"(found {seen}, expected {expected})",
            hint="run again without --reuse-from to fetch it",
        )


def _end(
    calls: Calls,
    fds: list[int],
    file: RemoteFile,
    parts: Folder,
    name: str,
    cells: tuple[str, ...],
) -> Settled:
    target = fds[-1]
    calls.sync_data(target)
    identity = identity_of(os.fstat(target))
    while fds:
        calls.close(fds.pop())
    return Settled(file, parts, name, identity, cells)


def _give_up(calls: Calls, fds: list[int], parts: Folder, name: str) -> None:
    while fds:
        os.close(fds.pop())
    with translated(parts.join(name)):
        remove_if_there(calls, parts, name)
