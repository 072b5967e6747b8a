from __future__ import annotations

import pytest

from hfdl_async.net.buffers import Buffer, Stock


def filled(buffer: Buffer, data: bytes) -> Buffer:
    room = buffer.room(1000)
    assert len(room) >= len(data)
    room[: len(data)] = data
    buffer.filled += len(data)
    return buffer


def test_room_is_what_is_expected_and_a_byte_more_where_all_of_it_fits() -> None:
    buffer = Stock(10, 1).take()
    assert [len(buffer.room(expected)) for expected in (3, 9, 10, 11, 1000)] == [4, 10, 11, 10, 10]
    filled(buffer, b"1234567")
    assert [len(buffer.room(expected)) for expected in (2, 3, 4)] == [3, 4, 3]


def test_what_was_filled_is_lent_in_slices_one_behind_the_other() -> None:
    buffer = filled(Stock(10, 1).take(), b"abc")
    assert bytes(buffer.lend(2).data) == b"ab"
    filled(buffer, b"def")
    assert bytes(buffer.lend().data) == b"cdef"


def test_a_buffer_is_free_when_it_is_sealed_and_every_slice_is_back() -> None:
    stock = Stock(10, 4)
    buffer = filled(stock.take(), b"abcd")
    first, second = buffer.lend(1), buffer.lend()
    second.release()
    buffer.seal()
    assert stock.out == 1
    assert stock.take() is not buffer
    first.release()
    assert stock.out == 1
    again = stock.take()
    assert again is buffer
    assert (again.filled, again.given) == (0, 0)


def test_a_slice_that_comes_back_early_does_not_free_what_is_still_filled() -> None:
    stock = Stock(10, 4)
    buffer = filled(stock.take(), b"ab")
    buffer.lend().release()
    assert stock.out == 1
    buffer.seal()
    assert stock.out == 0


def test_a_slice_that_comes_back_twice_is_an_error() -> None:
    lent = filled(Stock(10, 4).take(), b"ab").lend()
    lent.release()
    with pytest.raises(AssertionError, match="twice"):
        lent.release()


def test_the_one_that_came_back_last_is_used_first_and_no_more_than_some_are_kept() -> None:
    stock = Stock(10, 2)
    taken = [stock.take() for _ in range(4)]
    for buffer in taken:
        buffer.seal()
    assert [stock.take(), stock.take()] == [taken[1], taken[0]]
    assert stock.take() not in taken
