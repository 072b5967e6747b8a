"""Prints how the controller and the laws that are not used do on the scenarios A1 to A20.

`python -m benchmarks.simulate [LAW…]`; about a minute for all laws, seconds for `knee` alone.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from hfdl_async.testing.simulation.figures import (
    best_fixed,
    figures,
    figures_of_draws,
    figures_of_pairs,
)
from hfdl_async.testing.simulation.laws import LAWS
from hfdl_async.testing.simulation.scenarios import (
    ALONE,
    DRAW_BARS,
    PAIR_BARS,
    PAIR_RATES,
    PAIR_SEEDS,
    Bar,
)


def main() -> None:
    chosen = {name: LAWS[name] for name in sys.argv[1:] or LAWS}
    for scenario in ALONE:
        best = best_fixed(scenario.conditions, scenario.request_bytes)
        title = f"{scenario.name} {scenario.about}; G* {best.rate / 1e6:.0f} MB/s"
        heading(f"{title}, N* {best.connections}", scenario.bars)
        for name, law in chosen.items():
            row(name, figures(scenario, law), scenario.bars)
    for rate in PAIR_RATES:
        heading(f"A16 two instances on {rate / 1e6:.0f} MB/s", PAIR_BARS)
        for name, law in chosen.items():
            row(name, figures_of_pairs(law, rate, PAIR_SEEDS), PAIR_BARS)
    heading("A19 40 lines drawn at random", DRAW_BARS)
    for name, law in chosen.items():
        row(name, figures_of_draws(law, 1), DRAW_BARS)


def heading(title: str, bars: tuple[Bar, ...]) -> None:
    print(f"\n{title}\n{'':14}" + "".join(f"{bar!s:>24}" for bar in bars))


def row(name: str, found: Mapping[str, float], bars: tuple[Bar, ...]) -> None:
    cells = (
        f"{found[bar.figure]:.3f}" + ("      " if bar.holds(found[bar.figure]) else " FAILS")
        for bar in bars
    )
    print(f"{name:14}" + "".join(f"{cell:>24}" for cell in cells))


if __name__ == "__main__":
    main()
