"""What one call of the suite found: to JSON and back, and as Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.bars import Verdict
from benchmarks.measuring import Measurement
from hfdl_async.core.model import MB

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Result:
    """The runs of one scenario and what they prove; *notes* are lines of their own."""

    name: str
    title: str
    runs: tuple[Measurement, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()
    rates: dict[str, dict[str, float]] = field(default_factory=dict)

    @property
    def tools(self) -> list[str]:
        """The tools that were run, in order of their first run."""
        return list(dict.fromkeys(run.tool for run in self.runs))


def to_json(facts: dict[str, str], results: Sequence[Result]) -> str:
    """Return everything as JSON."""
    scenarios = [
        {
            "name": one.name,
            "title": one.title,
            "runs": [run.to_dict() for run in one.runs],
            "bars": [
                {"name": bar.name, "value": bar.value, "limit": bar.limit, "holds": bar.holds}
                for bar in one.verdicts
            ],
            "notes": list(one.notes),
            "nanoseconds": one.rates,
        }
        for one in results
    ]
    return json.dumps({"schema": SCHEMA, "facts": facts, "scenarios": scenarios}, indent=1) + "\n"


def read_runs(file: Path) -> dict[str, list[Measurement]]:
    """Return the runs in a file of results, by scenario.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file.
    """
    value = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        raise ValueError(f"{file} holds no results of this suite")
    return {
        scenario["name"]: [Measurement(**run) for run in scenario["runs"]]
        for scenario in value["scenarios"]
    }


def to_markdown(facts: dict[str, str], results: Sequence[Result]) -> str:
    """Return everything for people."""
    lines = ["# Benchmarks", "", *(f"- {name}: {value}" for name, value in facts.items())]
    for one in results:
        lines += ["", f"## {one.name}: {one.title}", ""]
        if one.runs:
            lines += [table(one), ""]
        if one.rates:
            lines += [rate_table(one.rates), ""]
        lines += [f"- {text}" for text in (*map(str, one.verdicts), *one.notes)]
    return "\n".join(lines) + "\n"


def table(result: Result) -> str:
    """Return a table with a line for each tool."""
    lines = [
        "| tool | runs | wall s, min | median | CPU s, min | median | peak MB | requests |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for tool in result.tools:
        runs = [run for run in result.runs if run.tool == tool]
        wall, cpu = ([getattr(run, f"{kind}_seconds") for run in runs] for kind in ("wall", "cpu"))
        peak = max(run.peak_rss_bytes for run in runs) / MB
        requests = ", ".join(f"{count} {kind}" for kind, count in runs[-1].requests.items())
        lines.append(
            f"| {tool} | {len(runs)} | {min(wall):.2f} | {median(wall):.2f}"
            f" | {min(cpu):.2f} | {median(cpu):.2f} | {peak:.0f} | {requests} |"
        )
    return "\n".join(lines)


def rate_table(rates: dict[str, dict[str, float]]) -> str:
    """Return nanoseconds by operation and size as a table."""
    sizes = list(dict.fromkeys(size for by_size in rates.values() for size in by_size))
    lines = [
        f"| nanoseconds each | {' | '.join(sizes)} |",
        f"| --- |{' --- |' * len(sizes)}",
    ]
    for operation, by_size in rates.items():
        figures = (f"{by_size[size]:.0f}" if size in by_size else "" for size in sizes)
        lines.append(f"| {operation} | {' | '.join(figures)} |")
    return "\n".join(lines)
