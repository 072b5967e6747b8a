"""A straight line through points that span orders of magnitude, and how far off it they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """What one run of a size cost: *number* is of files, MiB or connections."""

    number: int
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float


@dataclass(frozen=True, slots=True)
class Line:
    """`base + per_unit * number`, and the largest share by which a point is off."""

    base: float
    per_unit: float
    worst: float

    def at(self, number: float) -> float:
        """Return the height of the line."""
        return self.base + self.per_unit * number


def fit(points: Sequence[tuple[float, float]]) -> Line:
    """Return the line with the least squares of relative errors.

    Relative, because otherwise the largest point alone would decide. Heights are positive.

    Raises:
        ValueError: there are fewer than two different points.
    """
    if len({number for number, _ in points}) < 2:
        raise ValueError("a line takes two points")
    weights = [height**-2 for _, height in points]
    total = sum(weights)
    middle = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    height = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    spread = sum(w * (x - middle) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    rise = sum(w * (x - middle) * (y - height) for w, (x, y) in zip(weights, points, strict=True))
    per_unit = rise / spread
    line = Line(height - per_unit * middle, per_unit, 0.0)
    worst = max(abs(line.at(x) / y - 1) for x, y in points)
    return Line(line.base, line.per_unit, worst)


UNITS = {
    "planned": "file",
    "downloaded": "file",
    "complete": "file",
    "size": "MiB",
    "connections": "connection",
}


def described(part: str, line: Line, figure: str) -> str:
    """Return the line in words: what one more costs, and how straight it is."""
    if figure == "seconds":
        base, each = f"{line.base:.2g} s", f"{line.per_unit * 1e6:,.1f} µs"
    else:
        base, each = f"{line.base:.0f} MB", f"{line.per_unit * 1e3:,.2f} kB"
    return f"{base} + {each} a {UNITS[part]}, at most {line.worst:.0%} off"
