"""The benchmark suite: `python -m benchmarks [SCENARIO…]`, see README.md beside this file.

Exits 1 when a bar is missed, 2 when a tool fails or leaves a wrong file.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.measuring import ROOT, RunFailedError
from benchmarks.playing import Setting, play
from benchmarks.results import Result, to_json, to_markdown
from benchmarks.scenarios import Scenario, chosen
from benchmarks.tools import TOOLS, Tool, surroundings, version_of

RESULTS = Path(__file__).with_name("results")
MEMORY_FOLDER = Path("/dev/shm")  # a tmpfs, so that no disk is measured


def main() -> int:
    """Measure, print, write the results; return 1 if a bar was missed, 2 if a run failed."""
    arguments, scenarios = _arguments()
    # So that servers and folders in memory go away with a `timeout` or a closed terminal, too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    facts = _facts(arguments)
    results: list[Result] = []
    for scenario in scenarios:
        print(f"{scenario.name}: {scenario.title}", file=sys.stderr)
        room = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="hfdl-bench-", dir=room) as scratch:
            setting = Setting(
                Path(scratch),
                arguments.disk,
                arguments.tools,
                arguments.rounds,
                arguments.hub == "nginx",
                arguments.checkout.resolve(),
                arguments.baseline and arguments.baseline.resolve(),
                arguments.output if arguments.profile else None,
            )
            try:
                results.append(play(scenario, setting))
            except RunFailedError as error:
                print(f"{scenario.name} failed: {error}", file=sys.stderr)
                return 2
        _write(arguments.output, facts, results)
    print(to_markdown(facts, results))
    print(f"written to {arguments.output}", file=sys.stderr)
    return 1 if any(bar.holds is False for one in results for bar in one.verdicts) else 0


def _arguments() -> tuple[argparse.Namespace, list[Scenario]]:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    add = parser.add_argument
    add("scenarios", nargs="*", metavar="SCENARIO", help="A B C D D30 E M F G R H S micro; all")
    add("--rounds", type=int, default=3, help="runs of each tool (default 3)")
    add("--tools", type=_tools, default=TOOLS, metavar="T,T", help=f"of {','.join(TOOLS)}")
    add("--output", type=Path, default=RESULTS, metavar="DIR", help="folder for the results")
    add("--hub", choices=["nginx", "embedded"], default="nginx", help="what the tools talk to")
    add("--disk", type=Path, default=ROOT.parent, metavar="DIR", help="for H (beside the checkout)")
    add("--checkout", type=Path, default=ROOT, metavar="DIR", help="whose hfdl_async is measured")
    add("--baseline", type=Path, metavar="DIR", help="one that takes turns with it, as hfdl-base")
    add("--profile", action="store_true", help="one more run of hfdl with py-spy, a flame graph")
    add("--quick", action="store_true", help="a twentieth of everything, to see that it works")
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error("--rounds is 1 or more")
    if not hasattr(os, "wait4"):
        parser.error("needs wait4(2), which this system has not")
    try:
        scenarios = chosen(arguments.scenarios)
    except ValueError as error:
        parser.error(str(error))
    return arguments, [one.quick() for one in scenarios] if arguments.quick else scenarios


def _tools(text: str) -> tuple[Tool, ...]:
    wanted = text.split(",")
    if unknown := set(wanted) - set(TOOLS):
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(sorted(unknown))}")
    return tuple(tool for tool in TOOLS if tool in wanted)


def _facts(arguments: argparse.Namespace) -> dict[str, str]:
    versions = {tool: version_of(tool) or "not installed" for tool in arguments.tools}
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        **surroundings(),
        **versions,
        "server": arguments.hub,
        "rounds": str(arguments.rounds),
        "size": "a twentieth (--quick)" if arguments.quick else "full",
        "destination": "tmpfs" if MEMORY_FOLDER.is_dir() else "the temporary folder's disk",
    }


def _write(folder: Path, facts: dict[str, str], results: list[Result]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(to_json(facts, results))
    (folder / "results.md").write_text(to_markdown(facts, results))


if __name__ == "__main__":
    raise SystemExit(main())
