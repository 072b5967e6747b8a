"""State files: read with a limit, replaced in one step, set aside when they cannot be used."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterator

from hfdl_async.core.model import MIB
from hfdl_async.core.sealed import StateRefused
from hfdl_async.disk.calls import Calls, Folder, is_link

BLOCK_BYTES = 1 * MIB
TEMPORARY = ".tmp"  # ends the name of every file that is worthless once its writer is gone


def temporary_name(name: str) -> str:
    """Return a name beside *name* that nobody else uses."""
    return f"{name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}"


def read_state(calls: Calls, folder: Folder, name: str, limit: int) -> bytes | None:
    """Return what the state file *name* holds, or None where there is none.

    Raises:
        StateRefused: it is a link or no plain file, or larger than *limit* bytes.
        OSError: it cannot be read.
    """
    size = _size_of(calls, folder, name, limit)
    if size is None:
        return None
    blocks = list(_blocks(calls, folder, name, size, size))
    return blocks[0] if blocks else b""


def read_lines(calls: Calls, folder: Folder, name: str, limit: int) -> Iterator[bytes]:
    r"""Yield what lies between the line ends (\n) of the state file *name*, last what follows them.

    Only some of it is in memory at any time. A file that is missing or empty has none.

    Raises:
        StateRefused, OSError: as `read_state`.
    """
    size = _size_of(calls, folder, name, limit)
    if not size:
        return
    rest: list[bytes] = []  # of a line that began in an earlier block
    for block in _blocks(calls, folder, name, size, BLOCK_BYTES):
        *lines, last = block.split(b"\n")
        if lines:
            lines[0] = b"".join((*rest, lines[0]))
            yield from lines
            rest.clear()
        rest.append(last)
    yield b"".join(rest)


def _size_of(calls: Calls, folder: Folder, name: str, limit: int) -> int | None:
    """Return the size of a state file that may be read, or None where there is none."""
    try:
        found = calls.look(folder, name)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISREG(found.st_mode) or is_link(found):
        raise StateRefused("not a plain file")
    if found.st_size > limit:
        raise StateRefused(f"larger than {limit} bytes")
    return found.st_size


def _blocks(calls: Calls, folder: Folder, name: str, size: int, most: int) -> Iterator[bytes]:
    """Yield the first *size* bytes of a file, *most* at a time, or what there is of them."""
    if not size:
        return
    fd = calls.open_file(folder, name, os.O_RDONLY)
    try:
        for start in range(0, size, most):
            buffer = bytearray(min(most, size - start))
            count = calls.read_into(fd, memoryview(buffer), start)
            if count:
                yield bytes(memoryview(buffer)[:count])
            if count < len(buffer):
                return
    finally:
        os.close(fd)


def write_state(
    calls: Calls, folder: Folder, name: str, data: bytes, *, staging: Folder | None = None
) -> None:
    """Replace the state file *name* in one step: the old one stays until the new one is safe.

    It is written in *staging*, or beside the old one: in a folder that others read, nothing may be
    left behind when we are killed.

    Raises:
        OSError: the old one is still there.
    """
    temporary, aside = temporary_name(name), staging or folder
    fd = calls.open_file(aside, temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, folder.file_mode)
    try:
        try:
            calls.write_at(fd, [data], 0)
            calls.sync_data(fd)
        finally:
            calls.close(fd)
        calls.rename(aside, temporary, folder, name)
    except OSError:
        remove_if_there(calls, aside, temporary)
        raise
    calls.sync_folder(folder)


def remove_if_there(calls: Calls, folder: Folder, name: str) -> bool:
    """Remove *name* whatever it is, a folder by setting it aside; return whether it was there."""
    try:
        calls.unlink(folder, name)
    except FileNotFoundError:
        return False
    except (IsADirectoryError, PermissionError):  # Linux says the one of a folder, others the other
        if not stat.S_ISDIR(calls.look(folder, name).st_mode):
            raise
        set_aside(calls, folder, name)
    return True


def set_aside(calls: Calls, folder: Folder, name: str) -> str:
    """Keep what has the name *name* under another one, once; return that name."""
    aside = f"{name}.bad"
    try:
        calls.rename(folder, name, folder, aside)
    except OSError:
        aside = f"{aside}-{secrets.token_hex(4)}"  # something that cannot be replaced was there
        calls.rename(folder, name, folder, aside)
    return aside
