"""Scenario A19: lines drawn at random, half of them with a step in the middle."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from hfdl_async.core.model import MB
from hfdl_async.testing.simulation.network import Conditions
from hfdl_async.testing.simulation.world import Change


@dataclass(frozen=True, slots=True)
class Draw:
    """One line; `change` None when nothing happens to it."""

    conditions: Conditions
    change: Change | None
    seed: int


def _log_uniform(dice: random.Random, low: float, high: float) -> float:
    return math.exp(dice.uniform(math.log(low), math.log(high)))


def draw(seed: int, number: int) -> Draw:
    """Return draw *number* of the set that *seed* stands for."""
    dice = random.Random(f"draw {seed} {number}")
    line_rate = _log_uniform(dice, 5, 1500) * MB
    conditions = Conditions(
        line_rate,
        _log_uniform(dice, 1.5, 100) * MB,
        round_trip=_log_uniform(dice, 0.01, 0.25),
        noise=dice.uniform(0.03, 0.20),
        cpu_rate=dice.choice((700, 1000, 2000)) * MB,
        cpu_waste=dice.choice((0.0, 0.004, 0.01)),
    )
    change = None
    if number % 2:
        factor = dice.choice((0.25, 0.5, 2.0, 4.0))
        if dice.random() < 0.5:
            after = replace(conditions, line_rate=line_rate * factor)
        else:
            after = replace(conditions, connection_rate=conditions.connection_rate * factor)
        change = Change(30.0, after)
    return Draw(conditions, change, seed=1000 * seed + number)
