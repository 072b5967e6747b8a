from __future__ import annotations

from hfdl_async.core.control.ceiling import Ceiling


def test_it_rises_slowly_until_it_is_gone() -> None:
    ceiling = Ceiling(64)
    ceiling.lower(60, now=100.0)
    seen = []
    for tick in range(200):
        ceiling.observe(100.0 + tick * 0.5)
        seen.append(ceiling.value)
    assert seen[19] == 60
    assert seen[20] == 63
    assert seen[-1] == 64
    assert not ceiling.set


def test_each_relapse_doubles_the_wait_up_to_two_minutes() -> None:
    ceiling, now, waits = Ceiling(64), 0.0, []
    for _ in range(6):
        ceiling.lower(12, now)
        began = now
        while ceiling.value == 12:
            now += 1.0
            ceiling.observe(now)
        waits.append(now - began)
    assert waits == [10, 20, 40, 80, 120, 120]


def test_lifting_it_forgets_the_relapses() -> None:
    ceiling = Ceiling(64)
    ceiling.lower(12, 0.0)
    ceiling.lower(12, 5.0)
    ceiling.lift()
    assert not ceiling.set
    ceiling.lower(12, 10.0)
    ceiling.observe(20.0)
    assert ceiling.value == 13


def test_it_never_falls_below_one() -> None:
    ceiling = Ceiling(8)
    ceiling.lower(0, 0.0)
    assert ceiling.value == 1
