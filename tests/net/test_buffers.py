from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.model import KIB, MIB
from hfdl_async.net.buffers import Buffer, Stock, buffer_bytes


def stock_of(buffers: int, size: int = 10) -> Stock:
    return Stock(size, buffers * (size + 1))


def taken_from(stock: Stock) -> Buffer:
    buffer = stock.take()
    assert buffer is not None
    return buffer


def filled(buffer: Buffer, data: bytes) -> Buffer:
    room = buffer.room(1000)
    assert len(room) >= len(data)
    room[: len(data)] = data
    buffer.filled += len(data)
    return buffer


def test_room_is_what_is_expected_and_a_byte_more_where_all_of_it_fits() -> None:
    buffer = taken_from(stock_of(1))
    assert [len(buffer.room(expected)) for expected in (3, 9, 10, 11, 1000)] == [4, 10, 11, 10, 10]
    filled(buffer, b"1234567")
    assert [len(buffer.room(expected)) for expected in (2, 3, 4)] == [3, 4, 3]


def test_what_was_filled_is_lent_in_slices_one_behind_the_other() -> None:
    buffer = filled(taken_from(stock_of(1)), b"abc")
    assert bytes(buffer.lend(2).data) == b"ab"
    filled(buffer, b"def")
    assert bytes(buffer.lend().data) == b"cdef"


def test_a_buffer_is_free_when_it_is_sealed_and_every_slice_is_back() -> None:
    stock = stock_of(4)
    buffer = filled(taken_from(stock), b"abcd")
    first, second = buffer.lend(1), buffer.lend()
    second.release()
    buffer.seal()
    assert stock.out == 1
    assert stock.take() is not buffer
    first.release()
    assert stock.out == 1
    again = taken_from(stock)
    assert again is buffer
    assert (again.filled, again.given) == (0, 0)


def test_a_slice_that_comes_back_early_does_not_free_what_is_still_filled() -> None:
    stock = stock_of(4)
    buffer = filled(taken_from(stock), b"ab")
    buffer.lend().release()
    assert stock.out == 1
    buffer.seal()
    assert stock.out == 0


def test_a_slice_that_comes_back_twice_is_an_error() -> None:
    lent = filled(taken_from(stock_of(4)), b"ab").lend()
    lent.release()
    with pytest.raises(AssertionError, match="twice"):
        lent.release()


def test_the_one_that_came_back_last_is_used_first() -> None:
    stock = stock_of(4)
    buffers = [taken_from(stock) for _ in range(4)]
    for buffer in buffers:
        buffer.seal()
    assert [stock.take() for _ in range(4)] == buffers[::-1]


def test_there_are_never_more_than_the_budget_holds() -> None:
    stock = Stock(10, 43)
    assert [stock.take() is None for _ in range(5)] == [False, False, False, True, True]
    assert stock.out == 3


def test_even_a_budget_that_holds_none_has_one() -> None:
    assert Stock(100, 10).take() is not None


def test_one_connection_runs_ahead_while_half_of_the_stock_is_free() -> None:
    stock = Stock.within(32 * MIB, 16)
    ahead = []
    for _ in range(20):
        taken_from(stock)
        ahead.append(stock.ahead)
    assert ahead == [4] * 15 + [1] * 5


def test_those_who_stand_in_line_are_served_in_the_order_they_came() -> None:
    stock = stock_of(2)
    buffers = [taken_from(stock), taken_from(stock)]
    served: list[str] = []
    takers = {name: (lambda _buffer, name=name: served.append(name)) for name in "abc"}
    for taker in takers.values():
        stock.stand_in_line(taker)
    stock.leave_line(takers["a"])
    assert stock.is_short
    for buffer in buffers:
        buffer.seal()
    assert served == ["b", "c"]
    assert not stock.is_short
    assert stock.out == 2


@pytest.mark.parametrize(
    ("memory", "connections", "size"),
    [
        (32 * MIB, 1, MIB),
        (32 * MIB, 16, MIB),
        (32 * MIB, 64, 256 * KIB),
        (MIB, 64, 8 * KIB),
        (MIB, 256, 4 * KIB),
    ],
)
def test_buffers_get_smaller_where_many_connections_share_little(
    memory: int, connections: int, size: int
) -> None:
    assert buffer_bytes(memory, connections) == size


Steps = st.lists(st.tuples(st.sampled_from(["take", "put", "wait", "leave"]), st.integers(0, 99)))


@given(budget=st.integers(1, 100), steps=Steps)
def test_whatever_happens_the_budget_holds_and_nobody_waits_beside_a_free_buffer(
    budget: int, steps: list[tuple[str, int]]
) -> None:
    stock = Stock(9, budget)
    held: list[Buffer] = []
    waiting: deque[Taker] = deque()
    for step, which in steps:
        if step == "take":
            buffer = stock.take()
            if buffer is None:
                assert stock.out == stock.most
            else:
                assert not waiting, "somebody was passed over"
                held.append(buffer)
        elif step == "put" and held:
            held.pop(which % len(held)).seal()
            if waiting:
                first = waiting.popleft()
                assert first.got is not None, "the first in line is served first"
                held.append(first.got)
        elif step == "wait" and stock.out == stock.most:
            waiting.append(Taker())
            stock.stand_in_line(waiting[-1].take)
        elif step == "leave" and waiting:
            gone = waiting[which % len(waiting)]
            waiting.remove(gone)
            stock.leave_line(gone.take)
        assert stock.out == len(held) <= stock.most
        assert len({id(buffer) for buffer in held}) == len(held)
        assert stock.out * (9 + 1) <= max(budget, 10)
        assert stock.is_short == bool(waiting)


class Taker:
    """Somebody in line."""

    def __init__(self) -> None:
        self.got: Buffer | None = None

    def take(self, buffer: Buffer) -> None:
        self.got = buffer
