"""Final names for verified files, many at once, in the one order that survives a power failure.

Each content is synced under a name of ours (`settle`); then all get their final names; then each
folder that was touched is synced once; then the receipts are written and synced together; only
then are the resume records removed. A failure keeps its file from the steps that follow.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress

from hfdl_async.core.names import shown
from hfdl_async.core.state import Receipt
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.folder import Folders, folder_at, split_path
from hfdl_async.disk.hashing import new_hasher, read_slice
from hfdl_async.disk.receipts import Receipts
from hfdl_async.disk.settled import Settled, identity_of
from hfdl_async.disk.statefiles import TEMPORARY, remove_if_there
from hfdl_async.disk.survey import receipt_for
from hfdl_async.disk.trouble import translate
from hfdl_async.errors import HfdlError, StorageError

Outcomes = dict[str, HfdlError | None]
Placed = tuple[Settled, os.stat_result]


class Publisher:
    """Publishes settled files below one destination. In a thread, one group at a time."""

    def __init__(
        self, calls: Calls, folders: Folders, receipts: Receipts, commit: str, *, follow: bool
    ) -> None:
        self._calls = calls
        self._folders = folders
        self._receipts = receipts
        self._commit = commit
        self._follow = follow

    def publish(self, group: Iterable[Settled]) -> Outcomes:
        """Return, by path, None for each file that is in place with its receipt, or what failed."""
        outcomes: Outcomes = {}
        placed: list[Placed] = []
        by_folder: defaultdict[str, list[tuple[str, Settled]]] = defaultdict(list)
        for settled in group:
            folder, name = split_path(settled.file.path)
            by_folder[folder].append((name, settled))
        for folder in sorted(by_folder):
            placed += self._place_in_folder(folder, by_folder[folder], outcomes)
        self._write_receipts(placed, outcomes)
        for settled, _ in placed:
            if settled.record is not None and outcomes[settled.file.path] is None:
                self._drop_record(settled)
        for inside in by_folder.values():
            for _, settled in inside:
                if outcomes[settled.file.path] is not None:
                    self._clean_up(settled)
        return outcomes

    def _place_in_folder(
        self, folder: str, inside: Sequence[tuple[str, Settled]], outcomes: Outcomes
    ) -> list[Placed]:
        placed: list[Placed] = []
        root = self._folders.root
        try:
            with folder_at(self._calls, root, folder, create=True, follow=self._follow) as opened:
                for name, settled in inside:
                    try:
                        placed.append((settled, self._place(settled, opened, name)))
                    except OSError as error:
                        outcomes[settled.file.path] = self._error(error, settled)
                    except StorageError as error:
                        outcomes[settled.file.path] = error
                self._calls.sync_folder(opened)
        except OSError as error:
            for _, settled in inside:
                failure = translate(error, _where(error, root.join(settled.file.path)))
                outcomes.setdefault(settled.file.path, failure)
            return []
        return placed

    def _place(self, settled: Settled, folder: Folder, name: str) -> os.stat_result:
        """Give *settled* its final name and return what is there now."""
        if not settled.is_ours_alone:
            try:
                self._check_identity(settled, settled.folder, settled.name)
            except FileNotFoundError:
                # Gone. Another writer (locks may lie) may have published this very file.
                return self._check_identity(settled, folder, name)
        try:
            self._calls.rename(settled.folder, settled.name, folder, name)
        except OSError as error:
            if self._is_folder(folder, name):  # each system has another word for that
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)) from error
            raise
        try:
            return self._check_identity(settled, folder, name)
        except StorageError:
            # Another program may have put the same content there in the same moment.
            found = self._right_content(settled, folder, name)
            if found is None:
                raise
            return found

    def _right_content(self, settled: Settled, folder: Folder, name: str) -> os.stat_result | None:
        """Return what is at the final name if that is read and right, whoever put it there."""
        digest, size = settled.file.digest, settled.file.size_bytes
        if digest is None:
            return None
        fd = self._calls.open_file(folder, name, os.O_RDONLY)
        try:
            if os.fstat(fd).st_size != size:
                return None
            hasher = new_hasher(digest.algorithm, size)
            read_slice(self._calls, fd, 0, size, hasher.update)
            return os.fstat(fd) if hasher.hexdigest() == digest.hex else None
        finally:
            os.close(fd)

    def _check_identity(self, settled: Settled, folder: Folder, name: str) -> os.stat_result:
        found = self._calls.look(folder, name)
        if identity_of(found) != settled.identity:
            raise StorageError(
                f"{shown(folder.join(name))}: somebody replaced the file while it was written",
                hint="run the same command again",
            )
        return found

    def _is_folder(self, folder: Folder, name: str) -> bool:
        try:
            return stat.S_ISDIR(self._calls.look(folder, name).st_mode)
        except FileNotFoundError:
            return False

    def _write_receipts(self, placed: Sequence[Placed], outcomes: Outcomes) -> None:
        receipts: list[Receipt] = []
        for settled, found in placed:
            receipts.append(receipt_for(settled.file, found, settled.cells, self._commit))
            outcomes[settled.file.path] = None
        if not receipts:
            return
        try:
            self._receipts.append(self._folders.state, receipts)
        except OSError as error:
            # One for all: no file of the group is to blame, and none has its receipt.
            failed = translate(error, self._folders.state.path)
            outcomes.update((settled.file.path, failed) for settled, _ in placed)

    def _drop_record(self, settled: Settled) -> None:
        assert settled.record is not None
        with suppress(OSError):  # a record without its part is removed by the next run
            remove_if_there(self._calls, settled.folder, settled.record)

    def _clean_up(self, settled: Settled) -> None:
        if settled.name.endswith(TEMPORARY):
            with suppress(OSError):  # the next run removes it
                remove_if_there(self._calls, settled.folder, settled.name)

    def _error(self, error: OSError, settled: Settled) -> HfdlError:
        return translate(
            error, self._folders.root.join(settled.file.path), needed=settled.file.size_bytes
        )


def _where(error: OSError, otherwise: str) -> str:
    """Return the path that *error* is about, where it is one that a user can find."""
    named = error.filename
    return named if isinstance(named, str) and os.path.isabs(named) else otherwise
