from __future__ import annotations

from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.ledger import (
    CELL_BYTES,
    Ledger,
    cell_of,
    cell_range,
    split_at_cells,
)
from hfdl_async.core.model import ByteRange

SIZE = 64


def ranges(size: int = SIZE) -> st.SearchStrategy[ByteRange]:
    offsets = st.integers(0, size)
    return st.tuples(offsets, offsets).map(lambda pair: ByteRange(min(pair), max(pair)))


SPANS = st.lists(ranges(), max_size=12)


@given(SPANS)
def test_a_ledger_says_of_each_byte_what_a_map_of_the_file_says(spans: list[ByteRange]) -> None:
    written = bytearray(SIZE)
    for span in spans:
        written[span.start : span.stop] = b"\1" * len(span)
    ledger = Ledger.of(SIZE, spans)
    held = bytearray(SIZE)
    for span in ledger.spans:
        held[span.start : span.stop] = b"\1" * len(span)
    assert held == written
    assert ledger.covered == sum(written)
    assert ledger.prefix == (written + b"\0").index(0)
    assert ledger.complete == all(written)


@given(SPANS)
def test_spans_and_gaps_together_are_the_whole_file_and_never_touch_their_kind(
    spans: list[ByteRange],
) -> None:
    ledger = Ledger.of(SIZE, spans)
    gaps = list(ledger.missing())
    both = sorted([*ledger.spans, *gaps])
    assert all(both)
    assert both[0].start == 0
    assert both[-1].stop == SIZE
    assert all(earlier.stop == later.start for earlier, later in pairwise(both))
    assert all(
        earlier.stop < later.start
        for kind in (ledger.spans, gaps)
        for earlier, later in pairwise(kind)
    )


@given(st.lists(ranges(), max_size=5))
def test_the_order_of_writes_makes_no_difference(spans: list[ByteRange]) -> None:
    assert len({Ledger.of(SIZE, order) for order in permutations(spans)}) == 1


@given(SPANS, ranges())
def test_writing_again_changes_nothing(spans: list[ByteRange], span: ByteRange) -> None:
    once = Ledger.of(SIZE, spans).add(span)
    assert once.add(span) == once


@given(SPANS, ranges())
def test_a_ledger_is_a_value_that_later_writes_do_not_change(
    spans: list[ByteRange], span: ByteRange
) -> None:
    ledger = Ledger.of(SIZE, spans)
    before = (ledger.spans, ledger.covered)
    ledger.add(span)
    assert (ledger.spans, ledger.covered) == before


def test_nothing_beyond_the_end_can_be_written() -> None:
    with pytest.raises(ValueError, match="outside a file of 4 bytes"):
        Ledger(4).add(ByteRange(2, 5))


def test_an_empty_file_is_complete_from_the_start() -> None:
    assert Ledger(0).complete
    assert list(Ledger(0).missing()) == []


@given(ranges(5 * CELL_BYTES))
def test_a_span_is_cut_at_the_borders_of_the_grid_and_nowhere_else(span: ByteRange) -> None:
    cut = list(split_at_cells(span))
    assert sum(map(len, cut)) == len(span)
    assert all(one.start // CELL_BYTES == (one.stop - 1) // CELL_BYTES for one in cut)
    assert all(one.start % CELL_BYTES == 0 for one in cut[1:])
    assert all(earlier.stop == later.start for earlier, later in pairwise(cut))


@given(st.integers(1, 5 * CELL_BYTES), st.data())
def test_a_byte_lies_in_its_cell(size: int, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, size - 1))
    cell = cell_range(cell_of(offset), size)
    assert cell.start <= offset < cell.stop <= size
    assert len(cell) <= CELL_BYTES


def test_the_last_cell_may_be_short_and_there_is_none_behind_it() -> None:
    assert cell_range(1, CELL_BYTES + 3) == ByteRange(CELL_BYTES, CELL_BYTES + 3)
    assert len(cell_range(2, CELL_BYTES + 3)) == 0
