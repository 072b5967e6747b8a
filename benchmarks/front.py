"""nginx in front of the embedded hub, so that no server in Python competes with the tools.

It repeats what the hub says (`capture.py`, `nginxconf.py`) and serves all content itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from socket import create_connection, create_server
from time import monotonic, sleep
from urllib.parse import urlsplit

from benchmarks.capture import Captured, ask, capture
from benchmarks.certificates import make_certificates
from benchmarks.hub import Hub
from benchmarks.line import Line, Traffic
from benchmarks.nginxconf import Place, configuration
from benchmarks.relay import Relay, running_relay
from benchmarks.workload import Made

QUIET_SECONDS = 0.1  # nginx writes the line of a cut request when it notices the cut
# What may differ between the hub and nginx: counters, and the text that goes with a redirect.
VARYING = {
    "connection", "content-length", "content-type", "date", "last-modified", "location",
    "ratelimit", "ratelimit-policy", "server", "x-request-id",
}  # fmt: skip


@dataclass(slots=True)
class Front:
    """nginx, running, and how much of its log was read."""

    endpoint: str
    ca: Path | None
    access_log: Path
    relay: Relay | None = None
    read_bytes: int = 0

    def traffic(self) -> Traffic:
        """Return what was asked since the last call, once nothing new is logged any more."""
        size = -1
        while size != (size := self.access_log.stat().st_size):
            sleep(QUIET_SECONDS)
        with self.access_log.open("rb") as log:
            log.seek(self.read_bytes)
            text = log.read(size - self.read_bytes)
        self.read_bytes = size
        return parse_log(text.decode())


def parse_log(text: str) -> Traffic:
    """Return the sums of an access log: end, duration, method, kind, bytes of body a line."""
    requests: Counter[str] = Counter()
    sent, first, last = 0, float("inf"), 0.0
    for line in text.splitlines():
        end, duration, method, kind, body = line.split()
        requests[f"{method} {kind}"] += 1
        if kind == "data":
            sent += int(body)
            first, last = min(first, float(end) - float(duration)), max(last, float(end))
    return Traffic(requests, sent, last - first if last else None)


@contextmanager
def running_front(made: Made, hub: Hub, scratch: Path, line: Line) -> Iterator[Front]:
    """Serve *made*, which *hub* describes, with nginx behind *line*.

    Raises:
        FileNotFoundError: nginx is not installed.
        RuntimeError: nginx says something else than the hub, or did not start.
    """
    program = nginx_program()
    if program is None:
        raise FileNotFoundError("nginx is not installed: apt install nginx-light")
    scheme = "https" if line.tls else "http"
    hub_port, data_port, outer_hub, outer_data = free_ports(4)
    if line.is_plain:
        outer_hub, outer_data = hub_port, data_port
    public, data_public = (f"{scheme}://127.0.0.1:{port}" for port in (outer_hub, outer_data))
    pages, storage = scratch / "pages", scratch / "storage"
    captured = capture(
        hub.endpoint,
        made.workload.repo_id,
        pages,
        public=public,
        content=not made.workload.listed_only,
    )
    _link_storage(made, captured, storage)
    place = Place(
        hub_port,
        data_port,
        public,
        data_public,
        hub.endpoint,
        scratch,
        made.served,
        pages,
        storage,
        line.tls,
        os.cpu_count() or 1,
        line.most_connections,
        line.rate_per_request,
    )
    file, access_log = scratch / "nginx.conf", scratch / "nginx-access.log"
    file.write_text(configuration(place, captured))
    access_log.touch()
    with ExitStack() as stack:
        ca = make_certificates(scratch) if line.tls else None
        stack.enter_context(_running(program, file, hub_port))
        front = Front(public, ca, access_log)
        if not line.is_plain:
            ports = {outer_hub: hub_port, outer_data: data_port}
            front.relay = stack.enter_context(running_relay(ports, line))
        elif not line.tls:
            compare_answers(hub, public, captured)
        front.traffic()
        yield front


def _link_storage(made: Made, captured: Captured, storage: Path) -> None:
    """Give each content the name by which the storage knows it."""
    storage.mkdir()
    for file in captured.large:
        (storage / file.headers["X-Xet-Hash"]).symlink_to(made.folder / file.path)


@contextmanager
def _running(program: str, configured: Path, port: int) -> Iterator[None]:
    errors = configured.with_name("nginx-error.log")
    command = [program, "-c", str(configured), "-e", str(errors)]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command += ["-g", "user root;"]  # else its workers may not read a folder of ours
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            if not answers(port, process):
                raise RuntimeError(f"nginx did not start: {errors.read_text()[-2000:]}")
            yield
        finally:
            process.terminate()
            process.wait(timeout=10)


def compare_answers(hub: Hub, public: str, captured: Captured) -> None:
    """Ask both servers for a page, and for one file of each kind.

    Raises:
        RuntimeError: they differ in status, headers, or in the form of the location.
    """
    paths = [*list(captured.small)[:1], *(file.path for file in captured.large[:1])]
    places = [f"/{captured.repo_id}/resolve/main/{path}" for path in paths]
    places += [f"/api/models/{captured.repo_id}/tree/main?recursive=true&expand=false"]
    for place in places:
        ours, theirs = _described(public + place), _described(hub.endpoint + place)
        if ours != theirs:
            raise RuntimeError(f"nginx differs from the hub about {place}: {ours}, not {theirs}")
        if ours[0] == 307:
            _, headers, _ = ask(public + place)
            cached = headers["Location"]
            if _described(public + cached) != _described(hub.endpoint + cached):
                raise RuntimeError(f"nginx differs from the hub about {cached}")


def _described(url: str) -> tuple[int, dict[str, str], str]:
    """Return status, the headers that must agree, and where it redirects to, without the origin."""
    status, headers, _ = ask(url)
    origin = f"{urlsplit(url).scheme}://{urlsplit(url).netloc}"
    kept = {
        name.lower(): value.replace(origin, "")
        for name, value in headers.items()
        if name.lower() not in VARYING
    }
    location = urlsplit(headers.get("Location", ""))
    query = "signed" if location.netloc else location.query  # a signature is new every time
    return status, kept, f"{location.path}?{query}"


def nginx_program() -> str | None:
    """Return the path of nginx, which Debian keeps where only root looks."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def free_ports(count: int) -> list[int]:
    """Return *count* ports of the loopback interface that nobody listens on."""
    with ExitStack() as stack:
        servers = [stack.enter_context(create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(server.getsockname()[1]) for server in servers]


def answers(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Wait until *process* listens on *port*; False when it does not."""
    deadline = monotonic() + 60
    while monotonic() < deadline and process.poll() is None:
        try:
            create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            sleep(0.05)
        else:
            return True
    return False
