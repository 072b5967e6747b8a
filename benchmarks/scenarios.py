"""The scenarios: what is fetched, over which line, by whom, and what hfdl must reach.

Every bar is a ratio of medians of runs that took turns, or a figure of hfdl alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.bars import (
    Bar,
    ShareOfNoSync,
    ShareOfTime,
    Worst,
    cpu_per_gib,
    fetched_twice,
    line_use,
    no_head,
    one_request_per_page,
    peak_memory,
    resolves_per_file,
    wall_seconds,
)
from benchmarks.line import PLAIN, Line
from benchmarks.tools import TOOLS, Tool
from benchmarks.workload import QUICK_SHARE, Group, Workload, large_files, small_files
from hfdl_async.core.model import GIB, KIB, MB, MIB

Kind = Literal["download", "plan", "again", "kill", "start", "micro"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the table.

    Attributes:
        kind: what is done with the workload; `again`: it is there already, and asked for once more.
        tools: those that are sensible here, if they are asked for and installed.
        hf_rounds: most rounds of `hf`, where it takes minutes.
        options: more words for hfdl.
        on_disk: to a real disk instead of a tmpfs.
        in_cache: into a shared cache instead of a plain folder.
    """

    name: str
    title: str
    workload: Workload
    bars: tuple[Bar, ...] = ()
    line: Line = PLAIN
    kind: Kind = "download"
    tools: tuple[Tool, ...] = TOOLS
    hf_rounds: int | None = None
    options: tuple[str, ...] = ()
    on_disk: bool = False
    in_cache: bool = False

    def quick(self) -> Scenario:
        """Return a small one of the same kind, to see that it works."""
        bars = tuple(bar for bar in self.bars if isinstance(bar, Worst))  # they hold at any size
        return replace(self, workload=self.workload.scaled(QUICK_SHARE), bars=bars)


NOTHING = Workload("nothing", ())
ONE_LARGE = Workload("large", (large_files(1, GIB),))
SMALL = Workload("small", (small_files(5_000),))
SHARDS = Workload("shards", (large_files(8, 512 * MIB),))
MIXED = Workload("mixed", (small_files(200), large_files(4, 256 * MIB)))
TINY = Workload("tiny", (Group(100_000, 1, 1 * KIB, per_folder=1000),))
LISTED = Workload("listed", (small_files(100_000, per_folder=1000),), listed_only=True)

CAP, CAPPED_CONNECTIONS = 20 * MB, 32
MANY_HERE: tuple[Tool, ...] = ("hfdl", "hf", "aria2c", "curl")  # one at a time takes too long

SCENARIOS = (
    Scenario(
        "A",
        "one file of 1 GiB",
        ONE_LARGE,
        (
            ShareOfTime("hf", 0.5),
            ShareOfTime("aria2c", 1.2),
            cpu_per_gib(1.4),
            peak_memory(120),
            resolves_per_file(1),
            no_head(),
        ),
    ),
    Scenario(
        "B",
        "one file of 1 GiB over TLS",
        ONE_LARGE,
        (ShareOfTime("hf", 0.5), ShareOfTime("aria2c", 1.1), cpu_per_gib(2.1), peak_memory(120)),
        Line(tls=True),
    ),
    Scenario(
        "C",
        "one file of 1 GiB, 20 MB/s per connection, hfdl with 32 connections",
        ONE_LARGE,
        (
            ShareOfTime("hf", 1 / 15),
            ShareOfTime("aria2c", 1 / 1.5),
            line_use(CAPPED_CONNECTIONS, CAP, 0.95),
            peak_memory(120),
        ),
        Line(rate_per_connection=CAP),
        tools=("hfdl", "hf", "aria2c"),
        hf_rounds=1,
        options=("--threads", str(CAPPED_CONNECTIONS)),
    ),
    Scenario(
        "D",
        "5,000 files of 1 to 64 KiB",
        SMALL,
        (
            ShareOfTime("hf", 1 / 15),
            ShareOfTime("aria2c", 1.5),
            resolves_per_file(1),
            one_request_per_page(),
            no_head(),
            peak_memory(120),
        ),
    ),
    Scenario(
        "D30",
        "5,000 files of 1 to 64 KiB, 30 ms for each request",
        SMALL,
        (ShareOfTime("hf", 1 / 15), ShareOfTime("aria2c", 1 / 3.3), resolves_per_file(1)),
        Line(delay_seconds=0.03),
        tools=MANY_HERE,
        hf_rounds=1,
    ),
    Scenario(
        "E",
        "8 files of 512 MiB",
        SHARDS,
        (
            ShareOfTime("hf", 0.5),
            ShareOfTime("aria2c", 0.6),
            resolves_per_file(2),
            peak_memory(120),
        ),
        tools=MANY_HERE,
    ),
    Scenario(
        "M",
        "200 small files and 4 of 256 MiB",
        MIXED,
        (ShareOfTime("hf", 0.5), ShareOfTime("aria2c", 1.0), peak_memory(120)),
    ),
    Scenario(
        "F",
        "kill -9 at half of 1 GiB from a server held at 30 MB/s, then once more",
        ONE_LARGE,
        (fetched_twice(64),),
        Line(rate_total=30 * MB),
        kind="kill",
        tools=("hfdl",),
    ),
    Scenario(
        "G",
        "the plan of 100,000 files",
        LISTED,
        (wall_seconds(1.0), peak_memory(150), one_request_per_page(), no_head()),
        kind="plan",
        tools=("hfdl",),
    ),
    Scenario(
        "R1",
        "100,000 complete files once more",
        TINY,
        (wall_seconds(3.0), peak_memory(150), one_request_per_page(), resolves_per_file(0)),
        kind="again",
        tools=("hfdl",),
    ),
    Scenario(
        "R2",
        "100,000 complete files once more, in a shared cache",
        TINY,
        (wall_seconds(3.0), peak_memory(150), resolves_per_file(0)),
        kind="again",
        tools=("hfdl",),
        in_cache=True,
    ),
    Scenario(
        "H1",
        "one file of 1 GiB to a real disk",
        ONE_LARGE,
        (ShareOfTime("hf", 0.5),),
        tools=("hfdl", "hf"),
        on_disk=True,
    ),
    Scenario(
        "H2",
        "5,000 files of 1 to 64 KiB to a real disk",
        SMALL,
        (ShareOfTime("hf", 0.5), ShareOfNoSync(1.5)),
        tools=("hfdl", "hfdl-no-sync", "hf"),
        on_disk=True,
    ),
    Scenario("S", "start-up: --version", NOTHING, (wall_seconds(0.25),), kind="start"),
    Scenario("micro", "the pure core, time for each operation", NOTHING, kind="micro"),
)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def chosen(names: list[str]) -> list[Scenario]:
    """Return the scenarios of these names, all when there is none; `H` and `R` mean both of theirs.

    Raises:
        ValueError: there is none of a name.
    """
    if not names:
        return list(SCENARIOS)
    found: list[Scenario] = []
    for name in names:
        matching = [one for one in SCENARIOS if name in (one.name, one.name.rstrip("12"))]
        if not matching:
            raise ValueError(f"no scenario {name!r}; there are {', '.join(BY_NAME)}")
        found += matching
    return found
