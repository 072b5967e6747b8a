"""How a file is cut into requests: long enough to be worth asking for, short enough to be hashed.

The digest sees bytes in order, so what comes behind the first byte that is missing has to wait for
it. The shorter the requests, the less of that there is at the end of a file; but each costs the
connection the time until it is answered. Borders lie on the grid of cells, so that no two
connections write into one cell.
"""

from __future__ import annotations

from collections.abc import Iterator

from hfdl_async.core.ledger import CELL_BYTES, Ledger
from hfdl_async.core.model import KIB, MIB, ByteRange

SPLIT_FROM_BYTES = 32 * MIB  # below, a second connection costs more than it brings
ONE_REQUEST_BYTES = 256 * KIB  # fetching that much takes hardly longer than asking for it
PIECE_BYTES = 16 * MIB  # 8, 16 and 64 MiB are equally fast; small pieces keep the frontier moving
FIRST_PIECE_BYTES = CELL_BYTES  # connections begin all at once, far from one another

WORTH_SECONDS = 0.25  # that a shorter request has to last, and
WORTH_ANSWERS = 32  # so many times as long as the answer to it takes: 3 % are lost


def pieces(ledger: Ledger, *, big: bool = False) -> Iterator[ByteRange]:
    """Yield what is missing, front to back, in requests of a size worth a round trip.

    A *big* file is one that the user's threshold makes big; it is split whatever its size.
    Borders lie on multiples of `PIECE_BYTES`; what is taken at once may be the `front_of` that.
    """
    for gap in ledger.missing():
        if big or ledger.size >= SPLIT_FROM_BYTES:
            yield from _cut(gap, PIECE_BYTES)
        else:
            yield gap


def piece_bytes(bytes_per_second: float, answer_seconds: float) -> int:
    """Return how much to ask for at once over a connection that brings *bytes_per_second*.

    It is a whole piece, or one cell where that is long enough.
    """
    worth = bytes_per_second * max(WORTH_SECONDS, WORTH_ANSWERS * answer_seconds)
    return CELL_BYTES if 0 < worth <= CELL_BYTES else PIECE_BYTES


def front_of(span: ByteRange, most: int) -> ByteRange:
    """Return the first *most* bytes of *span*, up to a multiple of it."""
    return next(_cut(span, most))


def _cut(span: ByteRange, most: int) -> Iterator[ByteRange]:
    start = span.start
    while start < span.stop:
        stop = min(span.stop, (start // most + 1) * most)
        yield ByteRange(start, stop)
        start = stop
