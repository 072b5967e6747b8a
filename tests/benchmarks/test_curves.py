"""Curves are measured point by point, and what is known is not measured again."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.curves import PARTS, missing, page, read, scenario_of, write
from benchmarks.fitting import Point
from hfdl_async.core.model import GIB


def test_points_come_back_from_the_file(tmp_path: Path) -> None:
    curves = {"size": [Point(64, 0.5, 0.4, 60.0)]}
    file = tmp_path / "new" / "curves.json"
    assert read(file) == {}
    write(file, curves)
    assert read(file) == curves


def test_only_what_is_not_known_is_measured() -> None:
    known = {"connections": [Point(number, 1, 1, 1) for number in (1, 2, 16)]}
    assert list(missing(known, ["connections"])) == [
        ("connections", number) for number in (4, 8, 32, 64)
    ]


@pytest.mark.parametrize("part", PARTS)
def test_each_part_grows_in_one_thing(part: str) -> None:
    first, last = (scenario_of(part, PARTS[part][place]) for place in (0, -1))
    (small,), (large,) = first.workload.groups, last.workload.groups
    grown = (large.count / small.count, large.high_bytes / small.high_bytes)
    assert grown == {
        "planned": (1000, 1),
        "downloaded": (100, 1),
        "complete": (100, 1),
        "size": (1, 128),
    }.get(part, (1, 1))
    assert (first.options == last.options) is (part != "connections")


def test_the_ends_are_those_that_were_asked_for() -> None:
    assert PARTS["planned"][-1] == 1_000_000
    assert PARTS["downloaded"][-1] == 100_000
    assert scenario_of("size", PARTS["size"][-1]).workload.groups[0].high_bytes == 8 * GIB
    assert PARTS["connections"][-1] == 64


def test_the_page_shows_each_picture_with_what_its_lines_say() -> None:
    text = page({"planned": "wall: 1 s", "size": "wall: 2 s"})
    assert text.startswith("# How cost grows\n")
    assert "## Planned\n\nwall: 1 s.\n\n![planned](planned.svg)\n" in text
    assert text.endswith("![size](size.svg)\n")
