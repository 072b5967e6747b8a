"""The scenarios B1 to B9: what the server does to us, and what the controller must reach.

`SocketRun`s come in by label: `auto` is hfdl as it is, a number hfdl with so many connections from
beginning to end, `pair` two of them at once, `clean` hfdl without the faults; others are tools.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

from benchmarks.bars import Verdict
from benchmarks.line import PLAIN, Line
from benchmarks.sampling import Seen
from benchmarks.timeline import allowed_together, fairness
from benchmarks.workload import QUICK_SHARE, Group, Workload, large_files
from hfdl_async.core.model import GIB, MB

FIXED = ("4", "8", "16", "32", "64")
PEERS = ("hf", "aria2c")
BURST_SECONDS = 0.25  # what the bucket of --bandwidth lets through at once
CAP = 10 * MB
BOTH = 60 * MB  # of all connections together
LIMIT = 20 * MB
HUNDRED = 100 * MB
SETTLED_SECONDS = 8.0  # a ramp, and a window of two seconds in which the line is measured


@dataclass(frozen=True, slots=True)
class SocketRun:
    """One run: its time as a process, what it saw of itself, bytes the line carried."""

    wall_seconds: float
    seen: Sequence[Seen] = ()
    sent_bytes: int | None = None


Runs = Mapping[str, Sequence[SocketRun]]
Judge = Callable[[Runs, int], "list[Verdict]"]


@dataclass(frozen=True, slots=True)
class Fault:
    """When *share* of the bytes has been sent, one connection gets *rate*; 0 is silence."""

    share: float
    rate: int


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the table; *judge* gets the runs and the size of what was fetched."""

    name: str
    title: str
    workload: Workload
    line: Line
    judge: Judge
    labels: tuple[str, ...] = ("auto",)
    faults: tuple[Fault, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def quick(self) -> Case:
        """Return a small one, to see that it works."""
        few = tuple(label for label in self.labels if label not in ("4", "64", "hf"))
        return replace(self, workload=self.workload.scaled(QUICK_SHARE // 4), labels=few)


def wall(runs: Runs, label: str) -> float | None:
    """Return the median time of the runs with *label*, None without any."""
    return median(run.wall_seconds for run in runs[label]) if runs.get(label) else None


def best_fixed(runs: Runs) -> tuple[str, float] | None:
    """Return the number of connections that was quickest, and its median time."""
    times = {label: wall(runs, label) for label in runs if label.isdigit()}
    known = [(seconds, label) for label, seconds in times.items() if seconds is not None]
    if not known:
        return None
    seconds, label = min(known)
    return label, seconds


def typical(
    runs: Runs, figure: Callable[[SocketRun], float | None], label: str = "auto"
) -> float | None:
    """Return the median of *figure* over the runs that have it."""
    found = [value for run in runs.get(label, ()) if (value := figure(run)) is not None]
    return median(found) if found else None


def mean_connections(run: SocketRun) -> float:
    """Return the mean number of connections that were allowed."""
    return run.seen[0].timeline.mean_allowed()


def share_of_best(runs: Runs, at_least: float) -> Verdict:
    """Return the speed as a share of that of the best fixed number of connections."""
    ours, best = wall(runs, "auto"), best_fixed(runs)
    value = best[1] / ours if ours and best else None
    return Verdict("speed as a share of the best fixed N's", value, at_least, at_least=True)


def _b1(runs: Runs, size: int) -> list[Verdict]:
    best = best_fixed(runs)
    rate = typical(runs, lambda run: _late_rate(run), best[0]) if best else None
    reached = rate and typical(runs, lambda run: run.seen[0].timeline.seconds_to(0.9 * rate))
    return [
        share_of_best(runs, 0.85),
        Verdict("seconds to 90 % of the best fixed N's rate", reached, 6.0),
    ]


def _late_rate(run: SocketRun) -> float:
    """Return the rate of the second half of a run's bytes, the last tenth left out."""
    line = run.seen[0].timeline
    middle = line.end - line.seconds_for_last(0.5)
    return line.rate(middle, line.end - line.seconds_for_last(0.1))


def _b2(runs: Runs, size: int) -> list[Verdict]:
    def share(run: SocketRun) -> float:
        line = run.seen[0].timeline
        return line.rate(line.start + 5.0, line.end - line.seconds_for_last(0.02)) / BOTH

    def settled(run: SocketRun) -> float:
        return run.seen[0].timeline.mean_allowed(after_seconds=5.0)

    connections = typical(runs, settled)
    return [
        Verdict("share of the line after 5 s", typical(runs, share), 0.92, at_least=True),
        Verdict("mean connections after 5 s, least", connections, 6.0, at_least=True),
        Verdict("mean connections after 5 s, most", connections, 10.0),
    ]


def _b3(runs: Runs, size: int) -> list[Verdict]:
    ours, ideal = wall(runs, "auto"), wall(runs, "32")
    value = ours / ideal if ours and ideal else None
    return [Verdict("time as a multiple of that with 32 connections", value, 1.3)]


def _b4(runs: Runs, size: int) -> list[Verdict]:
    ours, eight = wall(runs, "auto"), wall(runs, "8")
    refused = typical(runs, lambda run: float(run.seen[0].retried))
    return [
        Verdict("requests repeated (429)", refused, 15.0),
        Verdict(
            "speed as a share of that with 8 connections",
            eight / ours if ours and eight else None,
            0.85,
            at_least=True,
        ),
    ]


def _b5(runs: Runs, size: int) -> list[Verdict]:
    ours, clean = wall(runs, "auto"), wall(runs, "clean")
    beyond = ours - 1.15 * clean if ours and clean else None

    def last_replaced(run: SocketRun) -> float | None:
        seen, line = run.seen[0], run.seen[0].timeline
        broken_at = line.end - line.seconds_for_last(0.5)
        late = [at for at in seen.replaced_at if at >= broken_at]
        return late[1] - broken_at if len(late) >= 2 else None

    return [
        Verdict("seconds beyond 1.15 times the run without faults", beyond, 10.0),
        Verdict("seconds until both were replaced", typical(runs, last_replaced), 15.0),
    ]


def _b6(runs: Runs, size: int) -> list[Verdict]:
    most = typical(runs, lambda run: run.seen[0].timeline.most_in(1.0) / MB)

    def mean(run: SocketRun) -> float:
        line = run.seen[0].timeline
        return line.rate(line.start, line.end) / LIMIT

    share = typical(runs, mean)
    return [
        Verdict("most MB in any second", most, LIMIT * (1 + BURST_SECONDS) / MB),
        Verdict("mean as a share of the limit, least", share, 0.95, at_least=True),
        Verdict("mean as a share of the limit, most", share, 1.0),
    ]


def _b6p(runs: Runs, size: int) -> list[Verdict]:
    def settled(run: SocketRun) -> float:
        line = run.seen[0].timeline
        return line.rate(line.start + SETTLED_SECONDS, line.end) / HUNDRED

    share = typical(runs, settled)
    return [
        Verdict("share of the line once it is measured, least", share, 0.76, at_least=True),
        Verdict("share of the line once it is measured, most", share, 0.82),
    ]


def _b7(runs: Runs, size: int) -> list[Verdict]:
    best, connections = best_fixed(runs), typical(runs, mean_connections)
    surplus = connections / int(best[0]) if best and connections is not None else None
    return [
        share_of_best(runs, 0.9),
        Verdict("mean connections as a multiple of the best fixed N", surplus, 1.5),
    ]


def _b8(runs: Runs, size: int) -> list[Verdict]:
    def lines_of(run: SocketRun) -> float:
        return fairness([seen.timeline for seen in run.seen])

    def together(run: SocketRun) -> float:
        return allowed_together([seen.timeline for seen in run.seen])

    return [
        Verdict("Jain's index while both run", typical(runs, lines_of, "pair"), 0.9, at_least=True),
        Verdict("connections of both together", typical(runs, together, "pair"), 75.0),
    ]


def _seconds_for_last(run: SocketRun) -> float:
    return run.seen[0].timeline.seconds_for_last(LAST)


def _sent_twice(runs: Runs, size: int) -> Verdict:
    def twice(run: SocketRun) -> float | None:
        return None if run.sent_bytes is None else run.sent_bytes / size - 1.0

    return Verdict("bytes sent twice as a share", typical(runs, twice), 0.02)


def _b9(runs: Runs, size: int) -> list[Verdict]:
    def tail(run: SocketRun) -> float:
        line = run.seen[0].timeline
        before = line.rate(
            line.end - line.seconds_for_last(0.5), line.end - line.seconds_for_last(LAST)
        )
        return _seconds_for_last(run) * before / (LAST * line.total)

    value = typical(runs, tail)
    return [
        Verdict("time of the last 5 % as a multiple of the ideal", value, 1.5),
        _sent_twice(runs, size),
    ]


def _b9x(runs: Runs, size: int) -> list[Verdict]:
    """Judge seconds: the ideal is shorter than any connection takes to show how fast it is."""
    return [
        Verdict("seconds for the last 5 %", typical(runs, _seconds_for_last), 1.0),
        _sent_twice(runs, size),
    ]


LAST = 0.05
TWO_GB = Workload("two", (large_files(1, 2_000 * MB),))
ONE_GB = Workload("one", (large_files(1, 1_000 * MB),))
MANY = Workload("many", (Group(500, 50_000, 50_000),))
CAPPED = Line(rate_per_connection=CAP)
SHARED = Line(rate_per_connection=CAP, rate_total=BOTH)
CASES = (
    Case(
        "B1", "2 GB, 10 MB/s for each connection", TWO_GB, CAPPED, _b1, ("auto", *FIXED, *PEERS)
    ),
    Case(
        "B1n",
        "the same, each request held to 10 MB/s by nginx itself",
        TWO_GB,
        Line(rate_per_request=CAP),
        _b1,
        ("auto", *FIXED, "aria2c"),
    ),
    Case("B2", "1 GB, 10 MB/s each and 60 MB/s together", ONE_GB, SHARED, _b2, ("auto", "aria2c")),
    Case(
        "B3",
        "500 files of 50 KB, each request 80 ms on its way",
        MANY,
        Line(delay_seconds=0.08),
        _b3,
        ("auto", "32", *PEERS),
    ),
    Case(
        "B4",
        "1 GB, 429 beyond 8 connections, 10 MB/s each",
        ONE_GB,
        replace(CAPPED, most_connections=8),
        _b4,
        ("auto", "8"),
    ),
    Case(
        "B5",
        "2 GB as B2, one connection falls silent at half, one slows down to 2 %",
        TWO_GB,
        SHARED,
        _b5,
        ("auto", "clean"),
        (Fault(0.5, 0), Fault(0.505, CAP // 50)),
    ),
    Case(
        "B6",
        "400 MB, --bandwidth 20MB",
        Workload("some", (large_files(1, 400 * MB),)),
        PLAIN,
        _b6,
        options={"bandwidth": "20MB"},
    ),
    Case(
        "B6p",
        "1.6 GB, 100 MB/s together, --bandwidth 80%",
        Workload("more", (large_files(1, 1_600 * MB),)),
        Line(rate_total=HUNDRED),
        _b6p,
        options={"bandwidth": "80%"},
    ),
    Case("B7", "2 GiB, nothing in the way", Workload("free", (large_files(1, 2 * GIB),)), PLAIN,
         _b7, ("auto", *FIXED, *PEERS)),
    Case("B8", "1 GB as B2, two processes at once", ONE_GB, SHARED, _b8, ("pair",)),
    Case(
        "B9",
        "1 GB as B2, one connection slows down to a fifth at 95 %",
        ONE_GB,
        SHARED,
        _b9,
        ("auto",),
        (Fault(0.95, CAP // 5),),
    ),
    Case(
        "B9x",
        "the same without a limit of all together: the last 5 % are a seventh of a second",
        ONE_GB,
        CAPPED,
        _b9x,
        ("auto",),
        (Fault(0.95, CAP // 5),),
    ),
)  # fmt: skip


def chosen(names: Sequence[str]) -> list[Case]:
    """Return the cases called so, in the order of the table; all for no names.

    Raises:
        ValueError: there is no such case.
    """
    if unknown := set(names) - {case.name for case in CASES}:
        raise ValueError(f"no such case: {', '.join(sorted(unknown))}")
    return [case for case in CASES if not names or case.name in names]
