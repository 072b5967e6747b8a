"""Every operation of the micro-benchmarks still runs, and does its work once for each."""

from __future__ import annotations

import pytest

from benchmarks import micro
from hfdl_async.core.ledger import Ledger


def test_each_operation_has_a_rate_for_each_size() -> None:
    rates = micro.rates((1_000,))
    assert rates.keys() == micro.OPERATIONS.keys()
    assert [name for name, by_size in rates.items() if by_size["1,000"] <= 0] == []


@pytest.mark.parametrize("name", [name for name in micro.OPERATIONS if name.startswith("ledger")])
@pytest.mark.parametrize("size", [1_000, 1_024])
def test_the_whole_file_is_written_whoever_writes_it(name: str, size: int) -> None:
    ledger = micro.OPERATIONS[name](size)()
    assert isinstance(ledger, Ledger)
    assert ledger.complete
