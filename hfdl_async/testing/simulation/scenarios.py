"""The scenarios A1 to A20: what the line is like, and how good a law must be on it.

`G*` is what the best fixed number of connections brings without noise, `N*` the fewest that bring
97 % of it; *util* is what a run brought, as a share of G*.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hfdl_async.core.model import MB, MIB
from hfdl_async.testing.simulation.network import Conditions
from hfdl_async.testing.simulation.world import Change

LARGE = 16.0 * MIB  # a piece as the engine hands it out
SMALL = 100.0 * 1000
SEEDS = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True)
class Bar:
    """One number of a scenario and what it must be; None means: unbounded on that side."""

    figure: str
    least: float | None = None
    most: float | None = None

    def holds(self, value: float) -> bool:
        """Return whether *value* is good enough."""
        above = self.least is None or value >= self.least
        return above and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        if self.least is not None and self.most is not None:
            return f"{self.figure} {self.least:g}..{self.most:g}"
        if self.least is not None:
            return f"{self.figure} >= {self.least:g}"
        return f"{self.figure} <= {self.most:g}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One line, one law on it, alone."""

    name: str
    about: str
    conditions: Conditions
    bars: tuple[Bar, ...]
    seconds: float = 60.0
    request_bytes: float = LARGE
    change: Change | None = None
    seeds: tuple[int, ...] = SEEDS
    user_limit: float | None = None
    percent: float | None = None
    foreign: int = 0  # greedy connections of somebody else
    polite: bool = False
    least_after: float = 0.0  # seconds that do not count for `late` figures


def _at_30(conditions: Conditions) -> Change:
    return Change(30.0, conditions)


def bars(**limits: float | tuple[float, float]) -> tuple[Bar, ...]:
    """Return bars by figure: `util_min=0.9`, `mean_n_max=9`, `share=(0.95, 1.0)`."""
    made = []
    for name, limit in limits.items():
        if isinstance(limit, tuple):
            made.append(Bar(name, least=limit[0], most=limit[1]))
        elif name.endswith("_min"):
            made.append(Bar(name.removesuffix("_min"), least=limit))
        else:
            made.append(Bar(name.removesuffix("_max"), most=limit))
    return tuple(made)


_A2 = Conditions(115 * MB, 40 * MB, round_trip=0.04, noise=0.05)
_A8 = Conditions(115 * MB, 20 * MB, round_trip=0.04, noise=0.05)
_A9 = Conditions(30 * MB, 20 * MB, round_trip=0.04, noise=0.05)
_A10 = Conditions(115 * MB, 20 * MB, round_trip=0.04, noise=0.05)
_SMALL = Conditions(1150 * MB, 100 * MB, round_trip=0.05, think=0.05, noise=0.03)

ALONE: tuple[Scenario, ...] = (
    Scenario(
        "A1", "12.5 MB/s, no useful cap", Conditions(12.5 * MB, noise=0.05),
        bars(util_min=0.95, mean_n_max=7),
    ),
    Scenario(
        "A2", "115 MB/s, 40 a connection", _A2,
        bars(util_min=0.93, mean_n_max=9, t90_max=4),
    ),
    Scenario(
        "A3", "1150 MB/s, 60 a connection, CPU 1000 less 0.4 % each",
        Conditions(
            1150 * MB, 60 * MB, round_trip=0.01, cpu_rate=1000 * MB, cpu_waste=0.004, noise=0.05
        ),
        bars(util_min=0.91, t90_max=5),
    ),
    Scenario(
        "A4", "CPU 900 MB/s less 1 % each",
        Conditions(5000 * MB, 120 * MB, cpu_rate=900 * MB, cpu_waste=0.01, noise=0.05),
        bars(util_min=0.93, mean_n_max=15),
    ),
    Scenario(
        "A5", "115 MB/s, 2 a connection, 150 ms",
        Conditions(115 * MB, 2 * MB, round_trip=0.15, noise=0.05),
        bars(util_min=0.84, t90_max=11),
    ),
    Scenario(
        "A6", "60 MB/s, 8 a connection, 250 ms",
        Conditions(60 * MB, 8 * MB, round_trip=0.25, noise=0.05),
        bars(util_min=0.90, mean_n_max=16),
    ),
    Scenario(
        "A7", "30 MB/s, noise 30 %, 0.5 % waste per surplus connection",
        Conditions(30 * MB, 8 * MB, noise=0.30, surplus_waste=0.005, surplus_above=5),
        bars(util_min=0.90, mean_n_max=18),
    ),
    Scenario(
        "A8", "115 -> 30 MB/s at 30 s", _A8, bars(util_min=0.92),
        change=_at_30(replace(_A8, line_rate=30.0 * MB)),
    ),
    Scenario(
        "A9", "30 -> 115 MB/s at 30 s", _A9, bars(util_min=0.86, back_max=9),
        change=_at_30(replace(_A9, line_rate=115.0 * MB)),
    ),
    Scenario(
        "A10", "20 -> 4 MB/s a connection at 30 s", _A10, bars(util_min=0.82, back_max=14),
        change=_at_30(replace(_A10, connection_rate=4.0 * MB)),
    ),
    Scenario(
        "A11", "429 beyond 12 connections",
        Conditions(115 * MB, 8 * MB, noise=0.05, connection_limit=12),
        bars(util_min=0.84, throttled_max=25),
    ),
    Scenario(
        "A12", "throttled to 5 % for 15 s beyond 24 connections",
        Conditions(100 * MB, 7 * MB, noise=0.05, burst_limit=24),
        bars(util_min=0.60, late_min=0.90), least_after=25.0,
    ),
    Scenario(
        "A13", "disk 250 MB/s on a fast line",
        Conditions(1150 * MB, 60 * MB, disk_rate=250 * MB, noise=0.05),
        bars(util_min=0.93, mean_n_max=10),
    ),
    Scenario(
        "A14", "files of 100 KB, 100 ms", _SMALL, bars(util_min=0.88), request_bytes=SMALL,
    ),
    Scenario(
        "A15", "the same, 20 requests a second", replace(_SMALL, request_rate=20.0),
        bars(util_min=0.90, throttled_max=30), request_bytes=SMALL, seconds=90.0,
    ),
    Scenario(
        "A17", "against 4 foreign flows", Conditions(115 * MB, round_trip=0.04, noise=0.05),
        bars(share_max=0.72), foreign=4,
    ),
    Scenario(
        "A17p", "the same, polite", Conditions(115 * MB, round_trip=0.04, noise=0.05),
        bars(share_max=0.55), foreign=4, polite=True,
    ),
    Scenario(
        "A18", "limit of 40 MB/s on 115", replace(_A2, connection_rate=40.0 * MB),
        bars(of_limit=(0.95, 1.005), late_n_max=6), user_limit=40.0 * MB, least_after=10.0,
    ),
    Scenario(
        "A20", "95 % of a line of 115 MB/s", replace(_A2, noise=0.03),
        bars(late_line=(0.93, 0.96), fall_max=0.02, decay_max=0.03), seconds=120.0, percent=95.0,
        least_after=10.0,
    ),
)  # fmt: skip

PAIR_RATES = (115.0 * MB, 30.0 * MB)
PAIR_SEEDS = tuple(range(1, 11))
PAIR_BARS = bars(jain_min=0.93, worst_jain_min=0.85, sum_n_max=75, most_n_max=100, util_min=0.97)
"""A16: two instances of the law on one line, the second 12 seconds later."""

DRAWS = 40
DRAW_BARS = bars(util_min=0.91, tenth_min=0.83, surplus_max=0.6)
"""A19: lines drawn at random."""
BEHIND_A_BASELINE = 0.05
"""On the draws the law may bring so much less than the best baseline, not more."""
