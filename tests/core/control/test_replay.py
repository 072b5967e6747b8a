from __future__ import annotations

import json

import pytest

from hfdl_async.core.control.config import ControlConfig
from hfdl_async.core.control.knee import KneeController
from hfdl_async.core.control.replay import replay
from hfdl_async.core.control.trace import TraceLine, TraceStart, first_line, line
from hfdl_async.core.controller import Controller, Decision, Sample
from hfdl_async.testing.simulation.figures import play
from hfdl_async.testing.simulation.scenarios import ALONE, Scenario


class Traced:
    """A controller whose trace is kept."""

    def __init__(self, seed: int) -> None:
        self._law = KneeController(seed=seed, hint=12)
        self.lines = [first_line(TraceStart(ControlConfig(), seed, 12))]

    def start(self) -> Decision:
        return self._law.start()

    def observe(self, sample: Sample) -> Decision:
        decision = self._law.observe(sample)
        self.lines.append(line(TraceLine(sample, decision, self._law.figures())))
        return decision


def trace_of(scenario: Scenario) -> list[str]:
    traced = Traced(3)

    def law(_seed: int, _polite: bool) -> Controller:
        return traced

    play(scenario, law, 3)
    return traced.lines


@pytest.mark.parametrize("name", ["A2", "A7", "A10", "A11", "A12", "A15", "A18"])
def test_a_recorded_trace_replays_to_the_same_decisions(name: str) -> None:
    (scenario,) = (each for each in ALONE if each.name == name)
    lines = trace_of(scenario)
    replayed = list(replay(lines))
    assert len(replayed) == len(lines) - 1 >= 100
    assert all(each.agrees for each in replayed)
    assert len({each.decision.target for each in replayed}) > 2


def test_another_controller_may_take_over_in_the_middle() -> None:
    lines = trace_of(ALONE[0])
    replayed = list(replay([*lines, *lines]))
    assert len(replayed) == 2 * (len(lines) - 1)
    assert all(each.agrees for each in replayed)


def test_another_decision_than_the_traced_one_is_seen() -> None:
    lines = trace_of(ALONE[0])
    values = json.loads(lines[60])
    values["N"] += 1
    lines[60] = json.dumps(values)
    assert [number for number, each in enumerate(replay(lines), 1) if not each.agrees] == [60]


def test_what_is_no_trace_is_refused() -> None:
    with pytest.raises(ValueError, match="not"):
        list(replay(["{}"]))
