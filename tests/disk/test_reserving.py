from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from hfdl_async.core.model import ByteRange
from hfdl_async.disk import reserving
from hfdl_async.disk.native import Features
from hfdl_async.disk.reserving import TRIES, Reserve
from tests.disk.faults import FaultyCalls

STRIDE = 64 * 1024
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="fallocate(2) of a range")


@pytest.fixture(autouse=True)
def _short_strides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserving, "STRIDE_BYTES", STRIDE)


@pytest.fixture
def fd(tmp_path: Path) -> Iterator[int]:
    number = os.open(tmp_path / "part", os.O_RDWR | os.O_CREAT)
    yield number
    os.close(number)


def slow() -> Callable[[], float]:
    """Return a clock by which everything takes a second."""
    return map(float, count()).__next__


def allocations(calls: FaultyCalls) -> int:
    return calls.made.count("allocate")


@linux_only
def test_where_blocks_take_time_a_file_has_its_size_at_once_and_them_by_and_by(fd: int) -> None:
    calls = FaultyCalls()
    size = (TRIES + 1) * STRIDE + STRIDE // 2
    reserve = Reserve(calls, size, slow())
    reserve.begin(fd)
    assert os.fstat(fd).st_size == size
    assert allocations(calls) == TRIES
    fourth = ByteRange(TRIES * STRIDE, (TRIES + 1) * STRIDE)
    reserve.before_write(fd, ByteRange(fourth.start + 1, fourth.start + 2))
    reserve.before_write(fd, fourth)
    assert allocations(calls) == TRIES + 1
    reserve.before_write(fd, ByteRange(0, size))
    assert allocations(calls) == TRIES + 2
    assert os.fstat(fd).st_size == size


@linux_only
def test_where_blocks_take_no_time_all_of_them_are_reserved_at_the_start(fd: int) -> None:
    calls = FaultyCalls()
    reserve = Reserve(calls, 5 * STRIDE // 2, lambda: 0.0)
    reserve.begin(fd)
    assert allocations(calls) == 2  # however long it is
    assert os.fstat(fd).st_blocks * 512 >= 5 * STRIDE // 2
    reserve.before_write(fd, ByteRange(0, 5 * STRIDE // 2))
    assert allocations(calls) == 2


@linux_only
def test_one_slow_stride_does_not_make_a_slow_file_system(fd: int) -> None:
    calls = FaultyCalls()
    reserve = Reserve(calls, 9 * STRIDE, iter((0.0, 1.0, 1.0, 1.0)).__next__)
    reserve.begin(fd)
    assert allocations(calls) == 3
    reserve.before_write(fd, ByteRange(0, 9 * STRIDE))
    assert allocations(calls) == 3


@linux_only
def test_a_file_that_has_blocks_already_says_nothing_of_the_rest(fd: int) -> None:
    os.pwrite(fd, bytes(STRIDE), 0)
    calls = FaultyCalls()
    reserve = Reserve(calls, 9 * STRIDE, lambda: 0.0)
    reserve.begin(fd)
    assert allocations(calls) == 0
    assert os.fstat(fd).st_size == 9 * STRIDE
    reserve.before_write(fd, ByteRange(3 * STRIDE, 4 * STRIDE))
    assert allocations(calls) == 1


@linux_only
@pytest.mark.parametrize("size", [0, 1, STRIDE])
def test_short_files_need_no_more_than_a_stride(fd: int, size: int) -> None:
    calls = FaultyCalls()
    reserve = Reserve(calls, size, slow())
    reserve.begin(fd)
    reserve.before_write(fd, ByteRange(0, size))
    assert allocations(calls) == (size > 0)
    assert os.fstat(fd).st_size == size


@linux_only
def test_a_stride_that_could_not_be_reserved_is_tried_again(fd: int) -> None:
    calls = FaultyCalls(fail_at=1, error=errno.ENOSPC, only=("allocate",))
    reserve = Reserve(calls, STRIDE)
    with pytest.raises(OSError, match="space"):
        reserve.begin(fd)
    reserve.before_write(fd, ByteRange(0, 1))
    assert calls.count == 2


@linux_only
def test_a_file_system_without_reservations_is_asked_once_a_stride(fd: int) -> None:
    calls = FaultyCalls(fail_at=1, for_ever=True, error=errno.EOPNOTSUPP, only=("allocate",))
    reserve = Reserve(calls, STRIDE)
    reserve.begin(fd)
    for _ in range(2):
        reserve.before_write(fd, ByteRange(0, 1))
    assert calls.count == 1


def test_all_is_allocated_at_the_start_where_it_cannot_be_done_by_and_by(fd: int) -> None:
    calls = FaultyCalls(features=Features(reserve=False))
    reserve = Reserve(calls, 3 * STRIDE)
    reserve.begin(fd)
    made = allocations(calls)
    reserve.before_write(fd, ByteRange(0, 3 * STRIDE))
    assert allocations(calls) == made
    assert os.fstat(fd).st_size == 3 * STRIDE


def test_a_longer_file_is_cut_to_its_size(fd: int) -> None:
    os.truncate(fd, 2 * STRIDE)
    Reserve(FaultyCalls(), STRIDE).begin(fd)
    assert os.fstat(fd).st_size == STRIDE
