"""hfdl against `hf download`: one large file, then thousands of small ones, in turns.

`python -m benchmarks.first_light --help`. Exits 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from benchmarks.hub import nginx_program, running_hub
from benchmarks.measuring import TOOLS, Measurement, measure
from benchmarks.verdict import Bar, bars, ratio, table
from benchmarks.workload import Workload, make_big, make_small
from hfdl_async.core.model import GIB, MIB
from hfdl_async.core.options import parse_size

BIG_TIME_BAR, SMALL_TIME_BAR = 0.8, 0.2  # of the time of `hf download`
MEMORY_FOLDER = Path("/dev/shm")  # a tmpfs, so that no disk is measured
RESULTS = Path(__file__).with_name("results")


def main() -> int:
    """Measure, print, write the results, and return 1 if a bar was missed."""
    arguments = _arguments()
    room = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="hfdl-bench-", dir=room) as name:
        runs, verdicts = _measure_all(arguments, Path(name))
    facts = _facts(arguments)
    head = "\n".join(f"- {key}: {value}" for key, value in facts.items())
    tail = "\n".join(f"- {bar}" for bar in verdicts)
    text = f"# First light\n\n{head}\n\n{table(runs)}\n\n{tail}\n"
    print(text)
    _write(arguments.output, text, facts, runs, verdicts)
    return 0 if all(bar.holds for bar in verdicts) else 1


def _measure_all(
    arguments: argparse.Namespace, scratch: Path
) -> tuple[list[Measurement], list[Bar]]:
    served = scratch / "served"
    print("making the repos", file=sys.stderr)
    workloads: list[tuple[Workload, float]] = []
    if arguments.big:
        workloads.append((make_big(served, arguments.big), BIG_TIME_BAR))
    if arguments.small:
        workloads.append((make_small(served, arguments.small), SMALL_TIME_BAR))
    runs: list[Measurement] = []
    verdicts: list[Bar] = []
    with running_hub(served, scratch, with_nginx=arguments.data_host == "nginx") as hub:
        for workload, time_limit in workloads:
            mine: list[Measurement] = []
            for turn in range(arguments.rounds):
                # In turns, so that a slow minute of the machine hits both.
                for tool in TOOLS if turn % 2 == 0 else reversed(TOOLS):
                    run = measure(tool, workload, hub, scratch)
                    mine.append(run)
                    print(
                        f"{workload.repo_id} {tool}: {run.wall_seconds:.2f} s wall, "
                        f"{run.cpu_seconds:.2f} s CPU, {run.peak_rss_bytes / MIB:.0f} MiB",
                        file=sys.stderr,
                    )
            print(f"{workload.repo_id}: {ratio(mine):.2f} of hf's time", file=sys.stderr)
            runs += mine
            verdicts += bars(workload, mine, time_limit=time_limit)
    return runs, verdicts


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.first_light", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each tool (default 3)")
    parser.add_argument(
        "--big",
        type=lambda text: parse_size(text, bare_unit=1),
        default=GIB,
        help="size of the large file, such as 256MiB; 0 leaves it out (default 1GiB)",
    )
    parser.add_argument(
        "--small", type=int, default=5000, help="how many small files; 0: none (default 5000)"
    )
    parser.add_argument(
        "--data-host",
        choices=["auto", "embedded", "nginx"],
        default="auto",
        help="what serves the content: auto is nginx where it is installed",
    )
    parser.add_argument("--output", type=Path, default=RESULTS, help="folder for the results")
    arguments = parser.parse_args()
    if arguments.data_host == "auto":
        arguments.data_host = "nginx" if nginx_program() else "embedded"
    if arguments.rounds < 1 or not (arguments.big or arguments.small):
        parser.error("nothing to measure")
    if not hasattr(os, "wait4"):
        parser.error("needs wait4(2), which this system has not")
    return arguments


def _facts(arguments: argparse.Namespace) -> dict[str, object]:
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "hfdl": version("hfdl-async"),
        "huggingface_hub": version("huggingface_hub"),
        "data host": arguments.data_host,
        "rounds": arguments.rounds,
        "destination": "tmpfs" if MEMORY_FOLDER.is_dir() else "the temporary folder's disk",
    }


def _write(
    folder: Path, text: str, facts: dict[str, object], runs: list[Measurement], verdicts: list[Bar]
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    result = {
        "facts": facts,
        "runs": [run.to_dict() for run in runs],
        "bars": [
            {"name": bar.name, "value": bar.value, "limit": bar.limit, "holds": bar.holds}
            for bar in verdicts
        ],
    }
    (folder / "first_light.json").write_text(json.dumps(result, indent=1) + "\n")
    (folder / "first_light.md").write_text(text)
    print(f"written to {folder}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
