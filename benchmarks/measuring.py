"""One run of one tool as a whole process: time on the wall and on the CPU, memory, requests."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Literal

from benchmarks.hub import Hub
from benchmarks.workload import Workload, differences
from hfdl_async.core.model import KIB

Tool = Literal["hf", "hfdl"]
TOOLS: tuple[Tool, ...] = ("hf", "hfdl")


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run cost. `requests` is by method and kind: `GET resolve`."""

    tool: Tool
    repo_id: str
    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    requests: Mapping[str, int]

    def to_dict(self) -> dict[str, object]:
        """Return the form that is written to the JSON file."""
        return asdict(self)


def measure(tool: Tool, workload: Workload, hub: Hub, scratch: Path) -> Measurement:
    """Download *workload* from *hub* into a new folder with *tool*, and check every file.

    Raises:
        RuntimeError: the tool failed, or a file differs from the original.
    """
    home, target, output = scratch / "home", scratch / "target", scratch / "output.txt"
    hub.requests()  # forget what was before
    start = perf_counter()
    with output.open("wb") as stream:
        process = subprocess.Popen(
            _command(tool, workload.repo_id, target),
            env=_environment(hub.endpoint, home),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
        # The kernel's own account of this child alone, which no Python API has.
        _, status, usage = os.wait4(process.pid, 0)
    wall_seconds = perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = output.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RuntimeError(f"{tool} of {workload.repo_id}: exit {process.returncode}\n{tail}")
    wrong = list(differences(workload, target))
    if wrong:
        raise RuntimeError(f"{tool} of {workload.repo_id}: {len(wrong)} files differ: {wrong[:3]}")
    requests = hub.requests()
    for folder in (home, target):
        shutil.rmtree(folder, ignore_errors=True)
    return Measurement(
        tool,
        workload.repo_id,
        wall_seconds,
        usage.ru_utime + usage.ru_stime,
        usage.ru_maxrss * (1 if sys.platform == "darwin" else KIB),
        dict(sorted(requests.items())),
    )


def _command(tool: Tool, repo_id: str, target: Path) -> list[str]:
    scripts = Path(sysconfig.get_path("scripts"))
    if tool == "hf":
        return [str(scripts / "hf"), "download", repo_id, "--local-dir", str(target), "--quiet"]
    module = [sys.executable, "-m", "hfdl_async"]
    return [*module, "download", repo_id, "--local-dir", str(target), "--quiet"]


def _environment(endpoint: str, home: Path) -> dict[str, str]:
    """Return an environment without a login, a cache or a question to any other host."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("HF_", "HFDL_")) and not name.upper().endswith("_PROXY")
    }
    return kept | {
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    }
