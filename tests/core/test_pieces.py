"""How a file is cut into requests."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.ledger import CELL_BYTES, Ledger, cell_of
from hfdl_async.core.model import MB, ByteRange
from hfdl_async.core.pieces import (
    PIECE_BYTES,
    SPLIT_FROM_BYTES,
    WORTH_ANSWERS,
    WORTH_SECONDS,
    front_of,
    piece_bytes,
    pieces,
)


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    size = draw(st.integers(0, 12) | st.integers(0, 6 * PIECE_BYTES))
    near = st.sampled_from([cell * CELL_BYTES + off for cell in range(13) for off in (-1, 0, 1)])
    offset = (st.integers(0, size) | near).map(lambda value: max(0, min(value, size)))
    pairs = draw(st.lists(st.tuples(offset, offset), max_size=5))
    return Ledger.of(size, [ByteRange(min(pair), max(pair)) for pair in pairs])


@given(ledgers(), st.booleans())
def test_pieces_cover_exactly_what_is_missing(ledger: Ledger, big: bool) -> None:
    cut = list(pieces(ledger, big=big))
    assert all(cut)
    assert sum(map(len, cut)) == ledger.size - ledger.covered
    assert cut == sorted(cut)
    filled = ledger
    for piece in cut:
        filled = filled.add(piece)
    assert filled.complete


@given(ledgers())
def test_no_two_pieces_of_a_split_file_share_a_cell_unless_a_gap_lies_between(
    ledger: Ledger,
) -> None:
    cut = list(pieces(ledger, big=True))
    for earlier, later in pairwise(cut):
        if earlier.stop == later.start:
            assert cell_of(earlier.stop - 1) != cell_of(later.start)


@given(ledgers())
def test_pieces_are_of_a_size_worth_a_round_trip(ledger: Ledger) -> None:
    assert all(len(piece) <= PIECE_BYTES for piece in pieces(ledger, big=True))
    inside = [piece for piece in pieces(ledger) if piece.start % PIECE_BYTES]
    assert all(piece.start in {gap.start for gap in ledger.missing()} for piece in inside)


def test_files_are_split_from_the_size_where_it_pays() -> None:
    assert list(pieces(Ledger(SPLIT_FROM_BYTES - 1))) == [ByteRange(0, SPLIT_FROM_BYTES - 1)]
    assert len(list(pieces(Ledger(SPLIT_FROM_BYTES)))) == 2
    assert len(list(pieces(Ledger(SPLIT_FROM_BYTES - 1), big=True))) == 2
    assert PIECE_BYTES % CELL_BYTES == 0


@pytest.mark.parametrize(
    ("bytes_per_second", "answer_seconds", "expected"),
    [
        (0.0, 0.001, PIECE_BYTES),  # nothing is known yet
        (20 * MB, 0.001, CELL_BYTES),
        (CELL_BYTES / WORTH_SECONDS, 0.001, CELL_BYTES),
        (CELL_BYTES / WORTH_SECONDS + 1, 0.001, PIECE_BYTES),  # it would be over too soon
        (20 * MB, 0.03, PIECE_BYTES),  # a long way
        (CELL_BYTES / 1.5, 1.5 / WORTH_ANSWERS, CELL_BYTES),
    ],
)
def test_a_request_is_shorter_where_that_costs_nothing(
    bytes_per_second: float, answer_seconds: float, expected: int
) -> None:
    assert piece_bytes(bytes_per_second, answer_seconds) == expected


@given(ledgers(), st.sampled_from([CELL_BYTES, PIECE_BYTES]))
def test_taking_fronts_until_nothing_is_left_takes_a_piece_cell_by_cell(
    ledger: Ledger, most: int
) -> None:
    for piece in pieces(ledger, big=True):
        rest = piece
        while rest:
            front = front_of(rest, most)
            assert front.start == rest.start
            assert 0 < len(front) <= most
            assert front.stop == piece.stop or front.stop % most == 0
            rest = ByteRange(front.stop, rest.stop)
