"""Two results of the suite side by side: `python -m benchmarks.compare OLD.json NEW.json`.

A difference counts where the ranges of the runs do not overlap and each side has runs enough for a
range to mean something. Everything else is called noise, however large the ratio of the medians.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

from benchmarks.measuring import Measurement
from benchmarks.results import read_runs
from hfdl_async.core.model import MB

ENOUGH_RUNS = 3

Change = Literal["less", "more", "noise", "too few runs"]


@dataclass(frozen=True, slots=True)
class Spread:
    """What several runs showed of one figure."""

    low: float
    middle: float
    high: float
    runs: int

    @classmethod
    def of(cls, figures: Sequence[float]) -> Spread:
        """Return the spread of *figures*, of which there is at least one."""
        return cls(min(figures), median(figures), max(figures), len(figures))

    def __str__(self) -> str:
        return f"{self.middle:.2f} ({self.low:.2f}..{self.high:.2f})"


def change(old: Spread, new: Spread) -> Change:
    """Return whether the figure is less or more than before, by the rule of this module."""
    if min(old.runs, new.runs) < ENOUGH_RUNS:
        return "too few runs"
    if new.high < old.low:
        return "less"
    return "more" if new.low > old.high else "noise"


WORDS = {
    "wall s": {"less": "faster", "more": "SLOWER"},
    "CPU s": {"less": "less", "more": "MORE"},
    "peak MB": {"less": "less", "more": "MORE"},
}


def compare(
    old: dict[str, list[Measurement]], new: dict[str, list[Measurement]]
) -> Iterator[tuple[str, str, str, Spread, Spread, str]]:
    """Yield scenario, tool, figure, old, new and the change, for what both have."""
    for scenario in (name for name in new if name in old):
        for tool in dict.fromkeys(run.tool for run in new[scenario]):
            before, after = (
                [run for run in runs[scenario] if run.tool == tool] for runs in (old, new)
            )
            if not before:
                continue
            for figure, words in WORDS.items():
                was, is_now = (Spread.of(_figures(runs, figure)) for runs in (before, after))
                what = change(was, is_now)
                yield scenario, tool, figure, was, is_now, words.get(what, what)


def _figures(runs: Sequence[Measurement], figure: str) -> list[float]:
    if figure == "wall s":
        return [run.wall_seconds for run in runs]
    if figure == "CPU s":
        return [run.cpu_seconds for run in runs]
    return [run.peak_rss_bytes / MB for run in runs]


def table(rows: Sequence[tuple[str, str, str, Spread, Spread, str]]) -> str:
    """Return the comparison as Markdown."""
    lines = [
        "| scenario | tool | figure | old: median (min..max) | new | ratio | |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for scenario, tool, figure, before, after, word in rows:
        ratio = f"{after.middle / before.middle:.2f}" if before.middle else ""
        lines.append(f"| {scenario} | {tool} | {figure} | {before} | {after} | {ratio} | {word} |")
    return "\n".join(lines)


def main() -> int:
    """Print the comparison; 2 when there is nothing to compare."""
    parser = argparse.ArgumentParser(prog="benchmarks.compare", description=__doc__)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    arguments = parser.parse_args()
    rows = list(compare(read_runs(arguments.old), read_runs(arguments.new)))
    if not rows:
        print("the two have no scenario and tool in common", file=sys.stderr)
        return 2
    print(table(rows))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
