"""The log of what was verified: one line a file, appended in groups, the last line for a name wins.

A torn or damaged line is skipped: its file is read once more and gets a new receipt. The log is
rewritten in one step when most of it is of no use any more.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from hfdl_async.core.packing import Packed, Unpacking, pack, pack_line, unpack
from hfdl_async.core.sealed import StateRefused
from hfdl_async.core.state import (
    MAX_RECEIPTS_BYTES,
    RECEIPTS_HEAD,
    Receipt,
    check_receipts_head,
    encode_receipt,
)
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.statefiles import read_lines, set_aside, write_state
from hfdl_async.disk.trouble import refused_newer

LOG = "receipts.jsonl"
SPARE_LINES = 1000  # a log that is shorter is never worth rewriting


class Receipts:
    """All receipts of one folder. Its methods run in threads, one at a time."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._receipts: dict[str, Packed] = {}
        self.appended: set[str] = set()  # the paths of those that were added since `load`
        self._useless = 0  # lines that stand for nothing
        self._damaged_lines = 0
        self._whole = True  # the log ends with a line end
        self._unusable = False  # not even its head could be read

    @property
    def by_path(self) -> Mapping[str, Receipt]:
        """The receipts, by the path in the repo."""
        return Unpacking(self._receipts)

    @property
    def packed(self) -> Mapping[str, Packed]:
        """The receipts as they are kept, for those who only compare."""
        return self._receipts

    @property
    def damaged(self) -> bool:
        """Whether something in the log could not be used."""
        return self._damaged_lines > 0

    def load(self, state: Folder) -> None:
        """Read the log; a missing one is empty.

        Raises:
            StorageError: a newer version wrote it; it is left alone.
            OSError: it cannot be read.
        """
        self._receipts, self._useless, self._damaged_lines, self._whole = {}, 0, 0, True
        self.appended = set()
        try:
            self._read(read_lines(self._calls, state, LOG, MAX_RECEIPTS_BYTES))
        except StateRefused as refusal:
            if refusal.newer:
                raise refused_newer(state.join(LOG), refusal) from refusal
            self._receipts, self._damaged_lines = {}, 1
            self._unusable = True

    def _read(self, lines: Iterator[bytes]) -> None:
        head = next(lines, None)
        if head is None:
            return
        check_receipts_head(head)
        last, kept = head, 0
        for last in lines:
            if last:
                kept += 1
                self._keep(last)
        self._whole = not last
        self._useless = kept - len(self._receipts)

    def _keep(self, line: bytes) -> None:
        try:
            path, receipt = pack_line(line)
        except StateRefused:
            self._damaged_lines += 1
        else:
            self._receipts[path] = receipt

    def append(self, state: Folder, receipts: Iterable[Receipt]) -> None:
        """Add *receipts* durably, in one write.

        Raises:
            OSError: they may or may not be there; what was there before is.
        """
        fresh = list(receipts)
        if self._unusable:
            set_aside(self._calls, state, LOG)
            self._unusable = False
        if self._useless > len(self._receipts) + SPARE_LINES:
            self._rewrite(state, fresh)
        else:
            self._add(state, fresh)
        for receipt in fresh:
            self._useless += receipt.path in self._receipts
            self._receipts[receipt.path] = pack(receipt)
            self.appended.add(receipt.path)

    def drop(self, state: Folder, paths: Iterable[str]) -> None:
        """Forget the receipts of *paths*, durably; the log is rewritten in one step.

        Raises:
            OSError: the log is as it was.
        """
        gone = set(paths) & self._receipts.keys()
        if not gone:
            return
        before = self._receipts
        self._receipts = {path: held for path, held in before.items() if path not in gone}
        try:
            self._rewrite(state, [])
        except OSError:
            self._receipts = before
            raise

    def _add(self, state: Folder, fresh: list[Receipt]) -> None:
        data = b"".join(map(encode_receipt, fresh))
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        fd = self._calls.open_file(state, LOG, flags, state.file_mode)
        try:
            is_new = os.fstat(fd).st_size == 0
            if is_new:
                data = RECEIPTS_HEAD + data
            elif not self._whole:
                data = b"\n" + data  # behind a line that was torn
            self._whole = False
            self._calls.append(fd, data)
            self._whole = True
            self._calls.sync_data(fd)
        finally:
            self._calls.close(fd)
        if is_new:
            self._calls.sync_folder(state)

    def _rewrite(self, state: Folder, fresh: list[Receipt]) -> None:
        replaced = {receipt.path for receipt in fresh}
        kept = (unpack(*held) for held in self._receipts.items() if held[0] not in replaced)
        last = {receipt.path: receipt for receipt in fresh}.values()
        data = RECEIPTS_HEAD + b"".join(map(encode_receipt, chain(kept, last)))
        write_state(self._calls, state, LOG, data)
        self._useless, self._whole = 0, True


def fits(receipt: Receipt, found: os.stat_result) -> bool:
    """Return whether nobody touched the file since *receipt* was written.

    A change time cannot be set back by hand, which makes it the one to rely on; on Windows it is
    the time of creation, and the modification time has to do.
    """
    return (
        receipt.size == found.st_size
        and receipt.inode == found.st_ino
        and receipt.mtime_ns == found.st_mtime_ns
        and receipt.ctime_ns == found.st_ctime_ns
    )
