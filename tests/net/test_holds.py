from __future__ import annotations

import anyio
import pytest

from hfdl_async.errors import RateLimitedError
from hfdl_async.net.holds import MAX_UNSTATED_SECONDS, Holds
from hfdl_async.net.urls import Origin
from tests.net.wire import ManualClock

pytestmark = pytest.mark.anyio
HUB = Origin("https", "hub.example", 443)
DATA = Origin("https", "data.example", 443)


async def test_everybody_waits_for_a_held_host_and_nobody_for_another() -> None:
    clock = ManualClock()
    holds = Holds(clock)
    assert holds.hold(HUB, 30.0, sent_at=clock.now) == 30.0
    started = clock.now
    await holds.wait(DATA)
    assert clock.now == started
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(holds.wait, HUB)
    assert clock.now >= started + 30


async def test_a_hold_that_grows_while_somebody_waits_is_waited_for_too() -> None:
    clock = ManualClock()
    holds = Holds(clock)
    holds.hold(HUB, 10.0, sent_at=clock.now)
    sleep = clock.sleep

    async def sleep_and_be_held_again(seconds: float) -> None:
        await sleep(seconds)
        if len(clock.slept) == 1:
            holds.hold(HUB, 7.0, sent_at=clock.now)

    clock.sleep = sleep_and_be_held_again  # type: ignore[method-assign]
    await holds.wait(HUB)
    assert clock.slept == [10.0, 7.0]


def test_a_shorter_wait_never_cuts_a_longer_one() -> None:
    clock = ManualClock()
    holds = Holds(clock)
    holds.hold(HUB, 60.0, sent_at=clock.now)
    assert holds.hold(HUB, 5.0, sent_at=clock.now) == 60.0


def test_a_wait_that_is_not_stated_grows_but_not_by_what_was_already_on_its_way() -> None:
    clock = ManualClock()
    holds = Holds(clock)
    burst = [holds.hold(HUB, None, sent_at=clock.now) for _ in range(3)]
    assert burst == [1.0, 1.0, 1.0]
    waits = []
    for _ in range(8):
        clock.now += holds.remaining(HUB)
        waits.append(holds.hold(HUB, None, sent_at=clock.now))
    assert waits[:4] == [2.0, 4.0, 8.0, 16.0]
    assert waits[-1] == MAX_UNSTATED_SECONDS
    clock.now += holds.remaining(HUB)
    holds.answered(HUB)
    assert holds.hold(HUB, None, sent_at=clock.now) == 1.0


async def test_more_patience_than_a_person_has_is_an_error_and_no_wait() -> None:
    clock = ManualClock()
    holds = Holds(clock)
    holds.hold(HUB, 3600.0, sent_at=clock.now)
    with pytest.raises(RateLimitedError, match="wait 3600 s") as caught:
        await holds.wait(HUB)
    assert caught.value.retry_after_seconds == 3600
    assert clock.slept == []


def test_a_hold_is_told_once_and_can_be_put_in_words() -> None:
    clock = ManualClock()
    told: list[tuple[str, float]] = []
    holds = Holds(clock, lambda host, seconds: told.append((host, seconds)))
    assert holds.describe() == ""
    holds.hold(HUB, 37.2, sent_at=clock.now)
    holds.hold(HUB, 38.0, sent_at=clock.now)
    assert [(host, round(seconds, 3)) for host, seconds in told] == [("hub.example", 37.2)]
    assert holds.describe() == "waiting 38 s for hub.example's limit"
    assert holds.describe(DATA) == "waiting 38 s for hub.example's limit"
    assert holds.describe(HUB) == "waiting 38 s for the Hub's limit"
    clock.now += 40
    assert holds.describe() == ""
