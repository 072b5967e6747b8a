"""Which bytes of one file are on disk and which are missing, as a value.

A ledger is a sorted tuple of disjoint spans that never touch, so its size follows the number of
connections writing into the file and not the size of the file. Because it is a value, a claim
that was true when it was taken stays true while later bytes arrive.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hfdl_async.core.model import MIB, ByteRange

CELL_BYTES = 8 * MIB  # claims are prefixes of cells of this fixed grid, however requests are cut


@dataclass(frozen=True, slots=True)
class Ledger:
    """The written spans of a file of *size* bytes."""

    size: int
    spans: tuple[ByteRange, ...] = ()

    @classmethod
    def of(cls, size: int, spans: Iterable[ByteRange]) -> Ledger:
        """Return the ledger that covers *spans*, in any order, overlapping or not.

        Raises:
            ValueError: one reaches beyond the end of the file.
        """
        merged: list[ByteRange] = []
        for span in sorted(span for span in spans if span):
            if span.stop > size:
                raise _outside(span, size)
            if merged and span.start <= merged[-1].stop:
                merged[-1] = ByteRange(merged[-1].start, max(merged[-1].stop, span.stop))
            else:
                merged.append(span)
        return cls(size, tuple(merged))

    def add(self, span: ByteRange) -> Ledger:
        """Return the ledger with *span* written as well.

        Raises:
            ValueError: the span reaches beyond the end of the file.
        """
        if span.stop > self.size:
            raise _outside(span, self.size)
        if not span:
            return self
        if not self.spans:  # most files come in one piece
            return Ledger(self.size, (span,))
        start, stop = span.start, span.stop
        first = bisect_left(self.spans, start, key=lambda held: held.stop)
        last = first
        while last < len(self.spans) and self.spans[last].start <= stop:
            start = min(start, self.spans[last].start)
            stop = max(stop, self.spans[last].stop)
            last += 1
        merged = (*self.spans[:first], ByteRange(start, stop), *self.spans[last:])
        return Ledger(self.size, merged)

    def up_to(self, stop: int) -> Ledger:
        """Return the ledger without what is written at *stop* and behind it."""
        kept = (ByteRange(s.start, min(s.stop, stop)) for s in self.spans if s.start < stop)
        return Ledger(self.size, tuple(kept))

    def missing(self) -> Iterator[ByteRange]:
        """Yield the gaps from the front of the file to its end."""
        position = 0
        for span in self.spans:
            if position < span.start:
                yield ByteRange(position, span.start)
            position = span.stop
        if position < self.size:
            yield ByteRange(position, self.size)

    def first_missing_in(self, span: ByteRange) -> ByteRange | None:
        """Return the first gap inside *span*, or None where all of it is written."""
        start = span.start
        index = bisect_right(self.spans, start, key=lambda held: held.stop)
        if index < len(self.spans) and self.spans[index].start <= start:
            start = self.spans[index].stop
            index += 1
        if start >= span.stop:
            return None
        is_last = index == len(self.spans)
        return ByteRange(start, span.stop if is_last else min(self.spans[index].start, span.stop))

    @property
    def covered(self) -> int:
        """How many bytes are written."""
        return sum(len(span) for span in self.spans)

    @property
    def prefix(self) -> int:
        """How many bytes are written from the very start without a gap."""
        return self.spans[0].stop if self.spans and self.spans[0].start == 0 else 0

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.prefix == self.size


def _outside(span: ByteRange, size: int) -> ValueError:
    return ValueError(f"{span} is outside a file of {size} bytes")


def cell_of(offset: int) -> int:
    """Return the number of the cell that holds *offset*."""
    return offset // CELL_BYTES


def cell_range(cell: int, size: int) -> ByteRange:
    """Return the span of *cell* in a file of *size* bytes; the last cell may be short."""
    return ByteRange(min(cell * CELL_BYTES, size), min((cell + 1) * CELL_BYTES, size))


def split_at_cells(span: ByteRange) -> Iterator[ByteRange]:
    """Cut *span* at the borders of the grid."""
    start = span.start
    while start < span.stop:
        stop = min((cell_of(start) + 1) * CELL_BYTES, span.stop)
        yield ByteRange(start, stop)
        start = stop
