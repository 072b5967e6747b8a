"""The BLAKE3 of every started cell of one part, kept while bytes are written.

A cell hashes in the same pass as the write when the write continues its prefix. Bytes that came
out of order are read back from the page cache once the gap before them is filled. Not two writes
to one cell may run at once; everything else here may happen on any thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from blake3 import blake3

from hfdl_async.core.ledger import CELL_BYTES, Ledger, cell_of, cell_range, split_at_cells
from hfdl_async.core.model import ByteRange
from hfdl_async.core.state import Claim
from hfdl_async.disk.calls import Buffer

Read = Callable[[int, int, Callable[[memoryview], None]], int]
"""Hands the bytes between two offsets to a function; returns where the file ended."""


class _Cell:
    """The hashed prefix of one cell; the hasher of a whole one is not kept."""

    __slots__ = ("hasher", "hex", "length", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.forget()

    def forget(self) -> None:
        self.length = 0
        self.hasher: blake3 | None = None
        self.hex = ""

    def feed(self, data: Buffer) -> None:
        if self.hasher is None:
            self.hasher = blake3()
        self.hasher.update(data)
        self.length += len(data)

    def claim(self, cell: int, whole: int) -> Claim:
        if not self.hex or self.hasher is not None:
            assert self.hasher is not None
            self.hex = self.hasher.hexdigest()
            if self.length == whole:
                self.hasher = None
        return Claim(cell, self.length, self.hex)


class Cells:
    """All started cells of a file of *size* bytes."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._cells: dict[int, _Cell] = {}
        self._lock = threading.Lock()

    def _cell(self, number: int) -> _Cell:
        with self._lock:
            return self._cells.setdefault(number, _Cell())

    def before_write(self, span: ByteRange) -> None:
        """Forget the hash of what is about to be written over."""
        for piece in split_at_cells(span):
            cell = self._cell(cell_of(piece.start))
            with cell.lock:
                if piece.start % CELL_BYTES < cell.length:
                    cell.forget()

    def after_write(self, span: ByteRange, pieces: Sequence[Buffer]) -> None:
        """Take the bytes that were written, as far as they continue a prefix."""
        rest = _views(pieces)
        for part in split_at_cells(span):
            cell = self._cell(cell_of(part.start))
            with cell.lock:
                continues = part.start % CELL_BYTES == cell.length
                for view in _take(rest, len(part)):
                    if continues:
                        cell.feed(view)

    def prove(self, claim: Claim, read: Read) -> bool:
        """Read the bytes of *claim* again; keep them as hashed if they are what it says."""
        fresh = _Cell()
        start = claim.cell * CELL_BYTES
        read(start, start + claim.length, fresh.feed)
        whole = len(cell_range(claim.cell, self._size))
        if fresh.length != claim.length or fresh.claim(claim.cell, whole) != claim:
            return False
        with self._lock:
            self._cells[claim.cell] = fresh
        return True

    def claims(self, written: Ledger, read: Read) -> tuple[Claim, ...]:
        """Return what may be claimed of *written*, which holds only writes that have ended."""
        prefixes = _prefixes(written)
        claims = []
        for number in sorted(prefixes):
            start, cell = number * CELL_BYTES, self._cell(number)
            whole = len(cell_range(number, self._size))
            with cell.lock:
                if cell.length < prefixes[number]:
                    read(start + cell.length, start + prefixes[number], cell.feed)
                if cell.length:  # nothing, when somebody cut the file under us
                    claims.append(cell.claim(number, whole))
        return tuple(claims)

    def keep_only(self, claims: Sequence[Claim]) -> None:
        """Forget every hash that is not that of one of *claims*."""
        held = {claim.cell: claim for claim in claims}
        with self._lock:
            for number, cell in list(self._cells.items()):
                claim = held.get(number)
                with cell.lock:
                    if claim is None or cell.length != claim.length:
                        cell.forget()

    def whole(self) -> tuple[str, ...]:
        """Return the BLAKE3 of each cell of a complete file, or () if one is not known."""
        hashes = []
        for number in range(-(-self._size // CELL_BYTES)):
            cell, whole = self._cell(number), len(cell_range(number, self._size))
            with cell.lock:
                if cell.length != whole:
                    return ()
                hashes.append(cell.claim(number, whole).blake3_hex)
        return tuple(hashes)


def _prefixes(written: Ledger) -> dict[int, int]:
    """Return how many bytes of each cell are written without a gap from its start."""
    prefixes = {}
    for span in written.spans:
        first = -(-span.start // CELL_BYTES)
        for number in range(first, -(-span.stop // CELL_BYTES)):
            prefixes[number] = min(span.stop - number * CELL_BYTES, CELL_BYTES)
    return prefixes


def _views(pieces: Sequence[Buffer]) -> list[memoryview]:
    return [memoryview(piece).cast("B") for piece in reversed(pieces) if len(piece)]


def _take(rest: list[memoryview], count: int) -> Iterator[memoryview]:
    """Yield *count* bytes from the end of *rest*, which is the front of the data."""
    while count:
        view = rest.pop()
        if len(view) > count:
            rest.append(view[count:])
            view = view[:count]
        count -= len(view)
        yield view
