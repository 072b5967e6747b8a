"""A scenario from beginning to end: make the files, start the servers, let the tools take turns."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bars import Runs, Verdict, worst
from benchmarks.filesystem import filesystem_of
from benchmarks.front import Front, running_front
from benchmarks.hub import running_hub
from benchmarks.killing import measure_kill
from benchmarks.line import PLAIN, Server, Traffic
from benchmarks.measuring import Measurement, measure, profile, run
from benchmarks.nosync import make_library
from benchmarks.results import Result
from benchmarks.scenarios import Scenario
from benchmarks.tools import Job, Tool, environment, version_of, version_words
from benchmarks.workload import Made, make
from hfdl_async.core.model import MB

PAGE_ENTRIES = 1000  # of a recursive listing


@dataclass(frozen=True, slots=True)
class Setting:
    """Where and how scenarios are played.

    Attributes:
        scratch: an empty folder in memory.
        disk: a folder on a real disk.
        tools: those that were asked for.
        rounds: runs of each tool.
        with_nginx: nginx answers, not the embedded hub.
        checkout: what holds the `hfdl_async` that is measured.
        baseline: another one, which takes its turns as the tool `hfdl-base`.
        profiles: where flame graphs go, if they are wanted.
    """

    scratch: Path
    disk: Path
    tools: tuple[Tool, ...]
    rounds: int
    with_nginx: bool
    checkout: Path
    baseline: Path | None = None
    profiles: Path | None = None


def play(scenario: Scenario, setting: Setting) -> Result:
    """Measure one scenario and judge it; one that cannot be played says why."""
    if scenario.kind == "micro":
        from benchmarks import micro  # nobody else needs the whole core

        return Result(scenario.name, scenario.title, rates=micro.rates())
    if reason := _hindrance(scenario, setting):
        print(f"  skipped: {reason}", file=sys.stderr)
        return Result(scenario.name, scenario.title, notes=(f"skipped: {reason}",))
    made = make(scenario.workload, setting.scratch / "served")
    with ExitStack() as stack:
        folder = setting.disk if scenario.on_disk else setting.scratch
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(".hfdl-bench", dir=folder)))
        if scenario.kind == "start":
            server = None
        else:
            server = stack.enter_context(_serving(scenario, setting, made))
        rounds = Rounds(scenario, setting, made, server, place)
        rounds.play()
    judged = Runs(rounds.runs, made.workload.files, made.size_bytes, pages_of(scenario))
    verdicts = [bar.judge(judged) for bar in scenario.bars] + rounds.verdicts
    for verdict in verdicts:
        print(f"  {verdict}", file=sys.stderr)
    return Result(
        scenario.name, scenario.title, tuple(rounds.runs), tuple(verdicts), tuple(rounds.notes)
    )


def _hindrance(scenario: Scenario, setting: Setting) -> str | None:
    """Return why the scenario cannot be played here."""
    if not setting.with_nginx and (scenario.line.tls or scenario.kind == "kill"):
        return "the embedded hub has neither TLS nor a relay that counts; use nginx"
    if scenario.on_disk and (kind := filesystem_of(setting.disk)) in ("tmpfs", "ramfs"):
        return f"{setting.disk} is a {kind}, no disk; name one with --disk DIR"
    return None


@contextmanager
def _serving(scenario: Scenario, setting: Setting, made: Made) -> Iterator[Server]:
    if not setting.with_nginx:
        with running_hub(made, setting.scratch, scenario.line) as hub:
            yield hub
        return
    with (
        running_hub(made, setting.scratch, PLAIN) as hub,
        running_front(made, hub, setting.scratch, scenario.line) as front,
    ):
        yield front


class Rounds:
    """The runs of one scenario: *runs*, what is to be told in *notes*, and *verdicts* of its own.

    *place* is an empty folder on the file system that the tools write to.
    """

    def __init__(
        self,
        scenario: Scenario,
        setting: Setting,
        made: Made,
        server: Server | None,
        place: Path,
    ) -> None:
        self.runs: list[Measurement] = []
        self.verdicts: list[Verdict] = []
        self._scenario, self._setting = scenario, setting
        self._made, self._server, self._place = made, server, place
        self._paths = tuple(made.workload.paths())
        self._tools, self.notes = tools_of(scenario, setting)
        self._no_sync: Path | None = None
        if "hfdl-no-sync" in self._tools:
            self._no_sync = make_library(setting.scratch)
            if self._no_sync is None:
                self._tools.remove("hfdl-no-sync")
                self.notes.append("nothing without sync: there is no C compiler (cc)")

    def play(self) -> None:
        """Let the tools take turns, so that a slow minute of the machine hits all alike."""
        most = self._scenario.hf_rounds
        if self._scenario.kind in ("download", "plan", "again"):
            # Not counted: the first run pays for memory that the host must give back first, and
            # for the bytecode of a new checkout. What is to be there already, it brings.
            self._run(self._tools[0])
        for turn in range(self._setting.rounds):
            for tool in self._tools if turn % 2 == 0 else reversed(self._tools):
                if tool != "hf" or most is None or turn < most:
                    self.runs.append(self._run(tool))
                    _tell(self.runs[-1])
        if "hf" in self._tools and most is not None and self._setting.rounds > most:
            self.notes.append(f"hf, which takes long here, ran {most} of the rounds")
        if self._setting.profiles is not None and self._server is not None:
            self._profile(self._setting.profiles)

    def _run(self, tool: Tool) -> Measurement:
        if self._scenario.kind == "again":
            return self._run_again(tool)
        checkout = self._setting.baseline if tool == "hfdl-base" else self._setting.checkout
        assert checkout is not None
        with tempfile.TemporaryDirectory(dir=self._place) as folder:
            job = self._job(Path(folder))
            if self._server is None:
                words, env = version_words(tool), environment(job)
                cost = run(words, env, Path(folder) / "output.txt", folder=checkout)
                return Measurement.of(tool, cost, Traffic())
            if self._scenario.kind == "kill":
                assert isinstance(self._server, Front)
                one, verdicts = measure_kill(tool, self._made, job, self._server, checkout=checkout)
                self.verdicts = worst([*self.verdicts, *verdicts])
                return one
            preload = self._no_sync if tool == "hfdl-no-sync" else None
            return measure(tool, self._made, job, self._server, checkout=checkout, preload=preload)

    def _run_again(self, tool: Tool) -> Measurement:
        """Measure *tool* in a folder of its own, in which the first run has left everything."""
        checkout = self._setting.baseline if tool == "hfdl-base" else self._setting.checkout
        assert checkout is not None
        assert self._server is not None
        folder = self._place / tool
        if not folder.exists():
            folder.mkdir()
            measure(tool, self._made, self._job(folder), self._server, checkout=checkout, keep=True)
        job = self._job(folder)
        return measure(tool, self._made, job, self._server, checkout=checkout, keep=True)

    def _job(self, folder: Path) -> Job:
        scenario, server = self._scenario, self._server
        return Job(
            server.endpoint if server else "",
            self._made.workload.repo_id,
            self._paths,
            folder / "target",
            folder / "home",
            server.ca if server else None,
            "plan" if scenario.kind == "plan" else "download",
            scenario.options,
            scenario.in_cache,
        )

    def _profile(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        picture = (folder / f"{self._scenario.name}.svg").resolve()
        with tempfile.TemporaryDirectory(dir=self._place) as name:
            reason = profile(self._job(Path(name)), picture, folder=self._setting.checkout)
        self.notes.append(reason or f"flame graph: {picture.name}")


def tools_of(scenario: Scenario, setting: Setting) -> tuple[list[Tool], list[str]]:
    """Return the tools that will run, and why others of the scenario will not."""
    asked = [tool for tool in scenario.tools if tool in (*setting.tools, "hfdl-no-sync")]
    if setting.baseline is not None:
        asked.append("hfdl-base")
    missing = [tool for tool in asked if version_of(tool) is None]
    return [tool for tool in asked if tool not in missing], [
        f"{tool} is not installed" for tool in missing
    ]


def pages_of(scenario: Scenario) -> int:
    """Return how many pages the recursive listing has: folders are entries of it too."""
    folders = {path.rpartition("/")[0] for path in scenario.workload.paths()} - {""}
    return -(-(scenario.workload.files + len(folders)) // PAGE_ENTRIES)


def _tell(run: Measurement) -> None:
    peak = run.peak_rss_bytes / MB
    times = f"{run.wall_seconds:.2f} s wall, {run.cpu_seconds:.2f} s CPU, {peak:.0f} MB"
    print(f"  {run.tool}: {times}", file=sys.stderr)
