"""The folders of one download: the destination, our state in it, and whose it is. In threads."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hfdl_async.core.model import RepoRef
from hfdl_async.core.names import STATE_FOLDER, shown
from hfdl_async.core.sealed import StateRefused
from hfdl_async.core.state import (
    MAX_LISTING_BYTES,
    MAX_REPO_BYTES,
    Owner,
    StoredListing,
    decode_listing,
    decode_owner,
    encode_listing,
    encode_owner,
)
from hfdl_async.disk.calls import Calls, Folder, is_link
from hfdl_async.disk.home import Home
from hfdl_async.disk.partopen import Note
from hfdl_async.disk.statefiles import (
    read_state,
    set_aside,
    write_state,
)
from hfdl_async.disk.trouble import refused_newer

PARTS, OWNER, LISTING = "parts", "repo.json", "listing.json"


@dataclass(frozen=True, slots=True)
class Folders:
    """The open folders of a download."""

    root: Folder
    state: Folder
    parts: Folder

    def close(self, calls: Calls) -> None:
        """Let go of all three."""
        for folder in (self.parts, self.state, self.root):
            calls.close_folder(folder)


def open_for_writing(calls: Calls, home: Home, note: Note) -> Folders:
    """Open the folders and make those that are missing.

    Raises:
        OSError: ELOOP when one of ours is a link.
    """
    root = calls.open_root(home.root, create=True)
    if home.state_name == STATE_FOLDER:
        _set_predecessor_aside(calls, root, note)
    state = calls.open_folder(root, home.state_name, create=True, mode=home.mode)
    parts = calls.open_folder(state, PARTS, create=True, mode=home.mode)
    _write_gitignore(calls, state)
    return Folders(root, state, parts)


def _set_predecessor_aside(calls: Calls, root: Folder, note: Note) -> None:
    """Move a `.download_state` that is a file: the predecessor kept its state in one."""
    try:
        found = calls.look(root, STATE_FOLDER)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(found.st_mode) or is_link(found):
        return
    calls.rename(root, STATE_FOLDER, root, f"{STATE_FOLDER}.old")
    note(f"{shown(root.join(STATE_FOLDER))} of an older program was kept as {STATE_FOLDER}.old")


def _write_gitignore(calls: Calls, state: Folder) -> None:
    if _exists(calls, state, ".gitignore"):
        return
    fd = calls.open_file(state, ".gitignore", os.O_WRONLY | os.O_CREAT, state.file_mode)
    try:
        calls.write_at(fd, [b"*\n"], 0)
    finally:
        calls.close(fd)


def _exists(calls: Calls, folder: Folder, name: str) -> bool:
    try:
        calls.look(folder, name)
    except FileNotFoundError:
        return False
    return True


@contextmanager
def open_for_reading(calls: Calls, home: Home) -> Iterator[tuple[Folder | None, Folder | None]]:
    """Open the destination and our state in it, as far as they exist; changes nothing.

    Raises:
        OSError: they cannot be opened.
    """
    root, state = open_to_look(calls, home)
    try:
        yield root, state
    finally:
        for folder in (state, root):
            if folder is not None:
                calls.close_folder(folder)


def open_to_look(calls: Calls, home: Home) -> tuple[Folder | None, Folder | None]:
    """Open the destination and our state in it, as far as they exist.

    Raises:
        OSError: they cannot be opened.
    """
    try:
        root = calls.open_root(home.root)
    except FileNotFoundError:
        return None, None
    try:
        return root, calls.open_folder(root, home.state_name, mode=home.mode)
    except (FileNotFoundError, NotADirectoryError):
        return root, None  # a file of that name is the predecessor's
    except OSError:
        calls.close_folder(root)
        raise


@contextmanager
def folder_at(
    calls: Calls, root: Folder, path: str, *, create: bool = False, follow: bool = False
) -> Iterator[Folder]:
    """Open the folder *path* below *root*, one component at a time.

    Raises:
        OSError: ELOOP or ENOTDIR with the full path of the component that is in the way.
    """
    current = root
    try:
        for name in path.split("/") if path else ():
            inner = calls.open_folder(current, name, create=create, follow=follow)
            if current is not root:
                calls.close_folder(current)
            current = inner
        yield current
    finally:
        if current is not root:
            calls.close_folder(current)


def split_path(path: str) -> tuple[str, str]:
    """Return the folder and the name of *path*, a path in the repo."""
    folder, _, name = path.rpartition("/")
    return folder, name


def rows_by_folder(paths: Iterable[str]) -> dict[str, list[int]]:
    """Return the rows of *paths* by the folder that they are in."""
    folders: dict[str, list[int]] = {}
    for row, path in enumerate(paths):
        folders.setdefault(path.rpartition("/")[0], []).append(row)
    return folders


def read_owner(calls: Calls, state: Folder, note: Note | None = None) -> Owner | None:
    """Return whose folder this is, or None where nothing (usable) says so.

    Raises:
        StorageError: a newer version wrote it.
    """
    try:
        data = read_state(calls, state, OWNER, MAX_REPO_BYTES)
        return None if data is None else decode_owner(data)
    except StateRefused as refusal:
        _refused(calls, state, OWNER, refusal, note)
        return None


def read_listing(calls: Calls, state: Folder, note: Note | None = None) -> StoredListing | None:
    """Return the listing this folder was last filled from, or None.

    Raises:
        StorageError: a newer version wrote it.
    """
    try:
        data = read_state(calls, state, LISTING, MAX_LISTING_BYTES)
        return None if data is None else decode_listing(data)
    except StateRefused as refusal:
        _refused(calls, state, LISTING, refusal, note)
        return None


def _refused(
    calls: Calls, state: Folder, name: str, refusal: StateRefused, note: Note | None
) -> None:
    """Set what cannot be used aside and say so; without *note* change nothing."""
    path = state.join(name)
    if refusal.newer:
        raise refused_newer(path, refusal) from refusal
    if note is not None:
        aside = set_aside(calls, state, name)
        note(f"{shown(path)} could not be used ({refusal.reason}); it is kept as {aside}")


def write_owner(calls: Calls, state: Folder, repo: RepoRef, commit: str) -> None:
    """Note that the folder is filled from *commit* of *repo*."""
    owner = Owner(repo.repo_id, repo.repo_type, repo.endpoint, repo.revision, commit)
    _write_if_new(calls, state, OWNER, encode_owner(owner), MAX_REPO_BYTES)


def write_listing(calls: Calls, state: Folder, listing: StoredListing) -> None:
    """Keep *listing* for those who ask without a network."""
    _write_if_new(calls, state, LISTING, encode_listing(listing), MAX_LISTING_BYTES)


def _write_if_new(calls: Calls, state: Folder, name: str, data: bytes, limit: int) -> None:
    try:
        if read_state(calls, state, name, limit) == data:
            return
    except StateRefused:
        set_aside(calls, state, name)
    write_state(calls, state, name, data)
