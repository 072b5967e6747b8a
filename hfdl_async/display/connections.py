"""The table of connections: a row for each request in flight, for who wonders what is slow."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from hfdl_async.core.model import MIB
from hfdl_async.core.progress import ConnectionView
from hfdl_async.display.text import clean, count, cut, duration, rate, shorten, size

HEADINGS = ("file", "range", "rate", "age", "state")
WIDTHS = (20, 9, 7, 9)  # of all columns but the first
GAP = "  "
NAME_MOST = 48
NAME_LEAST = 12


def connection_rows(
    flows: Sequence[ConnectionView], *, width: int, most: int, dots: str = "…"
) -> list[str]:
    """Return at most *most* lines of at most *width* cells, a heading first; none without flows."""
    if not flows or most < 2:
        return []
    hidden = len(flows) - (most - 1)
    shown = flows if hidden <= 0 else flows[: max(0, most - 2)]
    columns = _columns_within(width)
    room = width - sum(len(GAP) + cells for cells in WIDTHS[:columns])
    name_cells = max(1, min(room, NAME_MOST))
    rows = [HEADINGS, *map(_cells, shown)]
    lines = [_line(row, name_cells, columns, dots) for row in rows]
    if hidden > 0:
        more = count(len(flows) - len(shown), "more connection")
        lines.append(f"{dots} and {more}")
    return [cut(line, width, dots=dots) for line in lines]


def _columns_within(width: int) -> int:
    """Return how many columns fit beside a name that can still be told from others."""
    for columns in range(len(WIDTHS), 0, -1):
        if width - sum(len(GAP) + cells for cells in WIDTHS[:columns]) >= NAME_LEAST:
            return columns
    return 0


def _line(row: Sequence[str], name_cells: int, columns: int, dots: str) -> str:
    name = shorten(clean(row[0]), name_cells, dots=dots)
    line = name + " " * (name_cells - cell_len(name))
    for text, cells in zip(row[1 : columns + 1], WIDTHS[:columns], strict=True):
        line += GAP + (text.ljust(cells) if text == row[-1] else text.rjust(cells))
    return line.rstrip()


def _cells(flow: ConnectionView) -> tuple[str, str, str, str, str]:
    return (
        flow.path,
        _range(flow.start, flow.stop),
        rate(flow.rate_bytes_per_second),
        duration(flow.age_seconds),
        flow.state,
    )


def _range(start: int, stop: int) -> str:
    """Return a span in MiB, which is what pieces of large files are cut in."""
    if start == 0 and stop < MIB:
        return size(stop)
    return f"{start / MIB:,.0f}-{stop / MIB:,.0f} MiB"
