"""The hub that is downloaded from: the embedded one in a process of its own, perhaps with nginx.

`python -m benchmarks.hub FOLDER [DATA_ORIGIN]` serves every `<owner>/<name>` below FOLDER, prints
its address, and answers every line on standard input with the requests since the last one.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection, create_server
from time import monotonic, sleep
from typing import IO

import anyio
import anyio.to_thread

from hfdl_async.serving import HostedRepo, HubServer, Settings

START_SECONDS = 120.0  # digests of a large repo are computed first


@dataclass(slots=True)
class Nginx:
    """A running nginx that serves a folder, and how much of its log was read."""

    origin: str
    access_log: Path
    read_bytes: int = 0

    def requests(self) -> Counter[str]:
        """Return the requests since the last call, by method."""
        with self.access_log.open("rb") as log:
            log.seek(self.read_bytes)
            text = log.read()
        self.read_bytes += len(text)
        return Counter(f"{method} data" for method in text.decode().split())


@dataclass(slots=True)
class Hub:
    """A running hub."""

    endpoint: str
    process: subprocess.Popen[str]
    nginx: Nginx | None

    def requests(self) -> Counter[str]:
        """Return the requests since the last call, by method and kind: `GET resolve`."""
        asked, answers = self.process.stdin, self.process.stdout
        assert asked is not None
        assert answers is not None
        asked.write("\n")
        asked.flush()
        counts = Counter[str](json.loads(_line(answers)))
        return counts + self.nginx.requests() if self.nginx else counts


@contextmanager
def running_hub(folder: Path, scratch: Path, *, with_nginx: bool) -> Iterator[Hub]:
    """Serve the repos below *folder*; with nginx, it is the storage that the hub redirects to."""
    with running_nginx(folder, scratch) if with_nginx else nullcontext() as nginx:
        command = [sys.executable, "-m", "benchmarks.hub", str(folder)]
        with subprocess.Popen(
            [*command, nginx.origin] if nginx else command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                yield Hub(_line(process.stdout).strip(), process, nginx)
            finally:
                process.stdin.close()  # its sign to end
                process.wait(timeout=10)


@contextmanager
def running_nginx(folder: Path, scratch: Path) -> Iterator[Nginx]:
    """Serve *folder* with nginx on a free port of the loopback interface.

    Raises:
        FileNotFoundError: nginx is not installed.
    """
    program = nginx_program()
    if program is None:
        raise FileNotFoundError("nginx is not installed")
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    access_log, configuration = scratch / "nginx-access.log", scratch / "nginx.conf"
    access_log.touch()
    folders = "\n".join(
        f"    {kind}_temp_path {scratch}/nginx-{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    configuration.write_text(f"""
daemon off;
worker_processes 1;
pid {scratch}/nginx.pid;
error_log {scratch}/nginx-error.log;
events {{ worker_connections 1024; }}
http {{
{folders}
    log_format method '$request_method';
    access_log {access_log} method;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location / {{ root {folder}; }}
    }}
}}
""")
    command = [program, "-c", str(configuration), "-e", str(scratch / "nginx-error.log")]
    if sys.platform != "win32" and Path("/proc/self").exists() and _is_root():
        command += ["-g", "user root;"]  # else its worker may not read a folder of ours
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            _wait_for_port(port, process)
            yield Nginx(f"http://127.0.0.1:{port}", access_log)
        finally:
            process.terminate()
            process.wait(timeout=10)


def nginx_program() -> str | None:
    """Return the path of nginx, which Debian keeps where only root looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _is_root() -> bool:
    return Path("/proc/self").stat().st_uid == 0


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = monotonic() + 10
    while True:
        try:
            create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if monotonic() > deadline or process.poll() is not None:
                raise
            sleep(0.05)
        else:
            return


def _line(stream: IO[str]) -> str:
    line = stream.readline()
    if not line:
        raise RuntimeError("the hub ended early; its own message stands above")
    return line


def main(folder: Path, data_origin: str | None) -> None:
    """Serve the repos below *folder* until standard input ends."""
    repos = [
        HostedRepo.from_folder(path.relative_to(folder).as_posix(), path)
        for path in sorted(folder.glob("*/*"))
    ]
    settings = Settings(external_lfs_origin=data_origin, external_small_origin=data_origin)
    anyio.run(_serve, HubServer(repos, settings=settings))


async def _serve(server: HubServer) -> None:
    # Not `serve_in_process`: that tells its sums at the end, and here every run wants its own.
    async with server:
        print(server.endpoint, flush=True)
        while await anyio.to_thread.run_sync(sys.stdin.readline):
            counts = Counter(f"{entry.method} {_kind(entry.kind)}" for entry in server.log)
            server.log.clear()
            print(json.dumps(counts), flush=True)


def _kind(kind: str) -> str:
    # Small files come from the Hub's own cache of them, large ones from the storage: data, both.
    return "data" if kind == "cache" else kind


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else None)
