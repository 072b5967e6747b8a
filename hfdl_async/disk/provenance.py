"""Who put a file there that is not ours: somebody, or a downloader that can bring it again.

What a person made is never replaced without being asked. Two things show that nobody did: the
reference client's record of the file, when the content is still what it notes, and content that is
no more than a git-LFS pointer to the very file that is wanted.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import Enum
from functools import partial

import anyio
from anyio import to_thread

from hfdl_async.core.finding import Finding, Found
from hfdl_async.core.localrecords import MAX_POINTER_BYTES, decode_lfs_pointer
from hfdl_async.core.model import Digest, RemoteFile
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.crew import for_each
from hfdl_async.disk.folder import folder_at, split_path
from hfdl_async.disk.localrecords import read_record
from hfdl_async.disk.reading import opener_at, read_content
from hfdl_async.errors import HfdlError

SOMEBODYS = (Found.FOREIGN, Found.CHANGED)


async def without_downloads(
    calls: Calls,
    root: Folder,
    files: Iterable[RemoteFile],
    findings: Mapping[str, Finding],
    *,
    follow: bool,
    disk: anyio.CapacityLimiter,
    hashing: anyio.CapacityLimiter,
) -> dict[str, Finding]:
    """Return *findings*, with what a downloader put there as `OLDER` instead of somebody's."""
    judged = dict(findings)

    async def judge(file: RemoteFile) -> None:
        look = partial(_look, calls, root, file, follow=follow)
        evidence = await to_thread.run_sync(look, limiter=disk)
        if isinstance(evidence, Digest):
            found = await _content(calls, root, file, evidence, follow=follow, hashing=hashing)
            evidence = Evidence.SUFFICES if found == evidence else Evidence.NONE
        if evidence is Evidence.SUFFICES:
            judged[file.path] = replace(judged[file.path], state=Found.OLDER)

    somebodys = [file for file in files if findings[file.path].state in SOMEBODYS]
    await for_each(somebodys, judge, tasks=int(hashing.total_tokens))
    return judged


class Evidence(Enum):
    """What was found out about who made a file, where it is not a digest to be compared."""

    NONE = "none"
    SUFFICES = "suffices"


def _look(calls: Calls, root: Folder, file: RemoteFile, *, follow: bool) -> Evidence | Digest:
    """Return what speaks for a downloader; a digest says so only if the content still has it."""
    folder, name = split_path(file.path)
    try:
        with folder_at(calls, root, folder, follow=follow) as opened:
            fd = calls.open_file(opened, name, os.O_RDONLY)
            try:
                found = os.fstat(fd)
                data = bytearray(MAX_POINTER_BYTES + 1)
                count = calls.read_into(fd, memoryview(data), 0)
            finally:
                os.close(fd)
    except OSError:
        return Evidence.NONE
    if decode_lfs_pointer(bytes(data[:count])) == (file.digest, file.size_bytes):
        return Evidence.SUFFICES
    record = read_record(calls, root, file.path)
    noted = record.digest if record is not None and record.covers(found.st_mtime_ns) else None
    return noted or Evidence.NONE


async def _content(
    calls: Calls,
    root: Folder,
    file: RemoteFile,
    expected: Digest,
    *,
    follow: bool,
    hashing: anyio.CapacityLimiter,
) -> Digest | None:
    """Return the digest of what lies at *file*'s name, of the kind of *expected*."""
    opener = opener_at(calls, root, file.path, follow=follow)
    algorithms = [expected.algorithm]
    try:
        content = await read_content(
            calls, root.join(file.path), opener, algorithms, limiter=hashing
        )
    except HfdlError:
        return None
    return content.digests[expected.algorithm] if content.steady else None
