"""Only ranges that do not overlap are a change."""

from __future__ import annotations

import pytest

from benchmarks.compare import Spread, change, compare, table
from benchmarks.measuring import Measurement

OLD = Spread.of([1.0, 1.2, 1.1])


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ([0.7, 0.8, 0.99], "less"),
        ([0.7, 0.8, 1.0], "noise"),  # the ranges touch
        ([1.0, 1.1, 1.2], "noise"),
        ([0.1, 0.1, 1.2], "noise"),  # its median is a tenth, and yet
        ([1.21, 1.3, 1.4], "more"),
        ([0.1, 0.1], "too few runs"),
    ],
)
def test_a_change_is_one_only_beyond_the_spread(figures: list[float], expected: str) -> None:
    assert change(OLD, Spread.of(figures)) == expected


def test_few_old_runs_prove_nothing_either() -> None:
    assert change(Spread.of([9.0]), Spread.of([1.0, 1.0, 1.0])) == "too few runs"


def results(wall: float, *scenarios: str) -> dict[str, list[Measurement]]:
    runs = [Measurement("hfdl", wall + step / 10, 1.0, 10**6) for step in range(3)]
    return dict.fromkeys(scenarios, runs)


def test_what_only_one_of_the_two_has_is_left_out() -> None:
    rows = list(compare(results(1.0, "A", "B"), results(2.0, "B", "C")))
    assert {row[0] for row in rows} == {"B"}


def test_the_table_says_which_way_it_went() -> None:
    lines = table(list(compare(results(1.0, "A"), results(2.0, "A")))).splitlines()
    assert (
        lines[2] == "| A | hfdl | wall s | 1.10 (1.00..1.20) | 2.10 (2.00..2.20) | 1.91 | SLOWER |"
    )
    assert [line.rpartition(" | ")[2] for line in lines[3:]] == ["noise |", "noise |"]
    back = table(list(compare(results(2.0, "A"), results(1.0, "A")))).splitlines()
    assert back[2].endswith("| 0.52 | faster |")
