"""The names by which readers of the shared cache find a file: links from a snapshot to blobs.

All functions run in a thread. Names are made in one step each, so that a reader sees an old one or
a new one and nothing in between.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import groupby

from hfdl_async.core.hubcache import pointer_name, pointer_target
from hfdl_async.core.model import RemoteFile
from hfdl_async.disk.calls import Calls, Folder, is_link
from hfdl_async.disk.folder import folder_at, split_path
from hfdl_async.disk.publish import Outcomes
from hfdl_async.disk.statefiles import remove_if_there, temporary_name
from hfdl_async.disk.trouble import translate


class Pointer(Enum):
    """What lies where readers look for a file."""

    MISSING = "missing"  # nothing, or a link to something else
    LINK = "link"  # the link that belongs there
    CONTENT = "content"  # a plain file: made where links cannot be


def look_at(
    calls: Calls, root: Folder, files: Iterable[RemoteFile], commit: str
) -> dict[str, Pointer]:
    """Return what lies at the pointer of each of *files*, by path."""
    found: dict[str, Pointer] = {}
    for folder, inside in _by_folder(files, commit):
        try:
            with folder_at(calls, root, folder) as opened:
                for file in inside:
                    found[file.path] = _look(calls, opened, file)
        except OSError:  # not there, or something else is in the way: making it will say so
            found.update({file.path: Pointer.MISSING for file in inside})
    return found


def _look(calls: Calls, folder: Folder, file: RemoteFile) -> Pointer:
    name = split_path(file.path)[1]
    try:
        status = calls.look(folder, name)
    except OSError:
        return Pointer.MISSING
    if stat.S_ISREG(status.st_mode):
        return Pointer.CONTENT
    if is_link(status) and calls.link_target(folder, name) == pointer_target(file):
        return Pointer.LINK
    return Pointer.MISSING


def make(calls: Calls, root: Folder, files: Iterable[RemoteFile], commit: str) -> Outcomes:
    """Make the pointers of *files*, durably; return by path what failed."""
    failed: Outcomes = {}
    for folder, inside in _by_folder(files, commit):
        try:
            with folder_at(calls, root, folder, create=True) as opened:
                for file in inside:
                    try:
                        _make(calls, opened, file)
                    except OSError as error:
                        failed[file.path] = translate(error, root.join(pointer_name(file, commit)))
                calls.sync_folder(opened)
        except OSError as error:
            for file in inside:
                where = root.join(pointer_name(file, commit))
                failed.setdefault(file.path, translate(error, where))
    return failed


def _make(calls: Calls, folder: Folder, file: RemoteFile) -> None:
    name, target = split_path(file.path)[1], pointer_target(file)
    try:
        calls.symlink(target, folder, name)
        return
    except FileExistsError:
        if calls.link_target(folder, name) == target:
            return
    if stat.S_ISDIR(calls.look(folder, name).st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    temporary = temporary_name(name)
    calls.symlink(target, folder, temporary)
    try:
        calls.rename(folder, temporary, folder, name)
    except OSError:
        remove_if_there(calls, folder, temporary)
        raise


def _by_folder(
    files: Iterable[RemoteFile], commit: str
) -> Iterator[tuple[str, Sequence[RemoteFile]]]:
    """Yield the folders of pointers below the repo's, each with its files."""

    def folder_of(file: RemoteFile) -> str:
        return split_path(pointer_name(file, commit))[0]

    for folder, inside in groupby(sorted(files, key=folder_of), folder_of):
        yield folder, list(inside)
