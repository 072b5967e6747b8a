"""The embedded hub in a process of its own.

`python -m benchmarks.hub '{"served": …}'` serves every `<owner>/<name>` below a folder, prints its
address, and answers every line on standard input with the requests since the last one.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import anyio
import anyio.to_thread

from benchmarks.line import Line, Traffic
from benchmarks.workload import Made
from hfdl_async.core.model import KIB
from hfdl_async.serving import GeneratedContent, HostedFile, HostedRepo, HubServer, Settings


@dataclass(frozen=True, slots=True)
class Order:
    """What the process is to serve: what lies below a folder, and repos that are only listed.

    `listed` is paths by repo id: as many as there are, in a file of one path a line each.
    """

    served: str
    listed: dict[str, str]
    delay_seconds: float = 0.0
    rate_per_connection: int | None = None
    rate_total: int | None = None


@dataclass(slots=True)
class Hub:
    """The embedded hub, running."""

    endpoint: str
    process: subprocess.Popen[str]
    ca: Path | None = None

    def traffic(self) -> Traffic:
        """Return the requests since the last call."""
        asked, answers = self.process.stdin, self.process.stdout
        assert asked is not None
        assert answers is not None
        asked.write("\n")
        asked.flush()
        counts, sent = json.loads(_line(answers))
        return Traffic(Counter(counts), sent)


@contextmanager
def running_hub(made: Made, scratch: Path, line: Line) -> Iterator[Hub]:
    """Serve *made* with the embedded hub, as slowly as *line* says (it knows no TLS)."""
    listed: dict[str, str] = {}
    if made.workload.listed_only:
        names = scratch / "listed.txt"
        names.write_text("\n".join(made.workload.paths()))
        listed[made.workload.repo_id] = str(names)
    order = Order(
        str(made.served), listed, line.delay_seconds, line.rate_per_connection, line.rate_total
    )
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hub", json.dumps(asdict(order))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[1],
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Hub(_line(process.stdout).strip(), process)
        finally:
            process.stdin.close()  # its sign to end
            process.wait(timeout=10)


def _line(stream: IO[str]) -> str:
    line = stream.readline()
    if not line:
        raise RuntimeError("the hub ended early; its own message stands above")
    return line


def main(order: Order) -> None:
    """Serve what *order* says until standard input ends."""
    folder = Path(order.served)
    repos = [
        HostedRepo.from_folder(path.relative_to(folder).as_posix(), path)
        for path in sorted(folder.glob("*/*"))
    ]
    repos += [_listed(repo_id, Path(names)) for repo_id, names in order.listed.items()]
    settings = Settings(
        latency_seconds=order.delay_seconds,
        rate_per_connection=order.rate_per_connection,
        rate_bytes_per_second=order.rate_total,
        resolver_quota=10_000_000,
        api_quota=10_000_000,
    )
    anyio.run(_serve, HubServer(repos, settings=settings))


def _listed(repo_id: str, names: Path) -> HostedRepo:
    """Return a repo of which only the listing is true: its ids are those of no content."""
    repo = HostedRepo(repo_id)
    repo.commit_hosted(
        HostedFile(
            path,
            GeneratedContent(path, 10 * KIB),
            hashlib.sha1(path.encode(), usedforsecurity=False).hexdigest(),
        )
        for path in names.read_text().splitlines()
    )
    return repo


async def _serve(server: HubServer) -> None:
    # Not `serve_in_process`: that tells its sums at the end, and here every run wants its own.
    async with server:
        print(server.endpoint, flush=True)
        while await anyio.to_thread.run_sync(sys.stdin.readline):
            counts = Counter(f"{entry.method} {_kind(entry.kind)}" for entry in server.log)
            sent = sum(entry.bytes_sent for entry in server.log if _kind(entry.kind) == "data")
            server.log.clear()
            print(json.dumps([counts, sent]), flush=True)


def _kind(kind: str) -> str:
    # Small files come from the Hub's own cache of them, large ones from the storage: data, both.
    return "data" if kind == "cache" else kind


if __name__ == "__main__":
    main(Order(**json.loads(sys.argv[1])))
