from __future__ import annotations

import pytest
from rich.cells import cell_len

from hfdl_async.core.model import MIB
from hfdl_async.core.progress import ConnectionView
from hfdl_async.display.connections import connection_rows
from tests.display.samples import HOSTILE, RAW


def flow(number: int, path: str = "model-00001-of-00002.safetensors") -> ConnectionView:
    start = 16 * number * MIB
    return ConnectionView(path, start, start + 16 * MIB, 8.7e6, 12.3, "receiving")


def test_a_row_says_file_range_rate_age_and_state() -> None:
    heading, row = connection_rows([flow(64)], width=100, most=10)
    assert heading.split() == ["file", "range", "rate", "age", "state"]
    assert row.split() == [
        "model-00001-of-00002.safetensors", "1,024-1,040", "MiB", "8.70", "MB/s", "12", "s",
        "receiving",
    ]  # fmt: skip


def test_a_small_file_is_a_size_and_one_that_waits_says_so() -> None:
    small = ConnectionView("config.json", 0, 950, 0.0, 0.4, "asking")
    row = connection_rows([small], width=100, most=10)[1]
    assert row.split() == ["config.json", "950", "B", "0", "B/s", "0.4", "s", "asking"]


def test_what_does_not_fit_is_counted() -> None:
    rows = connection_rows([flow(number) for number in range(20)], width=80, most=6)
    assert len(rows) == 6
    assert rows[-1] == "… and 16 more connections"
    assert len(connection_rows([flow(number) for number in range(5)], width=80, most=6)) == 6
    assert connection_rows([flow(1)], width=80, most=1) == []
    assert connection_rows([], width=80, most=10) == []


@pytest.mark.parametrize("width", [1, 5, 12, 20, 40, 60, 79, 120])
def test_no_line_is_wider_than_there_is_room(width: int) -> None:
    flows = [flow(1), flow(2, "目录/" * 30), flow(1_000_000, "x" * 300)]
    for dots in ("…", "..."):
        rows = connection_rows(flows, width=width, most=10, dots=dots)
        assert len(rows) == 4
        assert max(map(cell_len, rows)) <= width


def test_a_name_cannot_drive_the_terminal() -> None:
    rows = connection_rows([flow(1, HOSTILE)], width=100, most=10)
    assert not any(raw in row for raw in RAW for row in rows)
