"""The names by which readers of the shared cache find a file: links from a snapshot to blobs.

All functions run in a thread. Names are made in one step each, so that a reader sees an old one or
a new one and nothing in between.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from itertools import groupby

from hfdl_async.core.filetable import remote_files
from hfdl_async.core.hubcache import blob_name_in, pointer_name, pointer_target, way_to_root
from hfdl_async.core.model import RemoteFile
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.folder import Folders, folder_at, rows_by_folder, split_path
from hfdl_async.disk.publish import Outcomes
from hfdl_async.disk.statefiles import remove_if_there, temporary_name
from hfdl_async.disk.trouble import translate


class Pointer(Enum):
    """What lies where readers look for a file."""

    MISSING = "missing"  # nothing, or a link to something else
    LINK = "link"  # the link that belongs there
    CONTENT = "content"  # a plain file: made where links cannot be
    BLOCKED = "blocked"  # a folder, or a file where a folder has to be


def look_at(
    calls: Calls, root: Folder, files: Iterable[RemoteFile], commit: str
) -> dict[str, Pointer]:
    """Return what lies at the pointer of each of *files*, by path.

    Raises:
        OSError: ELOOP when a folder on the way is a link; it cannot be looked into.
    """
    table = remote_files(files).table
    found = dict.fromkeys(table.paths, Pointer.MISSING)
    snapshot = f"snapshots/{commit}"
    for folder, rows in rows_by_folder(table.paths).items():
        place = f"{snapshot}/{folder}" if folder else snapshot
        inside = ((table.paths[row], table.hashes[row]) for row in rows)
        above = way_to_root(table.paths[rows[0]])
        try:
            with folder_at(calls, root, place) as opened:
                for path, hashes in inside:
                    found[path] = _look(calls, opened, path, above + blob_name_in(hashes))
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            found.update((table.paths[row], Pointer.BLOCKED) for row in rows)
    return found


def _look(calls: Calls, folder: Folder, path: str, target: str) -> Pointer:
    name = split_path(path)[1]
    if calls.link_target(folder, name) == target:
        return Pointer.LINK
    try:
        status = calls.look(folder, name)
    except FileNotFoundError:
        return Pointer.MISSING
    if stat.S_ISDIR(status.st_mode):
        return Pointer.BLOCKED
    return Pointer.CONTENT if stat.S_ISREG(status.st_mode) else Pointer.MISSING


def make(
    calls: Calls,
    folders: Folders,
    files: Iterable[RemoteFile],
    commit: str,
) -> Outcomes:
    """Make the pointers of *files*, durably; return by path what failed."""
    failed: Outcomes = {}

    def note(error: OSError, file: RemoteFile) -> None:
        where = folders.root.join(pointer_name(file, commit))
        failed.setdefault(file.path, translate(error, where))

    for folder, inside in _by_folder(files, commit):
        try:
            with folder_at(calls, folders.root, folder, create=True) as opened:
                for file in inside:
                    try:
                        _make(calls, opened, file, folders.parts)
                    except OSError as error:
                        note(error, file)
                calls.sync_folder(opened)
        except OSError as error:
            for file in inside:
                note(error, file)
    return failed


def _make(calls: Calls, folder: Folder, file: RemoteFile, staging: Folder) -> None:
    name, target = split_path(file.path)[1], pointer_target(file)
    try:
        calls.symlink(target, folder, name)
        return
    except FileExistsError:
        if calls.link_target(folder, name) == target:
            return
    # Whatever is there, or was: the reference client removes a link before it makes the new one.
    temporary = temporary_name("link")
    calls.symlink(target, staging, temporary)
    try:
        calls.rename(staging, temporary, folder, name)
    except OSError:
        remove_if_there(calls, staging, temporary)
        raise


def _by_folder(
    files: Iterable[RemoteFile], commit: str
) -> Iterator[tuple[str, Sequence[RemoteFile]]]:
    """Yield the folders of pointers below the repo's, each with its files."""

    def folder_of(file: RemoteFile) -> str:
        return split_path(pointer_name(file, commit))[0]

    for folder, inside in groupby(sorted(files, key=folder_of), folder_of):
        yield folder, list(inside)
