"""Blocks of memory that a socket fills and a disk empties, used again and again, never too many.

A `Stock` has one budget for all connections. Where it is used up, nothing more is received until
something has been written: whoever needs a buffer stands in line, its socket is not read, and TCP
tells the peer to wait. Readers that gather what they were lent are asked for it (`Lent.recall`)
while anybody stands in line, so that no two can wait for each other.

The buffer that came back last is filled next: it is still in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable

from hfdl_async.core.model import KIB, MIB
from hfdl_async.net.answer import Lent

MAX_BUFFER_BYTES = MIB
MIN_BUFFER_BYTES = 4 * KIB
AHEAD_BYTES = 4 * MIB  # of one connection: what is received while as much is being written


def buffer_bytes(budget_bytes: int, connections: int) -> int:
    """Return the size of one buffer: each connection may have one to fill and one to write."""
    share = budget_bytes // (2 * max(1, connections))
    return max(MIN_BUFFER_BYTES, min(MAX_BUFFER_BYTES, share))


class Reads:
    """What a bandwidth limit asks of every connection; None for nothing. May change at any time.

    Attributes:
        most_bytes: may be read at once.
        ahead_bytes: may lie in the kernel, unread.
    """

    __slots__ = ("ahead_bytes", "most_bytes")

    def __init__(self, most_bytes: int | None = None, ahead_bytes: int | None = None) -> None:
        self.most_bytes = most_bytes
        self.ahead_bytes = ahead_bytes


class Buffer:
    """One block: filled from its start, lent out in slices, back in its stock after the last one.

    It has room for one byte more than it takes in, so that a byte behind the end of a body is
    noticed together with the end.
    """

    __slots__ = ("_lent", "_sealed", "_stock", "filled", "given", "size", "view")

    def __init__(self, stock: Stock, size: int) -> None:
        self._stock = stock
        self.size = size
        self.view = memoryview(bytearray(size + 1))
        self.renew()

    def renew(self) -> None:
        """Begin anew, empty."""
        self.filled = self.given = self._lent = 0
        self._sealed = False

    def room(self, expected: int) -> memoryview:
        """Return where the next bytes go, never empty; if *expected* fit, room for one more."""
        stop = self.filled + expected
        return self.view[self.filled : self.size if stop > self.size else stop + 1]

    def lend(self, most_bytes: int | None = None) -> Lent:
        """Return what was filled and not lent yet."""
        stop = self.filled if most_bytes is None else min(self.filled, self.given + most_bytes)
        data = self.view[self.given : stop]
        self.given = stop
        self._lent += 1
        return Lent(data, self._release)

    @property
    def unread(self) -> int:
        """How much was filled and not lent yet."""
        return self.filled - self.given

    def seal(self) -> None:
        """Note that nothing more will be filled in or lent."""
        self._sealed = True
        self._return()

    def _release(self) -> None:
        assert self._lent > 0, "released twice: somebody may be filling it already"
        self._lent -= 1
        self._return()

    def _return(self) -> None:
        if self._sealed and not self._lent:
            self._sealed = False  # once
            self._stock.put(self)


class Stock:
    """All buffers of a lane, of one size; together they never take more than *budget_bytes*.

    `out` of `most` are in use. Nobody stands in line while one is free. While `reads` has a bound,
    a bandwidth limit is in force, and nothing is received ahead of its reader.
    """

    def __init__(self, size_bytes: int, budget_bytes: int, reads: Reads | None = None) -> None:
        self.reads = reads or Reads()
        self.size_bytes = size_bytes
        self.most = max(1, budget_bytes // (size_bytes + 1))
        self.out = 0
        self._free: list[Buffer] = []
        self._line: dict[Callable[[Buffer], None], None] = {}  # in the order they came

    @classmethod
    def within(cls, budget_bytes: int, connections: int, reads: Reads | None = None) -> Stock:
        """Return the stock for so many *connections*."""
        return cls(buffer_bytes(budget_bytes, connections), budget_bytes, reads)

    @property
    def is_short(self) -> bool:
        """Whether somebody stands in line."""
        return bool(self._line)

    @property
    def ahead(self) -> int:
        """How many full buffers one connection may keep for its reader just now.

        Beyond the first one only while half of the stock is free: one fast connection may then
        receive while it writes, and many share evenly.
        """
        return max(1, AHEAD_BYTES // self.size_bytes) if 2 * self.out < self.most else 1

    def take(self) -> Buffer | None:
        """Return an empty buffer, or None while there is none."""
        if self._free:
            buffer = self._free.pop()
            buffer.renew()
        elif self.out < self.most:
            buffer = Buffer(self, self.size_bytes)
        else:
            return None
        self.out += 1
        return buffer

    def stand_in_line(self, taker: Callable[[Buffer], None]) -> None:
        """Let *taker* have a buffer as soon as those before it have one each."""
        self._line[taker] = None

    def leave_line(self, taker: Callable[[Buffer], None]) -> None:
        """Forget that *taker* wanted one."""
        self._line.pop(taker, None)

    def put(self, buffer: Buffer) -> None:
        """Take one back, or pass it on to whoever stands first in line."""
        taker = next(iter(self._line), None)
        if taker is None:
            self.out -= 1
            self._free.append(buffer)
            return
        del self._line[taker]
        buffer.renew()
        taker(buffer)
