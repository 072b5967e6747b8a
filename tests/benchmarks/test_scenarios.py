"""The table of scenarios is one that can be played."""

from __future__ import annotations

import pytest

from benchmarks.bars import Runs, ShareOfNoSync, ShareOfTime
from benchmarks.scenarios import BY_NAME, SCENARIOS, chosen


def test_every_name_is_there_once() -> None:
    assert len(BY_NAME) == len(SCENARIOS)


def test_no_name_means_all_and_one_letter_may_mean_two() -> None:
    assert chosen([]) == list(SCENARIOS)
    assert [one.name for one in chosen(["H", "A"])] == ["H1", "H2", "A"]
    assert [one.name for one in chosen(["D"])] == ["D"]


def test_an_unknown_name_is_told_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no scenario 'Z'; there are A, B, C"):
        chosen(["A", "Z"])


def test_every_peer_of_a_bar_takes_part() -> None:
    missing = [
        (one.name, bar.peer)
        for one in SCENARIOS
        for bar in one.bars
        if isinstance(bar, ShareOfTime) and bar.peer not in one.tools
    ]
    assert missing == []


def test_a_bar_about_syncs_has_runs_without() -> None:
    with_bar = [one for one in SCENARIOS if any(isinstance(b, ShareOfNoSync) for b in one.bars)]
    assert with_bar
    assert [one.name for one in with_bar if "hfdl-no-sync" not in one.tools] == []


def test_nothing_about_time_is_judged_of_a_quick_one() -> None:
    names = {bar.judge(Runs((), 1, 1)).name for one in SCENARIOS for bar in one.quick().bars}
    assert "HEAD requests" in names
    assert [name for name in names if "time" in name or "seconds" in name] == []
