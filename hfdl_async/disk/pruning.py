"""Removing files of ours that the repo no longer has: only what nobody touched since. In a thread.

Each file goes first and its receipt last, so that a kill between them leaves a receipt without a
file, which the next run drops. A file that somebody changed meanwhile is theirs, and stays.
"""

from __future__ import annotations

import stat
import unicodedata
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from itertools import groupby

from hfdl_async.core.state import Receipt
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.folder import Folders, folder_at, split_path
from hfdl_async.disk.localrecords import forget_records
from hfdl_async.disk.receipts import Receipts, fits


@dataclass(frozen=True, slots=True)
class Pruned:
    """What became of the files that a repo no longer has, by path.

    Attributes:
        removed: gone now.
        kept: still there, because somebody changed them since they were fetched.
        failed: still there, because they cannot be removed.
    """

    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class _Fate(Enum):
    """What became of one file."""

    REMOVED = "removed"
    KEPT = "kept"
    FAILED = "failed"
    GONE = "gone"  # it was not there any more


def prune(
    calls: Calls, folders: Folders, receipts: Receipts, kept: Collection[str], *, follow: bool
) -> Pruned:
    """Remove the files with receipts whose paths are not among *kept*, and what that empties.

    Raises:
        OSError: it is not durable: what is gone may be back after a power failure.
    """
    wanted = set(kept)
    outdated = [receipts.by_path[path] for path in receipts.packed if path not in wanted]
    if not outdated:
        return Pruned()
    # Where case does not count, a renamed file is the one that is to stay, under its old name.
    staying = {
        (_folded(path), held.inode) for path, held in receipts.by_path.items() if path in wanted
    }
    fates: dict[str, _Fate] = {
        held.path: _Fate.GONE for held in outdated if (_folded(held.path), held.inode) in staying
    }
    outdated = [held for held in outdated if held.path not in fates]
    for folder, inside in groupby(sorted(outdated, key=_folder_of), _folder_of):
        fates.update(_prune_folder(calls, folders.root, folder, list(inside), follow=follow))

    def with_fate(fate: _Fate) -> tuple[str, ...]:
        return tuple(sorted(path for path, its in fates.items() if its is fate))

    removed = with_fate(_Fate.REMOVED)
    _remove_empty(calls, folders.root, {split_path(path)[0] for path in removed}, follow)
    forget_records(calls, folders.root, removed)
    kept_ones = with_fate(_Fate.KEPT)  # somebody changed them: they are not ours any more
    receipts.drop(folders.state, [*removed, *kept_ones, *with_fate(_Fate.GONE)])
    return Pruned(removed, kept_ones, with_fate(_Fate.FAILED))


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path).casefold()


def _folder_of(receipt: Receipt) -> str:
    return split_path(receipt.path)[0]


def _prune_folder(
    calls: Calls, root: Folder, folder: str, receipts: Sequence[Receipt], *, follow: bool
) -> dict[str, _Fate]:
    with ExitStack() as stack:
        try:
            opened = stack.enter_context(folder_at(calls, root, folder, follow=follow))
        except OSError:  # removed, a link, a file: what was ours is not there
            return {receipt.path: _Fate.GONE for receipt in receipts}
        fates = {receipt.path: _remove(calls, opened, receipt) for receipt in receipts}
        if _Fate.REMOVED in fates.values():
            calls.sync_folder(opened)
        return fates


def _remove(calls: Calls, folder: Folder, receipt: Receipt) -> _Fate:
    name = split_path(receipt.path)[1]
    try:
        found = calls.look(folder, name)
        if not stat.S_ISREG(found.st_mode):
            return _Fate.GONE
        if not fits(receipt, found):
            return _Fate.KEPT
        calls.unlink(folder, name)
    except FileNotFoundError:
        return _Fate.GONE
    except OSError:
        return _Fate.FAILED
    return _Fate.REMOVED


def _remove_empty(calls: Calls, root: Folder, emptied: Collection[str], follow: bool) -> None:
    """Remove those of the folders *emptied* that are empty, and the parents that this empties."""
    left = set(emptied) - {""}
    while left:
        path = max(left, key=lambda path: path.count("/"))  # the innermost first
        left.remove(path)
        above, name = split_path(path)
        try:
            with folder_at(calls, root, above, follow=follow) as parent:
                removed = calls.remove_folder(parent, name)
                if removed:
                    calls.sync_folder(parent)
        except OSError:
            continue  # a link, or not ours to remove: an empty folder does no harm
        if removed and above:
            left.add(above)
