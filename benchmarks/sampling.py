"""One download through the API, looked at ten times a second.

`python -m benchmarks.sampling '{"repo": …, "output": …}'` downloads, and writes a JSON file of what
it saw. With `fixed` connections a law that never changes its mind takes the controller's place: the
only thing here that no user can have.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import anyio

from benchmarks.timeline import Sample, Timeline
from hfdl_async import lines, loops
from hfdl_async.api import Downloader
from hfdl_async.core.controller import FixedController
from hfdl_async.core.events import ConnectionReplaced, Event, RateLimited
from hfdl_async.engine.line import Line
from hfdl_async.errors import HfdlError
from hfdl_async.job import Job

LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Order:
    """What to download, where to, how, and where to write what was seen."""

    repo: str
    target: str
    output: str
    options: dict[str, Any] = field(default_factory=dict)
    fixed: int | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What one download looked like from the inside.

    Attributes:
        replaced_at: when connections were replaced, monotonic.
        holds: how often a server asked for patience.
        retried: requests that were repeated.
    """

    samples: list[Sample]
    replaced_at: list[float]
    holds: int
    retried: int

    @property
    def timeline(self) -> Timeline:
        """The samples as a timeline."""
        return Timeline(self.samples)


def read_seen(file: Path) -> Seen:
    """Return what a download wrote."""
    value = json.loads(file.read_text())
    samples = [Sample(*row) for row in value["samples"]]
    return Seen(samples, value["replaced_at"], value["holds"], value["retried"])


class FixedLines(lines.Lines):
    """Lines whose number of connections never changes."""

    connections = 8

    def _make(self) -> Line:
        return Line(
            FixedController(self.connections),
            self._clock,
            buffers_bytes=self._terms.buffers_bytes,
            limiter=self._limiter,
        )


async def download(order: Order) -> Seen:
    """Do what *order* says.

    Raises:
        HfdlError: it failed.
    """
    replaced_at: list[float] = []
    holds = 0

    def note(event: Event) -> None:
        nonlocal holds
        if isinstance(event, ConnectionReplaced):
            replaced_at.append(time.monotonic())
        holds += isinstance(event, RateLimited)

    samples: list[Sample] = []
    async with (
        Downloader(**order.options) as downloader,
        downloader.start(order.repo, local_dir=order.target, on_event=note) as job,
        anyio.create_task_group() as group,
    ):
        group.start_soon(_look, job, samples)
        report = await job.wait()
        group.cancel_scope.cancel()
        samples.append(_sample(job))
    return Seen(samples, replaced_at, holds, report.requests.retried)


async def _look(job: Job, samples: list[Sample]) -> None:
    while True:
        samples.append(_sample(job))
        await anyio.sleep(LOOK_SECONDS)


def _sample(job: Job) -> Sample:
    view = job.snapshot()
    now, allowed = view.connections, view.connections_allowed
    return Sample(time.monotonic(), view.bytes_from_wire, now, allowed)


def main() -> int:
    """Download; return 1 if that failed."""
    order = Order(**json.loads(sys.argv[1]))
    if order.fixed is not None:
        FixedLines.connections = order.fixed
        api = sys.modules["hfdl_async.api"]
        api.Lines = FixedLines  # type: ignore[attr-defined]
    try:
        seen = loops.run(download(order))
    except HfdlError as error:
        print(f"{error.kind}: {error.message}", file=sys.stderr)
        return 1
    rows = [tuple(asdict(sample).values()) for sample in seen.samples]
    written = {
        "samples": rows,
        "replaced_at": seen.replaced_at,
        "holds": seen.holds,
        "retried": seen.retried,
    }
    Path(order.output).write_text(json.dumps(written))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
