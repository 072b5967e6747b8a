"""The controller over real sockets: `python -m benchmarks.sockets [B1 …] [--rounds 3] [--quick]`.

nginx and a relay in processes of their own do what the scenarios in socketcases.py say. Prints a
table of medians and whether each bar holds, and keeps every run as JSON. Exits 1 when a bar is
missed, 2 when a run fails.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from statistics import median

from benchmarks.__main__ import MEMORY_FOLDER, RESULTS
from benchmarks.front import Front, running_front
from benchmarks.hub import running_hub
from benchmarks.line import PLAIN
from benchmarks.measuring import Launched, RunFailedError, measure, warm
from benchmarks.sampling import Order, read_seen
from benchmarks.socketcases import Case, Runs, SocketRun, chosen, mean_connections
from benchmarks.tools import Job, environment, surroundings, version_of
from benchmarks.workload import Made, differences, make
from hfdl_async.core.model import MB

OF_TOOLS = ("hf", "aria2c")
ONCE = ("hf",)  # it takes minutes where each connection is slow


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks.sockets", description=__doc__)
    add = parser.add_argument
    add("cases", nargs="*", metavar="CASE", help="B1 B1n B2 … B9x; all")
    add("--rounds", type=int, default=3, help="runs of each (default 3)")
    add("--output", type=Path, default=RESULTS, metavar="DIR", help="folder for the results")
    add("--only", type=lambda text: text.split(","), metavar="L,L", help="only these labels")
    add("--traces", type=Path, metavar="DIR", help="keep a trace of each run's controller there")
    add("--quick", action="store_true", help="a fifth of everything; bars may not hold")
    arguments = parser.parse_args()
    try:
        cases = chosen(arguments.cases)
    except ValueError as error:
        parser.error(str(error))
    # So that servers and folders in memory go away with a `timeout` or a closed terminal, too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    missed = False
    arguments.output.mkdir(parents=True, exist_ok=True)
    for case in cases:
        print(f"{case.name}: {case.title}", file=sys.stderr)
        try:
            told, held = _play(case.quick() if arguments.quick else case, arguments)
        except RunFailedError as error:
            print(f"{case.name} failed: {error}", file=sys.stderr)
            return 2
        missed |= not held
        print(told, flush=True)
    return 1 if missed else 0


def _play(case: Case, arguments: argparse.Namespace) -> tuple[str, bool]:
    """Return the table of one case, and whether all its bars hold."""
    labels = [label for label in case.labels if arguments.only is None or label in arguments.only]
    labels = [label for label in labels if label not in OF_TOOLS or version_of(label)]  # type: ignore[arg-type]
    runs: dict[str, list[SocketRun]] = {label: [] for label in labels}
    room = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="hfdl-bench-", dir=room) as scratch:
        made = make(case.workload, Path(scratch) / "served")
        with _serving(case, made, Path(scratch)) as front:
            player = Player(case, made, front, Path(scratch), arguments.traces)
            for turn in range(arguments.rounds):
                for label in labels if turn % 2 == 0 else reversed(labels):
                    if turn and label in ONCE:
                        continue
                    runs[label].append(player.run(label, turn))
                    seconds = runs[label][-1].wall_seconds
                    print(f"  {label}: {seconds:.2f} s", file=sys.stderr)
    verdicts = case.judge(runs, made.size_bytes)
    _write(arguments.output / f"sockets-{case.name}.json", case, runs, list(map(str, verdicts)))
    lines = [f"\n### {case.name}: {case.title}\n", _table(runs, made.size_bytes), ""]
    lines += [f"- {verdict}" for verdict in verdicts]
    return "\n".join(lines), all(verdict.holds is not False for verdict in verdicts)


@contextmanager
def _serving(case: Case, made: Made, scratch: Path) -> Iterator[Front]:
    with (
        running_hub(made, scratch, PLAIN) as hub,
        running_front(made, hub, scratch, case.line) as front,
    ):
        yield front


class Player:
    """Does the runs of one case against its server."""

    def __init__(
        self, case: Case, made: Made, front: Front, scratch: Path, traces: Path | None
    ) -> None:
        self._case, self._made, self._front = case, made, front
        self._scratch, self._traces = scratch, traces

    def run(self, label: str, turn: int) -> SocketRun:
        """Run what *label* stands for.

        Raises:
            RunFailedError: it failed, or left a wrong file.
        """
        with tempfile.TemporaryDirectory(dir=self._scratch) as name:
            folder = Path(name)
            if label in OF_TOOLS:
                job = self._job(folder, "a")
                job.target.parent.mkdir()
                one = measure(label, self._made, job, self._front)  # type: ignore[arg-type]
                return SocketRun(one.wall_seconds)
            names = ("a", "b") if label == "pair" else ("a",)
            warm(folder, len(names) * self._made.size_bytes)
            before = self._front.relay.total() if self._front.relay else 0
            if label != "clean":
                self._arm()
            orders = [self._order(self._job(folder, each), label, turn) for each in names]
            launched = [self._launch(order, folder) for order in orders]
            costs = [process.wait() for process in launched]
            for order, process, cost in zip(orders, launched, costs, strict=True):
                if cost.exit_code:
                    raise RunFailedError(f"{label}: {process.output.read_text()[-2000:]}")
                if wrong := differences(self._made, Path(order.target)):
                    raise RunFailedError(f"{label}: {len(wrong)} files differ: {wrong[:3]}")
            sent = self._front.relay.total() - before if self._front.relay else None
            seen = [read_seen(Path(order.output)) for order in orders]
            for order in orders:
                shutil.rmtree(order.target)
            return SocketRun(max(cost.wall_seconds for cost in costs), seen, sent)

    def _arm(self) -> None:
        for fault in self._case.faults:
            assert self._front.relay is not None, "faults need a line that is not plain"
            self._front.relay.break_after(int(fault.share * self._made.size_bytes), fault.rate)

    def _job(self, folder: Path, name: str) -> Job:
        return Job(
            self._front.endpoint,
            self._made.workload.repo_id,
            tuple(self._made.workload.paths()),
            folder / name / "target",
            folder / name / "home",
        )

    def _order(self, job: Job, label: str, turn: int) -> Order:
        options = dict(self._case.options)
        fixed = int(label) if label.isdigit() else None
        if fixed is not None:
            options["connections"] = fixed
        elif self._traces is not None:
            self._traces.mkdir(parents=True, exist_ok=True)
            file = f"{self._case.name}-{label}-{turn}-{job.target.parent.name}.jsonl"
            options["trace_controller"] = str((self._traces / file).resolve())
        job.home.mkdir(parents=True)
        seen = job.target.parent / "seen.json"
        return Order(job.repo_id, str(job.target), str(seen), options, fixed)

    def _launch(self, order: Order, folder: Path) -> Launched:
        name = Path(order.target).parent.name
        words = [sys.executable, "-m", "benchmarks.sampling", json.dumps(asdict(order))]
        env = environment(self._job(folder, name))
        return Launched(words, env, folder / f"{name}.txt")


def _table(runs: Runs, size_bytes: int) -> str:
    lines = [
        "| | runs | seconds, median (range) | MB/s | mean connections |",
        "| --- | --- | --- | --- | --- |",
    ]
    for label, some in runs.items():
        if not some:
            continue
        walls = [run.wall_seconds for run in some]
        middle = median(walls)
        total = size_bytes * max(1, len(some[0].seen))
        connections = ""
        if some[0].seen:
            connections = f"{median(mean_connections(run) for run in some):.1f}"
        lines.append(
            f"| {_said(label)} | {len(some)} | {middle:.2f} ({min(walls):.2f}-{max(walls):.2f})"
            f" | {total / middle / MB:.1f} | {connections} |"
        )
    return "\n".join(lines)


def _said(label: str) -> str:
    words = {"auto": "hfdl", "clean": "hfdl, no faults", "pair": "hfdl, two at once"}
    return words.get(label, f"{label} fixed" if label.isdigit() else label)


def _write(file: Path, case: Case, runs: Runs, verdicts: Sequence[str]) -> None:
    value = {
        "case": case.name,
        "title": case.title,
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **surroundings(),
        "verdicts": verdicts,
        "runs": {label: [asdict(run) for run in some] for label, some in runs.items()},
    }
    file.write_text(json.dumps(value) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
