"""Pictures of cost curves: the points, the straight line through them, the cost of each unit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.fitting import UNITS, Point, described, fit

LABELS = {
    "planned": "files in the plan",
    "downloaded": "files of 1 to 16 KiB downloaded",
    "complete": "files that are complete already",
    "size": "size of the file in MiB",
    "connections": "connections for one file of 1 GiB",
}
WALL, CPU, MEMORY = "#1f77b4", "#d62728", "#2ca02c"


def draw(part: str, points: Sequence[Point], folder: Path) -> str:
    """Write `<part>.svg` to *folder*; return what its lines say."""
    # The same points give the same file: no date, and no ids by chance.
    mpl.rcParams.update({"svg.hashsalt": part, "font.size": 8})
    figure, (times, each, memory) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    wall, cpu, peak = (
        [(point.number, getattr(point, name)) for point in points]
        for name in ("wall_seconds", "cpu_seconds", "peak_mb")
    )
    said = [
        _line(times, f"wall: {_words(part, wall, 'seconds')}", wall, WALL),
        _line(times, f"CPU: {_words(part, cpu, 'seconds')}", cpu, CPU),
        _line(memory, f"peak: {_words(part, peak, 'MB')}", peak, MEMORY),
    ]
    _each(each, cpu)
    times.set_ylabel("seconds")
    each.set_ylabel(f"CPU µs for each {UNITS[part]}, start-up included")
    memory.set_ylabel("MB resident")
    for axes in (times, each, memory):
        axes.set_xlabel(LABELS[part])
        axes.set_ylim(bottom=0)
        axes.grid(visible=True, alpha=0.3)
    figure.savefig(folder / f"{part}.svg", metadata={"Date": None})
    plt.close(figure)
    return "; ".join(said)


def _words(part: str, points: Sequence[tuple[float, float]], unit: str) -> str:
    return described(part, fit(points), unit) if len(points) > 1 else "one point"


def _line(axes: Axes, said: str, points: Sequence[tuple[float, float]], colour: str) -> str:
    """Draw points and their straight line on axes that leave it straight."""
    numbers = [number for number, _ in points]
    axes.plot(numbers, [height for _, height in points], "o", color=colour, label=said)
    if len(points) > 1:
        line, ends = fit(points), (numbers[0], numbers[-1])
        axes.plot(ends, [line.at(number) for number in ends], color=colour, linewidth=1)
    axes.legend(loc="upper left", fontsize=7)
    return said


def _each(axes: Axes, points: Sequence[tuple[float, float]]) -> None:
    """Draw the cost of each unit: it falls to a level, and what is quadratic would rise again."""
    numbers = [number for number, _ in points]
    axes.plot(numbers, [height / number * 1e6 for number, height in points], "o-", color=CPU)
    axes.set_xscale("log")
