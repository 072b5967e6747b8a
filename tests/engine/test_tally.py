from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.progress import ActiveFile
from hfdl_async.engine.tally import Tally


def test_silence_is_the_time_of_failures_without_a_byte() -> None:
    tally = Tally(100.0)
    assert tally.silent_seconds(107.0) == 0.0  # nothing was asked for
    tally.failed(107.0)
    tally.failed(109.0)
    assert tally.silent_seconds(110.0) == 3.0
    tally.received(1, 110.0)
    assert tally.silent_seconds(200.0) == 0.0
    tally.failed(200.0)
    assert tally.silent_seconds(201.0) == 1.0


def test_waits_that_many_workers_were_asked_for_are_excused_once() -> None:
    tally = Tally(0.0)
    tally.failed(0.0)
    for _ in range(100):
        tally.excuse(10.0, 70.0)
    assert tally.silent_seconds(100.0) == 40.0


def test_a_byte_in_the_middle_of_a_wait_does_not_bring_the_rest_of_the_wait_back() -> None:
    tally = Tally(0.0)
    tally.excuse(10.0, 70.0)
    tally.received(1, 20.0)
    tally.failed(20.0)
    assert tally.silent_seconds(70.0) == 0.0
    assert tally.silent_seconds(75.0) == 5.0


SPANS = st.lists(st.tuples(st.integers(0, 100), st.integers(0, 30)), max_size=8)


@given(SPANS)
def test_excused_time_is_the_union_of_what_was_excused(spans: list[tuple[int, int]]) -> None:
    tally = Tally(0.0)
    tally.failed(0.0)
    spans = sorted(spans)
    for start, length in spans:
        tally.excuse(start, start + length)
    excused = {second for start, length in spans for second in range(start, start + length)}
    assert tally.silent_seconds(200.0) == 200 - len(excused)


def test_a_snapshot_adds_up_what_is_done_from_whatever_source() -> None:
    tally = Tally(10.0)
    tally.bytes_total, tally.files_total = 100, 4
    tally.bytes_finished, tally.bytes_copying = 20, 5
    tally.active = lambda: [ActiveFile("a", 50, 30, 10, 2)]
    tally.connections = lambda: (2, 8)
    tally.received(40, 14.0)
    tally.measure(14.0)
    view = tally.snapshot(15.0)
    assert view.bytes_done == 55
    assert view.bytes_from_wire == 40
    assert view.rate_bytes_per_second == pytest.approx(10.0)
    assert view.eta_seconds == pytest.approx(4.5)
    assert (view.connections, view.connections_allowed) == (2, 8)
    assert view.elapsed_seconds == 5.0
    assert [file.path for file in view.active] == ["a"]


def test_a_snapshot_never_shows_more_than_all() -> None:
    tally = Tally(0.0)
    tally.bytes_total, tally.bytes_finished = 10, 12
    assert tally.snapshot(1.0).bytes_done == 10


def test_a_note_comes_before_what_the_network_waits_for() -> None:
    tally = Tally(0.0)
    tally.hold = lambda: "waiting 3 s"
    assert tally.snapshot(0.0).note == "waiting 3 s"
    tally.note = "another process works here"
    assert tally.snapshot(0.0).note == "another process works here"
