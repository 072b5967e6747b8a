"""The reference client's records in a plain folder: ours for it to find, and those it left.

With them `hf download --local-dir` finds nothing to do in a folder that we filled. They are worth
one request each at most, so nothing here is synced, and what cannot be written is no failure of a
download. Links are never followed on the way. All functions run in a thread.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby

from hfdl_async.core.hubcache import CACHEDIR_TAG, encode_tree
from hfdl_async.core.localrecords import (
    DOWNLOADS_FOLDER,
    GITIGNORE,
    MAX_RECORD_BYTES,
    RECORDS_FOLDER,
    TREES_FOLDER,
    LocalRecord,
    decode_local_record,
    encode_local_record,
    record_name,
)
from hfdl_async.core.model import Listing
from hfdl_async.core.sealed import StateRefused
from hfdl_async.core.state import Receipt
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.folder import folder_at, split_path
from hfdl_async.disk.statefiles import read_state, remove_if_there, temporary_name

_NS = 1_000_000_000


def read_record(calls: Calls, root: Folder, path: str) -> LocalRecord | None:
    """Return the record of the file *path* below *root*, or None where there is none to be used."""
    folder, name = split_path(record_name(path))
    try:
        with folder_at(calls, root, folder) as opened:
            data = read_state(calls, opened, name, MAX_RECORD_BYTES)
    except (OSError, StateRefused):
        return None
    return None if data is None else decode_local_record(data)


def write_records(calls: Calls, root: Folder, receipts: Iterable[Receipt], commit: str) -> None:
    """Note below *root* that the files of *receipts* are those of *commit*.

    Files without a digest have no etag, and are left out.

    Raises:
        OSError: some of it could not be written.
    """
    with _folder(calls, root, RECORDS_FOLDER) as (ours, _):
        for name, data in (("CACHEDIR.TAG", CACHEDIR_TAG), (".gitignore", GITIGNORE)):
            with suppress(FileExistsError):
                _write(calls, ours, name, data)

    def folder_of(receipt: Receipt) -> str:
        return split_path(receipt.path)[0]

    with _folder(calls, root, DOWNLOADS_FOLDER) as (downloads, _):
        for folder, inside in groupby(sorted(receipts, key=folder_of), folder_of):
            with _folder(calls, downloads, folder) as (opened, is_new):
                there = set() if is_new else set(calls.names_in(opened))
                for receipt in inside:
                    _note(calls, opened, receipt, commit, there)


def _note(calls: Calls, folder: Folder, receipt: Receipt, commit: str, there: set[str]) -> None:
    """Write the record of one file in *folder*, which has the names *there*."""
    if receipt.digest is None:
        return
    name = split_path(record_name(receipt.path))[1]
    if name in there:
        known = _read(calls, folder, name)
        if (
            known is not None
            and (known.commit, known.etag) == (commit, receipt.digest.hex)
            and known.covers(receipt.mtime_ns)
        ):
            return
        calls.unlink(folder, name)  # it may be a link, or have a second name elsewhere
    # A file may come from the future: what was linked keeps the time of its first name.
    stamp = max(time.time(), receipt.mtime_ns / _NS)
    try:
        _write(
            calls, folder, name, encode_local_record(LocalRecord(commit, receipt.digest.hex, stamp))
        )
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:  # the reference client has none for such a name, too
            raise


def has_tree(calls: Calls, root: Folder, commit: str) -> bool:
    """Return whether the listing of *commit* is kept, which is done last of all."""
    folder, name = split_path(f"{TREES_FOLDER}/{commit}.json")
    try:
        with folder_at(calls, root, folder) as trees:
            calls.look(trees, name)
    except OSError:
        return False
    return True


def write_tree(calls: Calls, root: Folder, listing: Listing) -> None:
    """Keep the whole *listing*, unless it is there, or something that its form needs is unknown.

    Raises:
        OSError: it could not be written.
    """
    name = f"{listing.commit}.json"
    with _folder(calls, root, TREES_FOLDER) as (trees, _):
        with suppress(FileNotFoundError):
            calls.look(trees, name)
            return
        tree = encode_tree(listing)
        if tree is None:
            return
        temporary = temporary_name(name)
        try:
            _write(calls, trees, temporary, tree)
            calls.rename(trees, temporary, trees, name)
        except OSError:
            remove_if_there(calls, trees, temporary)
            raise


def forget_records(calls: Calls, root: Folder, paths: Sequence[str]) -> None:
    """Remove the records of *paths*, which are gone; one that stays does no harm."""
    for path in paths:
        folder, name = split_path(record_name(path))
        with suppress(OSError), folder_at(calls, root, folder) as opened:
            calls.unlink(opened, name)


def _read(calls: Calls, folder: Folder, name: str) -> LocalRecord | None:
    try:
        fd = calls.open_file(folder, name, os.O_RDONLY)
    except OSError:
        return None
    try:
        return decode_local_record(os.read(fd, MAX_RECORD_BYTES))
    except OSError:
        return None
    finally:
        os.close(fd)


def _write(calls: Calls, folder: Folder, name: str, data: bytes) -> None:
    fd = calls.open_file(folder, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        calls.write_at(fd, [data], 0)
    finally:
        calls.close(fd)


@contextmanager
def _folder(calls: Calls, root: Folder, path: str) -> Iterator[tuple[Folder, bool]]:
    """Open the folder *path* below *root*, making what is missing; say whether that was all of it.

    Other than `folder_at` it syncs nothing: thousands of small folders would take seconds.

    Raises:
        OSError: ELOOP or ENOTDIR with the full path of the component that is in the way.
    """
    current, is_new = root, False
    try:
        for name in path.split("/") if path else ():
            is_new = calls.make_folder(current, name)
            inner = calls.open_folder(current, name)
            if current is not root:
                calls.close_folder(current)
            current = inner
        yield current, is_new
    finally:
        if current is not root:
            calls.close_folder(current)
