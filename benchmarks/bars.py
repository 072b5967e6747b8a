"""The figures to reach, as values that judge the runs of one scenario.

A bar that needs a tool which was not run says so instead of holding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Protocol

from benchmarks.measuring import Measurement
from benchmarks.tools import Tool
from hfdl_async.core.model import GIB, MB, MIB


@dataclass(frozen=True, slots=True)
class Runs:
    """The runs of one scenario, and the size of what they fetched."""

    measurements: Sequence[Measurement]
    files: int
    size_bytes: int
    pages: int = 1

    def of(self, tool: Tool) -> list[Measurement]:
        """Return the runs of one tool."""
        return [run for run in self.measurements if run.tool == tool]

    def wall(self, tool: Tool) -> float | None:
        """Return the median time of a tool, None when it was not run."""
        runs = self.of(tool)
        return median(run.wall_seconds for run in runs) if runs else None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure beside its limit; `value` is None when it could not be judged."""

    name: str
    value: float | None
    limit: float
    at_least: bool = False

    @property
    def holds(self) -> bool | None:
        """Whether the limit is kept, None when that is not known."""
        if self.value is None:
            return None
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        side = "at least" if self.at_least else "at most"
        if self.value is None:
            return f"not judged: {self.name} ({side} {self.limit:.4g})"
        word = "holds" if self.holds else "MISSED"
        return f"{word}: {self.name}: {self.value:.4g}, {side} {self.limit:.4g}"


def worst(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Return the verdict with the largest figure of each name."""
    by_name: dict[str, Verdict] = {}
    for verdict in verdicts:
        known = by_name.setdefault(verdict.name, verdict)
        if (verdict.value or 0) > (known.value or 0):
            by_name[verdict.name] = verdict
    return list(by_name.values())


class Bar(Protocol):
    """A rule for the runs of one scenario."""

    def judge(self, runs: Runs) -> Verdict:
        """Return the figure and its limit."""
        ...


@dataclass(frozen=True, slots=True)
class ShareOfTime:
    """The median time of hfdl as a share of that of another tool in the same rounds."""

    peer: Tool
    at_most: float

    def judge(self, runs: Runs) -> Verdict:
        """Return the ratio of medians."""
        ours, theirs = runs.wall("hfdl"), runs.wall(self.peer)
        value = ours / theirs if ours and theirs else None
        return Verdict(f"time as a share of that of {self.peer}", value, self.at_most)


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst of some figure over all runs of hfdl."""

    name: str
    figure: Callable[[Measurement, Runs], float]
    limit: float
    at_least: bool = False

    def judge(self, runs: Runs) -> Verdict:
        """Return the worst figure."""
        figures = [self.figure(run, runs) for run in runs.of("hfdl")]
        value = (min if self.at_least else max)(figures) if figures else None
        return Verdict(self.name, value, self.limit, self.at_least)


@dataclass(frozen=True, slots=True)
class Typical:
    """The median of some figure over all runs of hfdl that have it."""

    name: str
    figure: Callable[[Measurement, Runs], float | None]
    limit: float
    at_least: bool = False

    def judge(self, runs: Runs) -> Verdict:
        """Return the median."""
        figures = [figure for run in runs.of("hfdl") if (figure := self.figure(run, runs))]
        value = median(figures) if figures else None
        return Verdict(self.name, value, self.limit, self.at_least)


def cpu_per_gib(at_most: float) -> Typical:
    """Return the bar for CPU seconds of the client per GiB."""
    return Typical(
        "CPU seconds per GiB", lambda run, runs: run.cpu_seconds * GIB / runs.size_bytes, at_most
    )


def wall_seconds(at_most: float) -> Typical:
    """Return the bar for the time of a run."""
    return Typical("seconds", lambda run, _: run.wall_seconds, at_most)


def peak_memory(at_most_mb: int) -> Worst:
    """Return the bar for resident memory."""
    return Worst("peak memory in MB", lambda run, _: run.peak_rss_bytes / MB, at_most_mb)


def no_head() -> Worst:
    """Return the bar that no request is a HEAD."""
    return Worst("HEAD requests", lambda run, _: _count(run, "HEAD "), 0)


def resolves_per_file(at_most: float) -> Worst:
    """Return the bar for requests to `/resolve` for each file."""
    return Worst(
        "/resolve requests per file",
        lambda run, runs: run.requests.get("GET resolve", 0) / runs.files,
        at_most,
    )


def one_request_per_page() -> Worst:
    """Return the bar for requests that the plan takes beyond the commit and a page each."""
    return Worst(
        "API requests beyond one, and one per page",
        lambda run, runs: run.requests.get("GET api", 0) - 1 - runs.pages,
        0,
    )


def line_use(connections: int, rate_per_connection: int, at_least: float) -> Typical:
    """Return the bar for the share of the line that is used while content flows."""
    line = connections * rate_per_connection

    def share(run: Measurement, runs: Runs) -> float | None:
        return runs.size_bytes / run.data_seconds / line if run.data_seconds else None

    return Typical("share of connections x cap while content flows", share, at_least, at_least=True)


@dataclass(frozen=True, slots=True)
class ShareOfNoSync:
    """The median time of hfdl as a share of its own without any sync."""

    at_most: float

    def judge(self, runs: Runs) -> Verdict:
        """Return the ratio of medians."""
        ours, without = runs.wall("hfdl"), runs.wall("hfdl-no-sync")
        value = ours / without if ours and without else None
        return Verdict("time as a share of that without any sync", value, self.at_most)


def fetched_twice(at_most_mib: int) -> Worst:
    """Return the bar for bytes that were sent beyond the size of the file."""
    return Worst(
        "MiB fetched twice",
        lambda run, runs: (run.data_bytes - runs.size_bytes) / MIB,
        at_most_mib,
    )


def _count(run: Measurement, prefix: str) -> int:
    return sum(count for kind, count in run.requests.items() if kind.startswith(prefix))
