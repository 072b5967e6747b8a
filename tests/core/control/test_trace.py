from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.control.config import ControlConfig, polite
from hfdl_async.core.control.trace import (
    Figures,
    TraceLine,
    TraceStart,
    first_line,
    line,
    parse_first_line,
    parse_line,
)
from hfdl_async.core.controller import Decision, Sample

numbers = st.floats(0, 1e12, allow_nan=False)
entries = st.builds(
    TraceLine,
    st.builds(
        Sample,
        t=numbers,
        dt=numbers,
        bytes=st.integers(0, 10**12),
        busy=numbers,
        flowing=st.integers(0, 64),
        limited=st.booleans(),
        quota_left=st.none() | st.integers(0, 5000),
    ),
    st.builds(
        Decision,
        st.integers(1, 64),
        st.none() | numbers,
        st.just("knee"),
        st.sampled_from(["RAMP", "HOLD"]),
    ),
    st.builds(Figures, numbers, numbers, numbers, numbers, st.integers(1, 64)),
)


@given(entries)
def test_a_line_says_exactly_what_was_seen_and_decided(entry: TraceLine) -> None:
    text = line(entry)
    assert "\n" not in text
    assert parse_line(text) == entry


def test_a_line_has_the_fields_that_the_plot_reads() -> None:
    entry = TraceLine(
        Sample(t=1.0, dt=0.5, bytes=10),
        Decision(8, None, "knee", "HOLD"),
        Figures(20.0, 0.5, 0.1, 0.08, 64),
    )
    values = json.loads(line(entry))
    assert values.pop("sample") == {"t": 1.0, "dt": 0.5, "bytes": 10}
    assert values == {
        "t": 1.0, "mode": "HOLD", "reason": "knee", "N": 8, "x": 20.0, "e": 0.5, "err": 0.1,
        "sigma": 0.08, "ceiling": 64, "start_rate": None,
    }  # fmt: skip


@pytest.mark.parametrize("config", [ControlConfig(), polite(most=16)])
def test_the_first_line_has_all_that_a_controller_is_made_from(config: ControlConfig) -> None:
    start = TraceStart(config, seed=7, hint=12)
    assert parse_first_line(first_line(start)) == start


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"a": 1}', '{"trace": 2, "seed": 1, "hint": null}']
)
def test_what_is_no_trace_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_first_line(text)
    with pytest.raises(ValueError, match=r"."):
        parse_line(text)
