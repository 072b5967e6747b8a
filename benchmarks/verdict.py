"""From measurements to a table, and whether the bars hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

from benchmarks.measuring import TOOLS, Measurement, Tool
from benchmarks.workload import Workload
from hfdl_async.core.model import MIB

PEAK_RSS_BAR_BYTES = 200 * MIB
PAGE_ENTRIES = 1000  # of a recursive listing
MOST_INFO_REQUESTS = 1


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure to reach: `value` must not exceed `limit`."""

    name: str
    value: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether it is reached."""
        return self.value <= self.limit

    def __str__(self) -> str:
        word = "holds" if self.holds else "MISSED"
        return f"{word}: {self.name}: {self.value:.4g}, at most {self.limit:.4g}"


def of_tool(runs: Sequence[Measurement], tool: Tool) -> list[Measurement]:
    """Return the runs of one tool."""
    return [run for run in runs if run.tool == tool]


def ratio(runs: Sequence[Measurement]) -> float:
    """Return the median time of hfdl as a share of that of hf, of the same rounds."""
    ours, theirs = (
        median(run.wall_seconds for run in of_tool(runs, tool)) for tool in ("hfdl", "hf")
    )
    return ours / theirs


def bars(workload: Workload, runs: Sequence[Measurement], *, time_limit: float) -> list[Bar]:
    """Return what *runs* of *workload* must reach, and what they reached."""
    name = workload.repo_id
    ours = of_tool(runs, "hfdl")
    return [
        Bar(f"{name}: time as a share of hf's (medians)", ratio(runs), time_limit),
        Bar(
            f"{name}: peak memory in MiB",
            max(run.peak_rss_bytes for run in ours) / MIB,
            PEAK_RSS_BAR_BYTES / MIB,
        ),
        Bar(
            f"{name}: HEAD requests",
            max(
                sum(count for kind, count in run.requests.items() if kind.startswith("HEAD"))
                for run in ours
            ),
            0,
        ),
        Bar(
            f"{name}: resolve requests",
            max(run.requests.get("GET resolve", 0) for run in ours),
            len(workload.digests),
        ),
        Bar(
            f"{name}: info and listing requests",
            max(run.requests.get("GET api", 0) for run in ours),
            MOST_INFO_REQUESTS + _pages(workload),
        ),
    ]


def table(runs: Sequence[Measurement]) -> str:
    """Return a Markdown table, a line for each repo and tool."""
    lines = [
        "| repo | tool | wall s, min | median | CPU s, min | median | peak MiB | requests |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for repo_id in dict.fromkeys(run.repo_id for run in runs):
        for tool in TOOLS:
            chosen = of_tool([run for run in runs if run.repo_id == repo_id], tool)
            wall = [run.wall_seconds for run in chosen]
            cpu = [run.cpu_seconds for run in chosen]
            peak = max(run.peak_rss_bytes for run in chosen) / MIB
            requests = ", ".join(f"{count} {kind}" for kind, count in chosen[0].requests.items())
            lines.append(
                f"| {repo_id} | {tool} | {min(wall):.2f} | {median(wall):.2f}"
                f" | {min(cpu):.2f} | {median(cpu):.2f} | {peak:.0f} | {requests} |"
            )
    return "\n".join(lines)


def _pages(workload: Workload) -> int:
    """Return how many pages the listing has: folders are entries of it too."""
    folders = {path.rpartition("/")[0] for path in workload.digests} - {""}
    return ceil((len(workload.digests) + len(folders)) / PAGE_ENTRIES)
