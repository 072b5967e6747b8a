from __future__ import annotations

import random
from itertools import pairwise, permutations
from math import log2

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


@given(SPANS, st.integers(0, SIZE))
def test_what_is_cut_off_was_never_written(spans: list[ByteRange], stop: int) -> None:
    short = [ByteRange(min(s.start, stop), min(s.stop, stop)) for s in spans]
    assert Ledger.of(SIZE, spans).up_to(stop) == Ledger.of(SIZE, short)


@given(st.lists(ranges(), max_size=5))
def test_the_order_of_writes_makes_no_difference(spans: list[ByteRange]) -> None:
    assert len({Ledger.of(SIZE, order) for order in permutations(spans)}) == 1


@given(SPANS, ranges())
def test_writing_again_changes_nothing(spans: list[ByteRange], span: ByteRange) -> None:
    once = Ledger.of(SIZE, spans).add(span)
    assert once.add(span) == once


@given(SPANS, ranges())
def test_the_first_gap_inside_a_span_is_what_a_walk_over_all_gaps_finds(
    spans: list[ByteRange], span: ByteRange
) -> None:
    ledger = Ledger.of(SIZE, spans)
    inside = (
        ByteRange(max(gap.start, span.start), min(gap.stop, span.stop))
        for gap in ledger.missing()
        if max(gap.start, span.start) < min(gap.stop, span.stop)
    )
    assert ledger.first_missing_in(span) == next(inside, None)


@given(SPANS)
def test_many_spans_at_once_make_the_same_ledger_as_one_after_the_other(
    spans: list[ByteRange],
) -> None:
    ledger = Ledger(SIZE)
    for span in spans:
        ledger = ledger.add(span)
    assert Ledger.of(SIZE, spans) == ledger


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


def test_nothing_beyond_the_end_is_among_many_spans() -> None:
    with pytest.raises(ValueError, match="outside a file of 4 bytes"):
        Ledger.of(4, [ByteRange(0, 1), ByteRange(2, 5)])


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


# What a ledger costs, in steps: offsets count how often they are compared; the spans of each new
# ledger are what was copied for it.


class Offset(int):
    """An offset that counts comparisons of all offsets."""

    compared = 0

    def __lt__(self, other: int) -> bool:
        Offset.compared += 1
        return super().__lt__(other)

    def __le__(self, other: int) -> bool:
        Offset.compared += 1
        return super().__le__(other)

    def __gt__(self, other: int) -> bool:
        Offset.compared += 1
        return super().__gt__(other)

    def __ge__(self, other: int) -> bool:
        Offset.compared += 1
        return super().__ge__(other)


def offsets(count: int, *, length: int = 1) -> list[ByteRange]:
    """Return *count* spans of *length*, two apart, so that they touch when it is two."""
    return [ByteRange(Offset(2 * i), Offset(2 * i + length)) for i in range(count)]


def steps_to_add(spans: list[ByteRange]) -> tuple[int, int]:
    """Return how many comparisons and copied spans it takes to add *spans* one by one."""
    ledger, copied = Ledger(10**9), 0
    Offset.compared = 0
    for span in spans:
        ledger = ledger.add(span)
        copied += len(ledger.spans)
    return Offset.compared, copied


@pytest.mark.parametrize("count", [1_000, 8_000])
def test_writing_front_to_back_costs_the_same_for_each_write(count: int) -> None:
    compared, copied = steps_to_add(offsets(count, length=2))
    assert compared <= 10 * count
    assert copied == count


@pytest.mark.parametrize("count", [1_000, 8_000])
@pytest.mark.parametrize("connections", [4, 64])
def test_a_write_costs_as_much_as_there_are_connections_and_not_as_the_file_is_long(
    count: int, connections: int
) -> None:
    spans, dice = offsets(count, length=2), random.Random(1)
    for start in range(0, count, connections):
        window = spans[start : start + connections]
        dice.shuffle(window)
        spans[start : start + connections] = window
    compared, copied = steps_to_add(spans)
    assert compared <= count * (log2(connections) + 10)
    assert copied <= count * (connections // 2 + 1)


@pytest.mark.parametrize("count", [1_000, 8_000])
def test_adding_in_no_order_compares_as_often_as_a_search_does(count: int) -> None:
    spans = offsets(count)
    random.Random(1).shuffle(spans)
    compared, _ = steps_to_add(spans)
    assert compared <= count * (log2(count) + 10)


@pytest.mark.parametrize("count", [1_000, 8_000])
def test_many_claims_of_an_earlier_run_are_sorted_once(count: int) -> None:
    spans = offsets(count)
    random.Random(1).shuffle(spans)
    Offset.compared = 0
    assert len(Ledger.of(10**9, spans).spans) == count
    assert Offset.compared <= count * (2 * log2(count) + 10)


def test_looking_for_a_gap_does_not_walk_through_the_file() -> None:
    ledger = Ledger.of(10**9, offsets(8_000))
    Offset.compared = 0
    gap = ledger.first_missing_in(ByteRange(Offset(10_000), Offset(20_000)))
    assert gap == ByteRange(10_001, 10_002)
    assert Offset.compared <= log2(8_000) + 10
