"""Killed at half, then run again: what is fetched twice, and what is there in between."""

from __future__ import annotations

import signal
from pathlib import Path

from benchmarks.bars import Verdict
from benchmarks.front import Front
from benchmarks.measuring import Cost, Launched, Measurement, RunFailedError, run, warm
from benchmarks.tools import Job, Tool, command, environment
from benchmarks.workload import Made, differences
from hfdl_async.core.model import MIB

LEFT_MIB = 1  # records of what was verified; no content


def measure_kill(
    tool: Tool, made: Made, job: Job, server: Front, *, checkout: Path
) -> tuple[Measurement, list[Verdict]]:
    """Kill *tool* when half of *made* has gone over the line, run it again, look what is there.

    Raises:
        RunFailedError: it ended before it could be killed, or a file differs from the original.
    """
    assert server.relay is not None
    warm(job.target.parent, made.size_bytes)
    server.traffic()
    before = server.relay.total()
    words, env = command(tool, job), environment(job)
    output = job.target.with_suffix(".txt")
    launched = Launched(words, env, output, folder=checkout)
    server.relay.wait_for(before + made.size_bytes // 2)
    launched.kill(signal.SIGKILL)
    first = launched.wait()
    if first.exit_code != -signal.SIGKILL:
        raise RunFailedError(f"{tool} ended by itself: exit {first.exit_code}")
    early = [path for path in made.digests if (job.target / path).exists()]
    second = run(words, env, output, folder=checkout)
    if wrong := differences(made, job.target):
        raise RunFailedError(f"{tool} of {job.repo_id}: {len(wrong)} files differ: {wrong[:3]}")
    both = Cost(
        first.wall_seconds + second.wall_seconds,
        first.cpu_seconds + second.cpu_seconds,
        max(first.peak_rss_bytes, second.peak_rss_bytes),
        0,
    )
    traffic = server.traffic()
    # The server counts what it could put into buffers; the relay what went to the client.
    gone = server.relay.total() - before
    measurement = Measurement.of(tool, both, traffic, data_bytes=gone)
    return measurement, [
        Verdict("final names that were there when it was killed", len(early), 0),
        Verdict("MiB left behind beside the files", left_bytes(made, job.target) / MIB, LEFT_MIB),
    ]


def left_bytes(made: Made, folder: Path) -> int:
    """Return the bytes of all files below *folder* that are no files of the repo."""
    ours = {folder / path for path in made.digests}
    return sum(
        path.stat().st_size for path in folder.rglob("*") if path.is_file() and path not in ours
    )
