"""Small files on their way from memory to the disk: written first, many of them, then synced.

The commit that the first sync waits for has most of the others in it. Everything runs in threads;
what fails is a value, and leaves nothing behind.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.memorypart import MemoryPart
from hfdl_async.disk.settled import Settled, identity_of
from hfdl_async.disk.statefiles import TEMPORARY, remove_if_there
from hfdl_async.disk.trouble import explain
from hfdl_async.errors import HfdlError

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL
_OURS = f"{os.getpid()}-{secrets.token_hex(8)}"
_numbers = count()


@dataclass(frozen=True, slots=True)
class Failed:
    """A file that could not be written or synced."""

    path: str
    error: HfdlError


@dataclass(slots=True)
class Written:
    """A file that is complete under a name of ours, but not yet for good."""

    part: MemoryPart
    name: str
    fd: int


def write(calls: Calls, folder: Folder, part: MemoryPart) -> Written | Failed:
    """Write *part* to a file of its own in *folder*; it stays open for `sync`."""
    name = f"{_OURS}-{next(_numbers)}{TEMPORARY}"
    try:
        fd = calls.open_file(folder, name, _NEW)
    except OSError as error:
        return _failed(part, folder.join(name), error)
    written = Written(part, name, fd)
    try:
        calls.write_at(fd, part.content(), 0)
    except OSError as error:
        return _give_up(calls, folder, written, error)
    return written


def sync(calls: Calls, folder: Folder, written: Written) -> Settled | Failed:
    """Make what was written durable, and close it."""
    part, fd = written.part, written.fd
    try:
        calls.sync_data(fd)
        identity = identity_of(os.fstat(fd))
    except OSError as error:
        return _give_up(calls, folder, written, error)
    try:
        calls.close(fd)
    except OSError as error:
        return _remove(calls, folder, written, error)
    return Settled(part.file, folder, written.name, identity, part.cells())


def _give_up(calls: Calls, folder: Folder, written: Written, error: OSError) -> Failed:
    with suppress(OSError):  # the first error is the one to tell
        calls.close(written.fd)
    return _remove(calls, folder, written, error)


def _remove(calls: Calls, folder: Folder, written: Written, error: OSError) -> Failed:
    with suppress(OSError):  # the next run removes it
        remove_if_there(calls, folder, written.name)
    return _failed(written.part, folder.join(written.name), error)


def _failed(part: MemoryPart, subject: str, error: OSError) -> Failed:
    return Failed(part.file.path, explain(error, subject, needed=part.file.size_bytes))
