"""The bars of B1 to B9 judge what they are given, and only that."""

from __future__ import annotations

import pytest

from benchmarks.bars import Verdict
from benchmarks.sampling import Seen
from benchmarks.socketcases import CAP, CASES, LIMIT, Case, SocketRun, best_fixed, chosen
from benchmarks.timeline import Sample
from hfdl_async.core.model import MB


def seen(
    rate: float, seconds: int, *, allowed: int = 8, replaced_at: tuple[float, ...] = ()
) -> Seen:
    samples = [
        Sample(tick / 10, round(rate * tick / 10), allowed, allowed)
        for tick in range(10 * seconds + 1)
    ]
    return Seen(samples, list(replaced_at), 0, 3)


def run(wall: float, *runs_seen: Seen, sent: int | None = None) -> SocketRun:
    return SocketRun(wall, runs_seen, sent)


def judged(name: str, size: int, **runs: SocketRun) -> list[Verdict]:
    [case] = chosen([name])
    return case.judge({label.strip("_"): [one] for label, one in runs.items()}, size)


def test_the_quickest_fixed_number_is_the_best_one() -> None:
    runs = {"auto": [run(1.0)], "8": [run(5.0)], "16": [run(3.0)], "64": [run(4.0)], "hf": []}
    assert best_fixed(runs) == ("16", 3.0)
    assert best_fixed({"auto": [run(1.0)]}) is None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_case_without_runs_is_not_judged(case: Case) -> None:
    assert {verdict.holds for verdict in case.judge({}, 1)} == {None}
    assert case.labels
    assert case.quick().workload.files <= case.workload.files


@pytest.mark.parametrize(("wall", "holds"), [(10.0, True), (11.5, True), (12.0, False)])
def test_speed_is_compared_with_the_best_fixed_number(wall: float, holds: bool) -> None:
    best = run(10.0, seen(100 * MB, 10))
    auto = run(wall, seen(100 * MB, 10))
    share, _ = judged("B1", 10**9, auto=auto, _16=best, _4=run(40.0, seen(25 * MB, 40)))
    assert share.holds is holds


def test_a_limit_is_kept_in_every_second_and_used() -> None:
    assert [v.holds for v in judged("B6", 1, auto=run(9.0, seen(0.98 * LIMIT, 10)))] == [True] * 3
    fast = judged("B6", 1, auto=run(9.0, seen(1.3 * LIMIT, 10)))
    assert [v.holds for v in fast] == [False, True, False]
    slow = judged("B6", 1, auto=run(9.0, seen(0.9 * LIMIT, 10)))
    assert [v.holds for v in slow] == [True, False, True]


def test_both_broken_connections_must_be_replaced_in_time() -> None:
    good = run(21.0, seen(50 * MB, 20, replaced_at=(3.0, 14.0, 20.0)))
    beyond, replaced = judged("B5", 10**9, auto=good, clean=run(20.0, seen(50 * MB, 20)))
    assert beyond.value == pytest.approx(-2.0)
    assert replaced.value == pytest.approx(10.0, abs=0.2)
    one = run(21.0, seen(50 * MB, 20, replaced_at=(14.0,)))
    assert judged("B5", 10**9, auto=one)[1].holds is None


def test_two_processes_are_judged_together() -> None:
    pair = run(20.0, seen(30 * MB, 20, allowed=30), seen(30 * MB, 20, allowed=30))
    assert [v.holds for v in judged("B8", 1, pair=pair)] == [True, True]
    unfair = run(20.0, seen(50 * MB, 20, allowed=50), seen(10 * MB, 20, allowed=50))
    assert [v.holds for v in judged("B8", 1, pair=unfair)] == [False, False]


def test_a_tail_as_quick_as_the_rest_is_ideal() -> None:
    tail, twice = judged("B9", 10**9, auto=run(10.0, seen(10 * CAP, 10), sent=1_010_000_000))
    assert tail.value == pytest.approx(1.0, abs=0.2)
    assert twice.value == pytest.approx(0.01)


def test_an_unknown_case_is_refused() -> None:
    with pytest.raises(ValueError, match="B99"):
        chosen(["B1", "B99"])
