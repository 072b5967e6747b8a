"""`OSError` turned into what a user reads: the file, the cause, the next step."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from hfdl_async.core.names import shown
from hfdl_async.core.planning import amount
from hfdl_async.core.sealed import StateRefused
from hfdl_async.errors import HfdlError, StorageError, UnsafeError

_NO_ROOM = {
    errno.ENOSPC: "the disk is full",
    getattr(errno, "EDQUOT", -1): "the disk quota is used up",
    errno.EFBIG: "the file system cannot hold a file of this size",
}
_CAUSES = {
    errno.EROFS: ("the file system is read-only", "choose a folder that can be written to"),
    errno.EACCES: ("permission denied", "check who owns the folder and its permissions"),
    errno.EPERM: ("the operation is not permitted", "check who owns the folder"),
    errno.EIO: ("the disk reported an I/O error", "check the disk, then run the command again"),
    errno.ENAMETOOLONG: ("the name is too long for this file system", "choose a shorter folder"),
    errno.EISDIR: ("a folder is in the way", "move it aside, then run the command again"),
    errno.ENOTEMPTY: ("a folder is in the way", "move it aside, then run the command again"),
    errno.ENOTDIR: ("a file is where a folder has to be", "move it aside, then run again"),
    errno.EMFILE: ("too many open files", "raise the limit (ulimit -n) or use fewer connections"),
    errno.ENFILE: ("too many open files on this machine", "close programs, then run again"),
    errno.ENOENT: ("it went away during the run", "run the command again"),
    getattr(errno, "ESTALE", -2): ("the network drive went away", "mount it, then run again"),
}

_FOR_EVERY_FILE = {errno.ENOSPC, getattr(errno, "EDQUOT", -1), errno.EROFS, errno.EIO}
_FOR_EVERY_FILE.add(getattr(errno, "ESTALE", -2))


def translate(error: OSError, subject: str, *, needed: int = 0, free: int = -1) -> HfdlError:
    """Return the error of ours for *error* at *subject* (a path, as it is).

    *needed* is how many bytes of disk it takes still, *free* how many there are; where known.
    """
    name = shown(subject)
    if error.errno == errno.ELOOP:
        return UnsafeError(
            f"{name}: a symbolic link is in the way, and links are not followed",
            hint="remove the link, or pass --allow symlinks",
        )
    if error.errno in _NO_ROOM:
        figures = f", {amount(needed)} are needed" if needed else ""
        figures += f", {amount(free)} are free" if free >= 0 else ""
        return StorageError(
            f"{name}: {_NO_ROOM[error.errno]}{figures}",
            hint="free some space, then run the same command to go on where it stopped",
            ends_run=error.errno in _FOR_EVERY_FILE,
        )
    cause, hint = _CAUSES.get(error.errno or 0, (error.strerror or str(error), None))
    return StorageError(f"{name}: {cause}", hint=hint, ends_run=error.errno in _FOR_EVERY_FILE)


def is_for_want_of_room(error: HfdlError) -> bool:
    """Return whether *error* was made of one that says that there is no room."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _NO_ROOM


@contextmanager
def translated(subject: str, *, needed: int = 0) -> Iterator[None]:
    """Raise what goes wrong with *subject* inside the block as an error of ours."""
    try:
        yield
    except OSError as error:
        raise explain(error, subject, needed=needed) from error


def explain(error: OSError, subject: str, *, needed: int = 0) -> HfdlError:
    """Return the error of ours for *error*, with what is free where there is no room."""
    return translate(error, subject, needed=needed, free=_free(error, subject))


def _free(error: OSError, subject: str) -> int:
    if error.errno not in _NO_ROOM or not os.path.isabs(subject) or not hasattr(os, "statvfs"):
        return -1
    folder = os.path.dirname(subject)
    while not os.path.isdir(folder) and folder != os.path.dirname(folder):
        folder = os.path.dirname(folder)  # it is made when the file gets its name
    try:
        found = os.statvfs(folder)
    except OSError:
        return -1
    return found.f_bavail * found.f_frsize


def refused_newer(path: str, refusal: StateRefused) -> StorageError:
    """Return the error of state that a newer version wrote: it is left alone."""
    return StorageError(
        f"{shown(path)}: written by a newer version ({refusal.reason})",
        hint="update hfdl-async, or use another folder with --local-dir",
    )
