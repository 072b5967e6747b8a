"""A straight line is found, and a bent one is called so."""

from __future__ import annotations

import pytest

from benchmarks.fitting import described, fit


def test_points_on_a_line_give_that_line() -> None:
    line = fit([(x, 0.25 + 0.001 * x) for x in (1_000, 10_000, 1_000_000)])
    assert line.base == pytest.approx(0.25)
    assert line.per_unit == pytest.approx(0.001)
    assert line.worst == pytest.approx(0, abs=1e-9)


def test_a_small_point_weighs_as_much_as_a_large_one() -> None:
    line = fit([(1, 1.0), (10, 10.0), (1_000_000, 1_000_000.0), (2_000_000, 2_200_000.0)])
    assert line.at(1) == pytest.approx(1.0, rel=0.1)


def test_a_quadratic_cost_is_far_off_any_line() -> None:
    assert fit([(x, 1e-6 * x**2) for x in (1_000, 10_000, 100_000)]).worst > 0.5


def test_one_point_is_no_line() -> None:
    with pytest.raises(ValueError, match="two points"):
        fit([(5, 1.0), (5, 2.0)])


def test_the_cost_of_one_more_is_told_in_its_unit() -> None:
    line = fit([(x, 0.5 + 20e-6 * x) for x in (1_000, 100_000)])
    assert described("planned", line, "seconds") == "0.5 s + 20.0 µs a file, at most 0% off"
    memory = fit([(x, 40 + 0.001 * x) for x in (1_000, 100_000)])
    assert described("size", memory, "MB") == "40 MB + 1.00 kB a MiB, at most 0% off"
