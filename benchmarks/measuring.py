"""One run of one tool as a whole process: time on the wall and on the CPU, memory, requests."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.line import Server, Traffic
from benchmarks.tools import Job, Tool, command, environment
from benchmarks.workload import Made, differences
from hfdl_async.core.model import MIB

ROOT = (
    Path(__file__).resolve().parents[1]
)  # here `python -m hfdl_async` is the one of this checkout
_LAUNCH = (sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")))


class RunFailedError(RuntimeError):
    """A tool failed, or what it left is not what it was asked for."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one process cost."""

    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    exit_code: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one tool.

    Attributes:
        requests: by method and kind: `GET resolve`.
        data_bytes: bytes of content that the server sent.
        data_seconds: from the first request for content to its end, where the server knows.
    """

    tool: Tool
    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    requests: Mapping[str, int] = field(default_factory=dict)
    data_bytes: int = 0
    data_seconds: float | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the form that is written to the JSON file."""
        return asdict(self)

    @classmethod
    def of(
        cls, tool: Tool, cost: Cost, traffic: Traffic, *, data_bytes: int | None = None
    ) -> Measurement:
        """Put together what the kernel and the server counted, or who else counted the bytes."""
        return cls(
            tool,
            cost.wall_seconds,
            cost.cpu_seconds,
            cost.peak_rss_bytes,
            dict(sorted(traffic.requests.items())),
            traffic.data_bytes if data_bytes is None else data_bytes,
            traffic.data_seconds,
        )


class Launched:
    """A process that runs, and can be waited for or killed."""

    def __init__(
        self, words: Sequence[str], env: Mapping[str, str], output: Path, *, folder: Path = ROOT
    ) -> None:
        self.output = output
        self._launcher = subprocess.Popen(
            [*_LAUNCH, str(output), *words], env=env, cwd=folder, stdout=subprocess.PIPE, text=True
        )
        assert self._launcher.stdout is not None
        self.pid = int(self._launcher.stdout.readline())

    def kill(self, number: signal.Signals) -> None:
        """Send a signal to the process."""
        os.kill(self.pid, number)

    def wait(self) -> Cost:
        """Return what it cost, once it has ended."""
        try:
            said, _ = self._launcher.communicate()
        except BaseException:  # Ctrl-C, for one: nothing may go on running alone
            self.kill(signal.SIGKILL)
            raise
        return Cost(**json.loads(said))


def run(words: Sequence[str], env: Mapping[str, str], output: Path, *, folder: Path = ROOT) -> Cost:
    """Run a command in *folder* to its end.

    Raises:
        RunFailedError: its exit code is not 0.
    """
    cost = Launched(words, env, output, folder=folder).wait()
    if cost.exit_code:
        tail = output.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RunFailedError(f"{' '.join(words)}: exit {cost.exit_code}\n{tail}")
    return cost


def measure(
    tool: Tool,
    made: Made,
    job: Job,
    server: Server,
    *,
    checkout: Path = ROOT,
    preload: Path | None = None,
    keep: bool = False,
) -> Measurement:
    """Do *job* with *tool*, and check every file afterwards.

    *checkout* holds the `hfdl_async` that is run, if it is; *preload* is a library for the tool.
    What it leaves is removed unless *keep* says that the next run wants it.

    Raises:
        RunFailedError: the tool failed, or a file differs from the original.
    """
    words = command(tool, job)
    warm(job.target.parent, made.size_bytes)
    server.traffic()  # forget what was before
    output = job.target.with_suffix(".txt")
    cost = run(words, environment(job, preload=preload), output, folder=checkout)
    if job.verb == "download" and (wrong := differences(made, filled_folder(job))):
        raise RunFailedError(f"{tool} of {job.repo_id}: {len(wrong)} files differ: {wrong[:3]}")
    measurement = Measurement.of(tool, cost, server.traffic())
    for folder in () if keep else (job.home, job.target):
        shutil.rmtree(folder, ignore_errors=True)
    return measurement


def filled_folder(job: Job) -> Path:
    """Return where a reader finds the files of *job*: in a cache, in the only snapshot there is."""
    if not job.in_cache:
        return job.target
    return next(job.target.glob("models--*/snapshots/*"), job.target)


def profile(job: Job, picture: Path, *, folder: Path = ROOT) -> str | None:
    """Do *job* once more with hfdl under py-spy, draw its flame graph; return why that failed."""
    program = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if program is None:
        return "no flame graph: py-spy is not installed"
    words = [program, "record", "--threads", "--rate", "250", "-o", str(picture), "--"]
    done = subprocess.run(
        [*words, *command("hfdl", job)],
        env=environment(job),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    return None if picture.exists() else f"no flame graph: {done.stderr.strip()[-500:]}"


def warm(folder: Path, size_bytes: int) -> None:
    """Touch as much memory as *folder* will take, and end what earlier runs left to be written.

    A virtual machine may have handed free memory back to its host, and the first to use it again
    would pay.
    """
    os.sync()
    touched, zeros = folder / "touched", bytes(MIB)
    with touched.open("wb") as file:
        for _ in range(size_bytes // MIB + 1):
            file.write(zeros)
    touched.unlink()
