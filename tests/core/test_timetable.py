from __future__ import annotations

import pytest

from hfdl_async.core.options import parse_size
from hfdl_async.core.timetable import Bandwidth, Limit, Timetable, parse_limits


def parse(value: object) -> Bandwidth:
    return parse_limits(value, lambda text: parse_size(text, bare_unit=1))


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("20MB", Limit(rate=20e6)),
        ("20MB/s", Limit(rate=20e6)),
        ("20 MiB/s", Limit(rate=20 * 2**20)),
        ("500kb", Limit(rate=500e3)),
        ("1500", Limit(rate=1500)),
        ("80%", Limit(percent=80)),
        ("95", Limit(percent=95)),
        (95, Limit(percent=95)),
        ("62.5 %", Limit(percent=62.5)),
        ("off", Limit()),
    ],
)
def test_a_limit_is_a_rate_a_percentage_or_none(text: object, limit: Limit) -> None:
    assert parse(text) == limit


def test_a_timetable_has_its_entries_in_the_order_of_the_day() -> None:
    assert parse("19:00,off 8:00,5MB 12:30,50%") == Timetable(
        ((480, Limit(rate=5e6)), (750, Limit(percent=50)), (1140, Limit()))
    )


@pytest.mark.parametrize(
    ("minute", "limit"), [(0, Limit()), (480, Limit(rate=5e6)), (1139.5, Limit(rate=5e6))]
)
def test_the_last_entry_of_a_day_holds_over_midnight(minute: float, limit: Limit) -> None:
    table = parse("08:00,5MB 19:00,off")
    assert isinstance(table, Timetable)
    assert table.limit_at(minute) == limit


def test_one_entry_is_for_the_whole_day() -> None:
    table = parse("08:00,5MB")
    assert isinstance(table, Timetable)
    assert table.limit_at(0) == Limit(rate=5e6)


@pytest.mark.parametrize(
    "text",
    ["", "fast", "0", "0MB", "101", "150%", "-5MB", "25:00,5MB", "08:60,5MB", "08:00", "08:00,",
     "08:00,5MB 08:00,off", "08:00,5MB nonsense", "08:00, 5MB", "5MB/m"],
)  # fmt: skip
def test_anything_else_is_refused_with_what_was_said(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)
