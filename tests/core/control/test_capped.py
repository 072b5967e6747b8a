from __future__ import annotations

from hfdl_async.core.control.capped import Shedding


class Runner:
    """Feeds ticks of half a second."""

    def __init__(self, target: int) -> None:
        self.shedding = Shedding()
        self.now = 0.0
        self.target = target

    def run(self, seconds: float, *, limited: bool, uncapped: bool = False) -> list[int]:
        targets = []
        for _ in range(round(2 * seconds)):
            self.now += 0.5
            self.target = self.shedding.observe(
                self.now, self.target, limited=limited, uncapped=uncapped, least=1
            )
            targets.append(self.target)
        return targets


def test_every_five_seconds_a_fifth_of_the_connections_goes() -> None:
    runner = Runner(20)
    assert runner.run(5, limited=True)[-1] == 20
    assert runner.run(5, limited=True)[-1] == 16
    assert runner.run(5, limited=True)[-1] == 13


def test_a_step_too_many_is_undone_and_is_the_last() -> None:
    runner = Runner(10)
    runner.run(6, limited=True)
    assert runner.target == 8
    assert runner.run(1, limited=False)[-1] == 10
    assert set(runner.run(60, limited=True)) == {10}


def test_shedding_begins_anew_once_the_limit_was_slack_for_long() -> None:
    runner = Runner(10)
    runner.run(6, limited=True)
    runner.run(31, limited=False)
    assert not runner.shedding.active
    assert runner.run(6, limited=True)[-1] == 8


def test_the_limit_governs_until_it_was_slack_for_some_seconds() -> None:
    runner = Runner(10)
    runner.run(2, limited=True)
    runner.run(2, limited=False)
    assert runner.shedding.active
    runner.run(2, limited=False)
    assert not runner.shedding.active


def test_while_the_line_is_measured_all_connections_are_back() -> None:
    runner = Runner(20)
    runner.run(16, limited=True)
    shed = runner.target
    assert shed < 20
    assert set(runner.run(3, limited=False, uncapped=True)) == {20}
    assert runner.run(0.5, limited=True) == [shed]


def test_one_connection_always_stays() -> None:
    runner = Runner(3)
    assert runner.run(100, limited=True)[-1] == 1
