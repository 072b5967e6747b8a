"""Bars judge medians and worst cases, and say so when they cannot."""

from __future__ import annotations

from benchmarks import bars
from benchmarks.bars import Runs, ShareOfNoSync, ShareOfTime, Verdict, worst
from benchmarks.measuring import Measurement
from benchmarks.tools import Tool
from hfdl_async.core.model import GIB, MB, MIB


def run(tool: Tool, wall: float = 1.0, cpu: float = 1.0, **more: object) -> Measurement:
    facts: dict[str, object] = {"peak_rss_bytes": 50 * MB, **more}
    return Measurement(tool, wall, cpu, **facts)  # type: ignore[arg-type]


def runs(*measurements: Measurement, files: int = 1, size: int = GIB, pages: int = 1) -> Runs:
    return Runs(measurements, files, size, pages)


def test_a_share_of_time_is_one_of_medians() -> None:
    mine = [run("hfdl", wall) for wall in (1.0, 2.0, 9.0)]
    theirs = [run("hf", wall) for wall in (4.0, 1.0, 5.0)]
    verdict = ShareOfTime("hf", 0.5).judge(runs(*mine, *theirs))
    assert verdict.value == 0.5
    assert verdict.holds is True
    assert ShareOfTime("hf", 0.49).judge(runs(*mine, *theirs)).holds is False


def test_a_peer_that_was_not_run_is_not_judged() -> None:
    verdict = ShareOfTime("aria2c", 1.2).judge(runs(run("hfdl"), run("hf")))
    assert verdict.holds is None
    assert str(verdict).startswith("not judged: time as a share of that of aria2c")


def test_cpu_is_told_for_each_gib() -> None:
    verdict = bars.cpu_per_gib(1.4).judge(runs(run("hfdl", cpu=6.0), size=4 * GIB))
    assert verdict.value == 1.5
    assert verdict.holds is False


def test_memory_is_judged_by_the_worst_run_of_hfdl_alone() -> None:
    held = [run("hfdl", peak_rss_bytes=size * MB) for size in (100, 121)]
    verdict = bars.peak_memory(120).judge(runs(*held, run("hf", peak_rss_bytes=900 * MB)))
    assert verdict.value == 121
    assert verdict.holds is False


def test_heads_of_any_kind_count() -> None:
    verdict = bars.no_head().judge(runs(run("hfdl", requests={"GET data": 9, "HEAD resolve": 1})))
    assert verdict.value == 1
    assert verdict.holds is False


def test_resolves_are_counted_for_each_file() -> None:
    one = run("hfdl", requests={"GET resolve": 11})
    assert bars.resolves_per_file(1).judge(runs(one, files=10)).holds is False
    assert bars.resolves_per_file(2).judge(runs(one, files=10)).holds is True


def test_a_plan_may_ask_for_the_commit_and_for_each_page_once() -> None:
    one = run("hfdl", requests={"GET api": 7})
    assert bars.one_request_per_page().judge(runs(one, pages=6)).holds is True
    assert bars.one_request_per_page().judge(runs(one, pages=5)).holds is False


def test_the_use_of_a_line_counts_only_the_time_in_which_content_flows() -> None:
    one = run("hfdl", 9.0, data_seconds=2.0)
    verdict = bars.line_use(8, 64 * MIB, 0.95).judge(runs(one, size=GIB))
    assert verdict.value == 1.0
    assert verdict.holds is True
    assert str(verdict).endswith("at least 0.95")
    slow = run("hfdl", 9.0, data_seconds=4.0)
    assert bars.line_use(8, 64 * MIB, 0.95).judge(runs(slow, size=GIB)).holds is False


def test_a_server_that_does_not_tell_the_time_leaves_the_line_unjudged() -> None:
    assert bars.line_use(8, MIB, 0.95).judge(runs(run("hfdl"))).holds is None


def test_bytes_beyond_the_size_were_fetched_twice() -> None:
    one = run("hfdl", data_bytes=GIB + 65 * MIB)
    verdict = bars.fetched_twice(64).judge(runs(one))
    assert verdict.value == 65
    assert verdict.holds is False


def test_durability_is_compared_with_the_same_tool_without_it() -> None:
    both = runs(run("hfdl", 3.0), run("hfdl-no-sync", 2.0))
    assert ShareOfNoSync(1.5).judge(both).holds is True
    assert ShareOfNoSync(1.4).judge(both).holds is False


def test_of_verdicts_of_several_runs_the_worst_remains() -> None:
    several = [Verdict("a", 1, 9), Verdict("b", 0, 0), Verdict("a", 3, 9), Verdict("a", 2, 9)]
    assert worst(several) == [Verdict("a", 3, 9), Verdict("b", 0, 0)]
