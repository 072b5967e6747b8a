"""Blocks of memory that a socket fills and a disk empties, used again and again.

The one that came back last is filled next: it is still in the processor's cache.
"""

from __future__ import annotations

from hfdl_async.net.answer import Lent


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
    """The free buffers of a lane, all of one size; keeps at most *most*."""

    def __init__(self, size_bytes: int, most: int) -> None:
        self.size_bytes = size_bytes
        self._most = most
        self._free: list[Buffer] = []
        self.out = 0

    def take(self) -> Buffer:
        """Return an empty buffer."""
        self.out += 1
        if not self._free:
            return Buffer(self, self.size_bytes)
        buffer = self._free.pop()
        buffer.renew()
        return buffer

    def put(self, buffer: Buffer) -> None:
        """Take one back."""
        self.out -= 1
        if len(self._free) < self._most:
            self._free.append(buffer)
