"""Blocks for an unfinished file, reserved a stride ahead of what is written.

Most file systems only note which blocks belong to the file, and do that in no time for any size:
there all of it is reserved before its first byte. Those that live in memory hand out each page: a
quarter of a second a gigabyte, in which nothing would be asked for yet. Where the first strides
took so long, the others are reserved by whoever writes into them first, while bytes go on arriving.
They are as short as a write is: whoever reserves more keeps the bytes behind it waiting.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

from hfdl_async.core.model import MIB, ByteRange
from hfdl_async.disk.calls import Calls

STRIDE_BYTES = 4 * MIB  # 1 ms where pages are handed out
TRIES = 3  # strides at the start: one may take long because the disk has other things to do
NO_TIME_SECONDS = 0.0005  # for a stride; where blocks are only noted it takes a hundredth


class Reserve:
    """The blocks of a part of *size* bytes; `before_write` may be called on any thread.

    *clock* returns seconds.
    """

    def __init__(
        self, calls: Calls, size: int, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._calls = calls
        self._size = size
        self._clock = clock
        self._is_whole = False
        self._reserved: set[int] = set()  # numbers of strides, while it is not
        self._lock = threading.Lock()

    def begin(self, fd: int) -> None:
        """Give the file its size; a new one its first blocks, or all where that takes no time.

        Raises:
            OSError: ENOSPC, EDQUOT, EFBIG: there is no room.
        """
        if not self._calls.features.reserve:
            self._calls.allocate(fd, self._size)
            self._is_whole = True
            return
        self._calls.set_size(fd, self._size)
        if os.fstat(fd).st_blocks:
            return  # what is there already is reserved in no time, and says nothing of the rest
        for number in _strides(ByteRange(0, self._size))[:TRIES]:
            start, stop = number * STRIDE_BYTES, (number + 1) * STRIDE_BYTES
            began = self._clock()
            self.before_write(fd, ByteRange(start, start + 1))
            if self._clock() - began < NO_TIME_SECONDS:
                if stop < self._size:
                    self._calls.reserve(fd, stop, self._size - stop)
                self._is_whole = True
                return

    def before_write(self, fd: int, span: ByteRange) -> None:
        """Reserve the strides in which *span* lies.

        Raises:
            OSError: ENOSPC, EDQUOT, EFBIG: there is no room.
        """
        wanted = _strides(span)
        if self._is_whole or self._reserved.issuperset(wanted):
            return
        with self._lock:
            for number in wanted:
                if number not in self._reserved:
                    start = number * STRIDE_BYTES
                    self._calls.reserve(fd, start, min(STRIDE_BYTES, self._size - start))
                    self._reserved.add(number)


def _strides(span: ByteRange) -> range:
    return range(span.start // STRIDE_BYTES, -(-span.stop // STRIDE_BYTES))
