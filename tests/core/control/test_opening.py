"""With how many connections a download begins, once a first look has shown the line."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hfdl_async.core.control.config import ControlConfig, polite
from hfdl_async.core.control.opening import (
    FEW_CONNECTIONS,
    FIRST_LOOK_SECONDS,
    FULL_BYTES_PER_SECOND,
    FULL_MACHINE,
    GLANCE_SECONDS,
    Look,
    Opening,
    first_connections,
    opening,
)

USUAL = ControlConfig()
SMALL_FILES = Look(bytes_per_second=1e6, answer_seconds=(0.1, 0.1, 9.0), small_ahead=5000)


@pytest.mark.parametrize(
    ("latency", "rate", "connections"),
    [(0.01, 10_000.0, 20), (0.1, 50.0, 5), (0.001, 1000.0, 4), (1.0, 1000.0, 32)],
)
def test_it_is_rate_times_latency_within_bounds(
    latency: float, rate: float, connections: int
) -> None:
    assert first_connections([latency, latency, 9.0], rate) == connections


def test_without_a_latency_it_begins_low() -> None:
    assert first_connections([]) == FEW_CONNECTIONS


def test_small_files_begin_with_as_many_as_their_answers_take() -> None:
    assert opening(SMALL_FILES, USUAL) == Opening(replace(USUAL, first=32))


def test_a_quota_of_the_server_is_the_rate() -> None:
    look = replace(SMALL_FILES, requests_a_second=60.0)
    assert opening(look, USUAL) == Opening(replace(USUAL, first=6))


def test_without_a_quota_it_is_never_less_than_usual() -> None:
    look = replace(SMALL_FILES, answer_seconds=(0.001,))
    assert opening(look, USUAL) == Opening(USUAL)


def test_no_more_than_there_are_small_files_and_a_few_of_them_change_nothing() -> None:
    assert opening(replace(SMALL_FILES, small_ahead=12), USUAL).config.first == 12
    for look in (replace(SMALL_FILES, small_ahead=7), Look(answer_seconds=(0.3,))):
        assert opening(look, USUAL) == Opening(USUAL)
        assert not look.waits_for_answers


@pytest.mark.parametrize("small_ahead", [0, 5000])
def test_a_line_that_a_few_connections_fill_is_begun_with_a_few(small_ahead: int) -> None:
    look = Look(bytes_per_second=FULL_BYTES_PER_SECOND, small_ahead=small_ahead, answered=9)
    assert opening(look, USUAL) == Opening(USUAL, hint=FEW_CONNECTIONS)
    assert not look.waits_for_answers


def test_a_machine_that_a_few_connections_fill_has_enough_of_one() -> None:
    look = Look(bytes_per_second=FULL_BYTES_PER_SECOND, machine_share=FULL_MACHINE)
    assert opening(look, USUAL) == Opening(replace(USUAL, first=1, headroom=False))
    several = replace(look, files_ahead=8)
    assert opening(several, USUAL) == Opening(replace(USUAL, first=2, headroom=False))
    eight = replace(several, connections=8)
    assert opening(eight, USUAL) == opening(several, USUAL)
    assert replace(eight, connections=12).fills_the_machine  # the next eight are being opened
    assert not replace(eight, connections=13).fills_the_machine  # the law has seen that they pay
    # Full processors with less on the line are somebody else's doing: a compiler, a debug log.
    assert opening(replace(look, bytes_per_second=10**8), USUAL) == Opening(USUAL)


def test_one_connection_has_a_moment_to_show_that_it_is_enough() -> None:
    begun = Look(seconds=0.0, connections=1)
    assert not begun.wants_more
    assert replace(begun, seconds=GLANCE_SECONDS).wants_more  # nothing came: a long way
    quick = Look(GLANCE_SECONDS, FULL_BYTES_PER_SECOND - 1, machine_share=0.9, connections=1)
    assert not quick.wants_more
    assert not quick.is_enough
    assert replace(quick, seconds=2 * GLANCE_SECONDS).wants_more
    enough = replace(quick, bytes_per_second=FULL_BYTES_PER_SECOND)
    assert enough.is_enough
    assert not replace(enough, connections=2).is_enough
    assert not replace(enough, machine_share=FULL_MACHINE - 0.01).is_enough


def test_small_files_do_not_wait_for_what_one_connection_shows() -> None:
    assert Look(seconds=0.0, small_ahead=1, connections=1).wants_more
    assert not Look(seconds=0.0, small_ahead=0, connections=1).wants_more


def test_who_is_polite_takes_his_time() -> None:
    assert opening(SMALL_FILES, polite()) == Opening(polite())


def test_a_look_is_over_when_it_has_seen_enough() -> None:
    early = replace(SMALL_FILES, seconds=0.1, answered=3)
    assert not early.is_enough
    assert replace(early, answered=4).is_enough
    assert not replace(early, answered=4, small_ahead=0).is_enough  # bytes need their time
    assert replace(early, seconds=FIRST_LOOK_SECONDS).is_enough
