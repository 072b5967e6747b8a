"""What the target file system does to names, and how much room it has."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

from hfdl_async.core.names import Naming
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.native import UNSUPPORTED
from hfdl_async.disk.statefiles import TEMPORARY, remove_if_there, temporary_name

_COMPONENT_BYTES = 255
_PATH_BYTES = {"darwin": 1024, "win32": 32_000}  # Linux and the rest: 4096


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of one file system; *free* is what this user may still write."""

    free: int
    total: int


def nearest_existing(path: Path) -> Path:
    """Return *path* or the nearest folder above it that exists."""
    for candidate in (path, *path.parents):
        if candidate.is_dir():
            return candidate
    return Path(path.anchor or ".")


def space_at(path: Path) -> Space:
    """Return the room on the file system that *path* is or will be on.

    Raises:
        OSError: nobody can say.
    """
    usage = shutil.disk_usage(nearest_existing(path))
    return Space(usage.free, usage.total)


def probe_by_looking(path: Path) -> Naming:
    """Return what can be learnt about names at *path* without writing anything."""
    case_insensitive = _ignores_case(nearest_existing(path))
    normalises = sys.platform == "darwin" or case_insensitive
    return _naming(path, case_insensitive, normalises, windows=os.name == "nt")


def _ignores_case(folder: Path) -> bool:
    """Return whether a folder on the way to *folder* also answers to its name in other case."""
    if os.name == "nt":
        return True
    for candidate in (folder, *folder.parents):
        other = candidate.with_name(candidate.name.swapcase()) if candidate.name else candidate
        if other == candidate:
            continue
        try:
            return os.path.samestat(os.stat(other), os.stat(candidate))
        except OSError:
            return False
    return sys.platform == "darwin"


def probe_by_writing(calls: Calls, state: Folder, path: Path) -> Naming:
    """Return what the file system does to names, tried out in our own folder.

    Raises:
        OSError: nothing can be written there.
    """
    token = secrets.token_hex(4)
    composed = unicodedata.normalize("NFC", f"probe-{token}-e\u0301{TEMPORARY}")
    _make(calls, state, composed)
    try:
        case_insensitive = _answers(calls, state, composed.upper())
        normalises = _answers(calls, state, unicodedata.normalize("NFD", composed))
    finally:
        remove_if_there(calls, state, composed)
    windows = os.name == "nt" or not _keeps(calls, state, f"probe-{token}:{TEMPORARY}")
    return _naming(path, case_insensitive, normalises, windows=windows)


def can_link(calls: Calls, state: Folder) -> bool:
    """Return whether symbolic links can be made here, tried out in our own folder.

    Raises:
        OSError: nothing can be written there.
    """
    name = temporary_name("probe-link")
    try:
        calls.symlink("target", state, name)
    except OSError as error:
        if error.errno not in UNSUPPORTED | {errno.EACCES}:
            raise
        return False
    remove_if_there(calls, state, name)
    return True


def _naming(path: Path, case_insensitive: bool, normalises: bool, *, windows: bool) -> Naming:
    longest = _PATH_BYTES.get(sys.platform, 4096)
    room = longest - len(os.fsencode(path.absolute())) - 2  # a separator and the final NUL
    return Naming(case_insensitive, normalises, windows, _COMPONENT_BYTES, max(room, 1))


def _make(calls: Calls, folder: Folder, name: str) -> None:
    calls.close(calls.open_file(folder, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _answers(calls: Calls, folder: Folder, name: str) -> bool:
    try:
        calls.look(folder, name)
    except OSError:
        return False
    return True


def _keeps(calls: Calls, folder: Folder, name: str) -> bool:
    """Return whether *name*, which Windows would refuse, is stored as it is."""
    try:
        _make(calls, folder, name)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):
            raise
        return False
    try:
        return name in calls.names_in(folder)
    finally:
        remove_if_there(calls, folder, name)
