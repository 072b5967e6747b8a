"""From a trace to numbers that can be drawn."""

from __future__ import annotations

import pytest

from benchmarks.plot_trace import COLOURS, curve, read_trace
from hfdl_async.core.control.config import ControlConfig
from hfdl_async.core.control.trace import Figures, TraceLine, TraceStart, first_line, line
from hfdl_async.core.controller import Decision, Mode, Sample

STEPS: tuple[tuple[int, Mode, str], ...] = (
    (8, "RAMP0", "baseline"),
    (8, "RAMP0", "baseline"),
    (16, "RAMP", "grow"),
    (12, "HOLD", "knee"),
    (12, "HOLD", "hold"),
)


def trace() -> str:
    lines = [first_line(TraceStart(ControlConfig(), 1, None))]
    for number, (target, mode, reason) in enumerate(STEPS):
        sample = Sample(1000.0 + number / 2, 0.5, 10_000_000, busy=7.5)
        decision = Decision(target, None, reason, mode)
        lines.append(line(TraceLine(sample, decision, Figures(2e7, 0.0, 0.0, 0.1, 64))))
    return "\n".join(lines) + "\n"


def test_a_trace_becomes_seconds_rates_and_connections() -> None:
    drawn = curve(read_trace(trace()))
    assert drawn.seconds == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert drawn.rates == [20.0] * 5
    assert drawn.targets == [8, 8, 16, 12, 12]
    assert drawn.in_flight == [7.5] * 5
    assert drawn.spans() == [(0.0, 1.0, "RAMP0"), (1.0, 1.5, "RAMP"), (1.5, 2.5, "HOLD")]
    assert drawn.changes() == [(1.5, 16, "grow"), (2.0, 12, "knee")]
    assert set(drawn.modes) <= set(COLOURS)


def test_a_line_that_was_cut_short_is_left_out() -> None:
    assert len(read_trace(trace()[:-5])) == len(STEPS) - 1


def test_what_is_no_trace_is_refused() -> None:
    with pytest.raises(ValueError, match="not the first line"):
        read_trace('{"t": 1}\n')
    with pytest.raises(ValueError, match="no decision"):
        curve([])
