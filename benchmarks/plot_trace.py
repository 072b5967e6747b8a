"""Draws what a controller did: `python -m benchmarks.plot_trace TRACE.jsonl OUT.svg [TITLE]`.

The trace is what `--trace-controller` writes. Above, goodput; below, the connections that were
allowed, coloured by what the law was doing, with a mark where it changed its mind.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hfdl_async.core.control.trace import (
    TraceLine,
    is_first_line,
    parse_first_line,
    parse_line,
)
from hfdl_async.core.controller import Mode
from hfdl_async.core.model import MB

COLOURS: dict[Mode, str] = {
    "RAMP0": "#ff7f0e",
    "RAMP": "#ff7f0e",
    "HOLD": "#1f77b4",
    "UP": "#2ca02c",
    "DOWN": "#9467bd",
    "CAPPED": "#7f7f7f",
    "FIXED": "#7f7f7f",
}
MARKS_MOST = 24  # words beside changes; more of them could not be read


@dataclass(frozen=True, slots=True)
class Curve:
    """A trace as numbers to draw: seconds from its start, MB/s, connections, modes, reasons."""

    seconds: list[float]
    rates: list[float]
    targets: list[int]
    in_flight: list[float]
    modes: list[Mode]
    reasons: list[str]

    def spans(self) -> list[tuple[float, float, Mode]]:
        """Return each stretch of time in which the law did one thing."""
        spans: list[tuple[float, float, Mode]] = []
        begin = 0.0
        for index, (at, mode) in enumerate(zip(self.seconds, self.modes, strict=True)):
            is_last = index + 1 == len(self.modes)
            if is_last or self.modes[index + 1] != mode:
                spans.append((begin, at, mode))
                begin = at
        return spans

    def changes(self) -> list[tuple[float, int, str]]:
        """Return when the number of connections changed, to what and why."""
        rows = zip(self.seconds, self.targets, self.reasons, strict=True)
        return [
            row
            for before, row in zip(self.targets, islice(rows, 1, None), strict=False)
            if row[1] != before
        ]


def read_trace(text: str) -> list[TraceLine]:
    """Return the decisions of a trace; a last line that was cut short is left out.

    Raises:
        ValueError: it is no trace, or a line of it is broken.
    """
    first, _, rest = text.partition("\n")
    parse_first_line(first)
    lines = rest.split("\n")
    return [parse_line(line) for line in lines[:-1] if line and not is_first_line(line)]


def curve(lines: Sequence[TraceLine]) -> Curve:
    """Return *lines* as numbers.

    Raises:
        ValueError: there are none.
    """
    if not lines:
        raise ValueError("the trace holds no decision")
    start = lines[0].sample.t - lines[0].sample.dt
    return Curve(
        [line.sample.t - start for line in lines],
        [line.sample.bytes / line.sample.dt / MB for line in lines],
        [line.decision.target for line in lines],
        [line.sample.busy for line in lines],
        [line.decision.mode for line in lines],
        [line.decision.reason for line in lines],
    )


def draw(drawn: Curve, picture: Path, title: str) -> None:
    """Write the picture; its ending says in which format."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    # The same trace gives the same file: no date, and no ids by chance.
    mpl.rcParams.update({"svg.hashsalt": picture.stem, "font.size": 8})
    figure, (above, below) = plt.subplots(2, 1, figsize=(9, 5), sharex=True, layout="constrained")
    above.set_title(title)
    above.plot(drawn.seconds, drawn.rates, color="#d62728", linewidth=1)
    above.set_ylabel("MB/s in each tick")
    below.step(drawn.seconds, drawn.targets, where="post", color="black", label="allowed")
    below.plot(drawn.seconds, drawn.in_flight, color="#999999", linewidth=0.8, label="in flight")
    below.set_ylabel("connections")
    below.set_xlabel("seconds")
    named: set[Mode] = set()
    for begin, end, mode in drawn.spans():
        label = None if mode in named else mode
        below.axvspan(begin, end, color=COLOURS[mode], alpha=0.18, linewidth=0, label=label)
        named.add(mode)
    for at, target, reason in drawn.changes()[:MARKS_MOST]:
        place = {"xytext": (2, 3), "textcoords": "offset points"}
        below.annotate(reason, (at, target), fontsize=5, rotation=45, **place)
    below.legend(loc="upper right", fontsize=7, ncols=5)
    for axes in (above, below):
        axes.set_ylim(bottom=0)
        axes.set_xlim(left=0)
        axes.grid(visible=True, alpha=0.3)
    below.set_ylim(top=1.3 * max(drawn.targets))
    metadata = {"Date": None} if picture.suffix == ".svg" else None
    figure.savefig(picture, metadata=metadata)
    plt.close(figure)


def main() -> int:
    """Draw one trace; return 2 where there is none."""
    if len(sys.argv) not in (3, 4):
        print(__doc__, file=sys.stderr)
        return 2
    trace, picture = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        drawn = curve(read_trace(trace.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        print(f"{trace}: {error}", file=sys.stderr)
        return 2
    draw(drawn, picture, sys.argv[3] if len(sys.argv) == 4 else trace.stem)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
