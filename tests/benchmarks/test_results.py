"""Results survive the file, and the tables say what was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.bars import Verdict
from benchmarks.measuring import Measurement
from benchmarks.results import Result, rate_table, read_runs, table, to_json, to_markdown

RUNS = (
    Measurement("hfdl", 2.0, 1.5, 90_000_000, {"GET data": 64, "GET resolve": 1}, 7, 1.25),
    Measurement("hf", 4.0, 3.0, 100_000_000, {"HEAD resolve": 1}),
    Measurement("hfdl", 1.0, 1.0, 80_000_000, {"GET data": 64, "GET resolve": 1}),
    Measurement("hfdl", 9.0, 1.2, 70_000_000, {"GET data": 63, "GET resolve": 1}),
)
RESULT = Result("A", "one file", RUNS, (Verdict("a bar", 2.0, 1.0),), ("a note",))


def test_runs_come_back_from_the_file_as_they_were(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    file.write_text(to_json({"python": "3.11"}, [RESULT]))
    assert read_runs(file) == {"A": list(RUNS)}


def test_another_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "other.json"
    file.write_text("[]")
    with pytest.raises(ValueError, match="holds no results"):
        read_runs(file)


def test_the_table_has_a_line_for_each_tool_with_minimum_and_median() -> None:
    *_, ours, theirs = table(RESULT).splitlines()
    assert ours == ("| hfdl | 3 | 1.00 | 2.00 | 1.00 | 1.20 | 90 | 63 GET data, 1 GET resolve |")
    assert theirs.startswith("| hf | 1 | 4.00 | 4.00 |")


def test_the_page_tells_facts_bars_and_notes() -> None:
    text = to_markdown({"cores": "2"}, [RESULT])
    assert "- cores: 2\n" in text
    assert "## A: one file\n" in text
    assert "- MISSED: a bar: 2, at most 1\n- a note\n" in text


def test_operations_are_a_table_of_sizes() -> None:
    lines = rate_table({"add": {"1,000": 12.4, "10,000": 13.6}}).splitlines()
    assert lines == [
        "| nanoseconds each | 1,000 | 10,000 |",
        "| --- | --- | --- |",
        "| add | 12 | 14 |",
    ]
