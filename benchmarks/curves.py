"""How cost grows: `python -m benchmarks.curves [PART…]` measures what is missing, then draws.

Points that were measured are kept in docs/curves/curves.json, one by one, so that a call may be
short (`--most 2`) and the next one goes on. Only the drawing needs matplotlib.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from benchmarks.fitting import Point
from benchmarks.measuring import ROOT
from benchmarks.playing import Setting, play
from benchmarks.scenarios import Kind, Scenario
from benchmarks.workload import Group, Workload, large_files
from hfdl_async.core.model import GIB, KIB, MB, MIB

FOLDER = ROOT / "docs" / "curves"
MEMORY_FOLDER = Path("/dev/shm")
INTRODUCTION = """# How cost grows

Whole processes of hfdl from nginx on loopback into a tmpfs, the least of the runs of a point;
drawn by `python -m benchmarks.curves` from [curves.json](curves.json). Lines are fitted by the
least squares of relative errors; "off" is how far the worst point is from its line.
"""
FOLDERS = 100  # of a repo of many files; so few that the embedded hub can list each by itself
SMALL_BYTES = (1 * KIB, 16 * KIB)

PARTS: dict[str, tuple[int, ...]] = {
    "planned": (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000),
    "downloaded": (1_000, 3_000, 10_000, 30_000, 100_000),
    "complete": (1_000, 3_000, 10_000, 30_000, 100_000),
    "size": tuple(64 * 2**step for step in range(8)),  # MiB: 64 MiB to 8 GiB
    "connections": (1, 2, 4, 8, 16, 32, 64),
}
KINDS: dict[str, Kind] = {"planned": "plan", "complete": "again"}


def scenario_of(part: str, number: int) -> Scenario:
    """Return what is measured for one point of a curve."""
    kind = KINDS.get(part, "download")
    options: tuple[str, ...] = ()
    if part in ("planned", "downloaded", "complete"):
        group = Group(number, *SMALL_BYTES, per_folder=max(100, number // FOLDERS))
        workload = Workload("many", (group,), listed_only=part == "planned")
    elif part == "size":
        workload = Workload("large", (large_files(1, number * MIB),))
    else:
        workload = Workload("large", (large_files(1, GIB),))
        options = ("--threads", str(number))
    title = f"{part} {number:,}"
    return Scenario(title, title, workload, kind=kind, tools=("hfdl",), options=options)


def measure_point(part: str, number: int, rounds: int) -> Point:
    """Return the least of each cost over *rounds* runs."""
    room = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="hfdl-bench-", dir=room) as scratch:
        setting = Setting(Path(scratch), ROOT, ("hfdl",), rounds, with_nginx=True, checkout=ROOT)
        runs = play(scenario_of(part, number), setting).runs
    return Point(
        number,
        min(run.wall_seconds for run in runs),
        min(run.cpu_seconds for run in runs),
        min(run.peak_rss_bytes for run in runs) / MB,
    )


def read(file: Path) -> dict[str, list[Point]]:
    """Return the points that were measured so far, by part."""
    if not file.exists():
        return {}
    parts = json.loads(file.read_text(encoding="utf-8"))
    return {part: [Point(**point) for point in points] for part, points in parts.items()}


def write(file: Path, curves: dict[str, list[Point]]) -> None:
    """Keep the points."""
    file.parent.mkdir(parents=True, exist_ok=True)
    parts = {part: [asdict(point) for point in points] for part, points in curves.items()}
    file.write_text(json.dumps(parts, indent=1) + "\n")


def missing(curves: dict[str, list[Point]], parts: list[str]) -> Iterator[tuple[str, int]]:
    """Yield what is still to be measured, the cheap points first."""
    for part in parts:
        known = {point.number for point in curves.get(part, ())}
        yield from ((part, number) for number in PARTS[part] if number not in known)


def main() -> int:
    """Measure, keep, draw."""
    arguments = _arguments()
    file = arguments.output / "curves.json"
    curves = read(file)
    parts = arguments.parts or list(PARTS)
    if arguments.again:
        curves = {part: points for part, points in curves.items() if part not in parts}
    todo = [one for one in missing(curves, parts) if one[1] <= (arguments.up_to or one[1])]
    for part, number in todo[: arguments.most]:
        print(f"{part} {number:,}", file=sys.stderr)
        point = measure_point(part, number, arguments.rounds)
        curves[part] = sorted([*curves.get(part, ()), point], key=lambda one: one.number)
        write(file, curves)  # at once: a call that is cut short loses nothing
    if not arguments.no_pictures:
        from benchmarks.drawing import draw  # the only one that needs matplotlib

        said = {part: draw(part, points, arguments.output) for part, points in curves.items()}
        (arguments.output / "README.md").write_text(page(said))
        print(page(said))
    return 0


def page(said: dict[str, str]) -> str:
    """Return the page that shows the pictures of all parts, with what their lines say."""
    pictures = "".join(
        f"\n## {part.capitalize()}\n\n{words}.\n\n![{part}]({part}.svg)\n"
        for part, words in said.items()
    )
    return f"{INTRODUCTION}{pictures}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.curves", description=__doc__)
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all")
    add("--rounds", type=int, default=2, help="runs of each point, the least counts (default 2)")
    add("--most", type=int, metavar="N", help="measure at most N points")
    add("--up-to", type=int, metavar="N", help="measure no point beyond N")
    add("--again", action="store_true", help="forget the points of these parts first")
    add("--no-pictures", action="store_true", help="only measure")
    add("--output", type=Path, default=FOLDER, metavar="DIR", help="docs/curves by default")
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no part {', '.join(sorted(unknown))}")
    return arguments


if __name__ == "__main__":
    raise SystemExit(main())
