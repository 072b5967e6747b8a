"""Reading a finished file from front to back, and noticing when it changes meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import anyio
from anyio import to_thread

from hfdl_async.core.model import Algorithm, Digest
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.folder import folder_at, split_path
from hfdl_async.disk.hashing import SLICE_BYTES, ContentHasher, read_slice, read_through
from hfdl_async.disk.trouble import translated

Progress = Callable[[int], None]
"""Called with bytes as they are read; from the loop."""

Opener = Callable[[], int]
"""Opens the file to read and returns its descriptor; called in a thread."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a file was when it was read.

    `steady` says that it was one and the same file from the first byte to the last.
    """

    found: os.stat_result
    digests: dict[Algorithm, Digest]
    cells: tuple[str, ...]
    steady: bool


def opener_at(
    calls: Calls, root: Folder, path: str, *, follow: bool = False, through_links: bool = False
) -> Opener:
    """Return what opens *path* below *root* to read it.

    *follow* is about folders on the way, *through_links* about the file itself.
    """

    def open_it() -> int:
        folder, name = split_path(path)
        with folder_at(calls, root, folder, follow=follow) as parent:
            return calls.open_file(parent, name, os.O_RDONLY, follow=through_links)

    return open_it


async def read_content(
    calls: Calls,
    subject: str,
    opener: Opener,
    algorithms: Iterable[Algorithm],
    *,
    limiter: anyio.CapacityLimiter,
    progress: Progress | None = None,
) -> Content:
    """Return what the file *subject* holds.

    Raises:
        StorageError, UnsafeError: it cannot be read.
    """
    wanted = tuple(algorithms)
    reading = await to_thread.run_sync(_begin, calls, subject, opener, wanted, limiter=limiter)
    if isinstance(reading, Content):
        if progress is not None:
            progress(reading.found.st_size)
        return reading
    fd, before, hasher = reading
    try:
        with translated(subject):
            size = before.st_size
            await read_through(calls, fd, size, hasher.feed, limiter=limiter, progress=progress)
            return _content(hasher, before, os.fstat(fd), wanted)
    finally:
        os.close(fd)


def _begin(
    calls: Calls, subject: str, opener: Opener, algorithms: tuple[Algorithm, ...]
) -> Content | tuple[int, os.stat_result, ContentHasher]:
    """Open the file; read it as well when one hop is enough for that."""
    with translated(subject):
        fd = opener()
        try:
            before = os.fstat(fd)
            hasher = ContentHasher(algorithms, before.st_size, cells=True)
            if before.st_size > SLICE_BYTES:
                fd, handed_on = -1, fd
                return handed_on, before, hasher
            read_slice(calls, fd, 0, before.st_size, hasher.feed)
            return _content(hasher, before, os.fstat(fd), algorithms)
        finally:
            if fd >= 0:
                os.close(fd)


def _content(
    hasher: ContentHasher,
    before: os.stat_result,
    after: os.stat_result,
    algorithms: tuple[Algorithm, ...],
) -> Content:
    digests = {algorithm: hasher.digest(algorithm) for algorithm in algorithms}
    steady = (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
        after.st_size,
        after.st_mtime_ns,
        after.st_ctime_ns,
    )
    return Content(after, digests, hasher.cells(), steady)
