from __future__ import annotations

import pytest

from hfdl_async.core.control.governor import Governor

LINE = 100e6


class Played:
    """A line that gives what it can, or what the limit allows."""

    def __init__(self, percent: float, line: float = LINE) -> None:
        self.governor = Governor(percent)
        self.line = line
        self.now = 0.0
        self.limits: list[float | None] = []

    @property
    def last_limit(self) -> float:
        """The limit, or during a rest the one before it."""
        return next(limit for limit in reversed(self.limits) if limit)

    def run(self, seconds: float, *, ramping: bool = False) -> None:
        for _ in range(round(2 * seconds)):
            self.now += 0.5
            rate = min(self.line, self.governor.limit or self.line)
            self.governor.observe(self.now, 0.5, int(rate / 2), ramping=ramping)
            self.limits.append(self.governor.limit)


def test_nothing_is_limited_before_the_line_is_known() -> None:
    played = Played(80)
    played.run(10, ramping=True)
    assert set(played.limits) == {None}
    played.run(0.5)
    assert played.governor.limit == pytest.approx(0.8 * LINE)


def test_a_ramp_without_end_is_enough_after_a_quarter_of_a_minute() -> None:
    played = Played(80)
    played.run(15, ramping=True)
    assert played.governor.limit == pytest.approx(0.8 * LINE)


def test_the_cold_start_is_not_taken_for_the_line() -> None:
    played = Played(80)
    played.run(2.5)
    assert played.governor.limit is None
    played.run(0.5)
    assert played.governor.limit is not None


def test_a_limit_does_not_decay_by_being_kept_to() -> None:
    played = Played(95)
    played.run(600)
    stated = [limit for limit in played.limits if limit]
    assert min(stated) == pytest.approx(0.95 * LINE)
    resting = played.limits.count(None) / len(played.limits)
    assert resting < 0.1


def test_it_follows_the_line_within_two_rests() -> None:
    played = Played(50)
    played.run(5)
    played.line = 4 * LINE
    played.run(130)
    assert played.last_limit == pytest.approx(0.5 * 4 * LINE)
    played.line = LINE
    played.run(130)
    assert played.last_limit == pytest.approx(0.5 * LINE)


def test_a_rest_is_measured_only_after_the_connections_are_back() -> None:
    played = Played(50)
    played.run(5)
    while not played.governor.resting:
        played.run(0.5)
    played.line = 0.5 * LINE
    played.run(1)
    played.line = LINE
    played.run(2)
    assert not played.governor.resting
    assert played.governor.limit == pytest.approx(0.5 * LINE)


def test_while_nothing_comes_nothing_is_limited() -> None:
    played = Played(50, line=0.0)
    played.run(20)
    assert played.governor.limit is None


@pytest.mark.parametrize("percent", [0, -5, 101])
def test_other_percentages_are_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="% of the line"):
        Governor(percent)


def test_ticks_that_tell_nothing_are_not_measured() -> None:
    governor = Governor(80)
    for tick in range(1, 61):
        governor.observe(tick / 2, 0.5, 1000, ramping=False, telling=False)
    assert governor.limit is None
    for tick in range(61, 67):
        governor.observe(tick / 2, 0.5, int(LINE / 2), ramping=False)
    assert governor.limit == pytest.approx(0.8 * LINE)


def test_the_first_window_is_as_long_as_it_is_asked_for() -> None:
    governor = Governor(80, first_seconds=5.0)
    for tick in range(1, 13):
        assert governor.limit is None
        governor.observe(tick / 2, 0.5, int(LINE / 2) if tick > 7 else 0, ramping=False)
    assert governor.limit == pytest.approx(0.8 * 0.5 * LINE)  # five of its ten ticks


def test_what_came_with_fewer_connections_is_not_in_the_first_window() -> None:
    governor = Governor(80, first_seconds=5.0)
    for tick in range(1, 25):
        governor.observe(tick / 2, 0.5, int(LINE / 20), ramping=True)
    for tick in range(25, 29):
        governor.observe(tick / 2, 0.5, int(LINE / 2), ramping=True)
    governor.observe(14.5, 0.5, int(LINE / 2), ramping=False)
    assert governor.limit == pytest.approx(0.8 * LINE)


def test_another_percentage_keeps_what_is_known_of_the_line() -> None:
    played = Played(80)
    played.run(5)
    played.governor.aim(50)
    assert played.governor.limit == pytest.approx(0.5 * LINE)
