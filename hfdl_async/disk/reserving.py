"""Blocks for an unfinished file, reserved a stride ahead of what is written.

Most file systems only note which blocks belong to the file, and do that in no time for any size.
Those that live in memory hand out each page: a quarter of a second a gigabyte, in which nothing
would be asked for yet, if the whole file were reserved before its first byte. So only its first
stride is; the others are reserved by whoever writes into them first, while bytes go on arriving.
"""

from __future__ import annotations

import threading

from hfdl_async.core.model import MIB, ByteRange
from hfdl_async.disk.calls import Calls

STRIDE_BYTES = 64 * MIB  # 15 ms where pages are handed out; elsewhere large enough to lie together


class Reserve:
    """The blocks of a part of *size* bytes; `before_write` may be called on any thread."""

    def __init__(self, calls: Calls, size: int) -> None:
        self._calls = calls
        self._size = size
        self._reserved: set[int] = set()  # numbers of strides
        self._lock = threading.Lock()

    def begin(self, fd: int) -> None:
        """Give the file its size and its first blocks: all, where it cannot be done by and by.

        Raises:
            OSError: ENOSPC, EDQUOT, EFBIG: there is no room.
        """
        if self._calls.features.reserve:
            self._calls.set_size(fd, self._size)
            self.before_write(fd, ByteRange(0, min(1, self._size)))
        else:
            self._calls.allocate(fd, self._size)

    def before_write(self, fd: int, span: ByteRange) -> None:
        """Reserve the strides in which *span* lies.

        Raises:
            OSError: ENOSPC, EDQUOT, EFBIG: there is no room.
        """
        wanted = range(span.start // STRIDE_BYTES, -(-span.stop // STRIDE_BYTES))
        if not self._calls.features.reserve or self._reserved.issuperset(wanted):
            return
        with self._lock:
            for number in wanted:
                if number not in self._reserved:
                    start = number * STRIDE_BYTES
                    self._calls.reserve(fd, start, min(STRIDE_BYTES, self._size - start))
                    self._reserved.add(number)
