from __future__ import annotations

from hfdl_async.core.control.collapse import Collapse
from hfdl_async.core.control.judging import Elasticity
from hfdl_async.core.control.window import Level

BASE, COLLAPSED = Level(16, 100.0, 0.02), Level(32, 20.0, 0.02)


def test_it_takes_two_ticks_far_below_the_baseline() -> None:
    found = Elasticity.between(BASE, COLLAPSED)
    assert not Collapse().has_come(found, 1)
    assert Collapse().has_come(found, 2)
    assert not Collapse().has_come(Elasticity.between(BASE, Level(32, 80.0, 0.02)), 6)


def test_the_increase_is_not_to_blame_when_fewer_connections_bring_less_again() -> None:
    collapse = Collapse()
    collapse.note(BASE, COLLAPSED)
    assert not collapse.wrongly_blamed(Level(12, 8.0, 0.02), 1)
    assert collapse.wrongly_blamed(Level(12, 8.0, 0.02), 2)
    assert not collapse.wrongly_blamed(Level(12, 8.0, 0.02), 3)


def test_it_is_to_blame_when_fewer_bring_as_much() -> None:
    collapse = Collapse()
    collapse.note(BASE, COLLAPSED)
    assert not collapse.wrongly_blamed(Level(12, 20.0, 0.02), 2)


def test_it_lasts_until_goodput_is_back() -> None:
    collapse = Collapse()
    assert not collapse.lasts(1.0)
    collapse.note(BASE, COLLAPSED)
    assert collapse.lasts(30.0)
    assert not collapse.lasts(90.0)
    assert not collapse.lasts(30.0)
