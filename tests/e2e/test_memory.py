"""A disk slower than the network: the network waits, and what is held stays within its budget."""

from __future__ import annotations

import asyncio
import hashlib
import re
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import pytest

from hfdl_async.core.controller import FixedController
from hfdl_async.core.model import (
    MIB,
    Action,
    Digest,
    ListedFile,
    Listing,
    Plan,
    PlannedFile,
    RemoteFile,
    RepoRef,
)
from hfdl_async.core.retry import Policy
from hfdl_async.disk.calls import Calls
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.engine.bus import Bus
from hfdl_async.engine.engine import Ports, Run, Settings
from hfdl_async.engine.line import Line
from hfdl_async.engine.tally import Tally
from hfdl_async.net.buffers import Stock
from hfdl_async.net.hub import Hub
from hfdl_async.net.source import HubSource
from hfdl_async.net.transport import Transport
from hfdl_async.testing.fakes import ManualClock

pytestmark = pytest.mark.anyio
T = TypeVar("T")

COMMIT = "c" * 40
CONTENT = bytes(range(256)) * (96 * MIB // 256)
FILE = RemoteFile("big.bin", len(CONTENT), Digest("sha256", hashlib.sha256(CONTENT).hexdigest()))
RANGE = re.compile(rb"[Rr]ange: bytes=(\d+)-(\d+)")


class Gate(Calls):
    """A disk on which a write lasts until the test lets it pass; *before* it looks around."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = threading.Event()
        self.opened.set()
        self.before: Callable[[], None] = lambda: None

    def system(self, name: str, call: Callable[..., T], *arguments: object) -> T:
        if name == "write":
            self.before()
            assert self.opened.wait(30), "nobody opened the gate"
        return super().system(name, call, *arguments)


class Server:
    """Sends ranges of the content, as fast as anybody reads; counts the bytes."""

    sent = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                asked = RANGE.search(await reader.readuntil(b"\r\n\r\n"))
                assert asked is not None
                start, stop = int(asked[1]), int(asked[2]) + 1
                head = (
                    f"HTTP/1.1 206 Partial Content\r\nContent-Length: {stop - start}\r\n"
                    f"Content-Range: bytes {start}-{stop - 1}/{len(CONTENT)}\r\n"
                    f"X-Repo-Commit: {COMMIT}\r\n\r\n"
                )
                writer.write(head.encode())
                for offset in range(start, stop, 64 * 1024):
                    piece = CONTENT[offset : min(offset + 64 * 1024, stop)]
                    writer.write(piece)
                    await writer.drain()
                    self.sent += len(piece)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[str]:
    listening = await asyncio.start_server(server.answer, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    finally:
        listening.close()
        await anyio.sleep(0)


def held_by(stock: Stock) -> int:
    return stock.out * (stock.size_bytes + 1)


@pytest.mark.parametrize(("memory_bytes", "connections"), [(MIB, 64), (MIB, 1), (8 * MIB, 4)])
async def test_a_slow_disk_makes_the_network_wait_and_not_the_memory_grow(
    tmp_path: Path, memory_bytes: int, connections: int
) -> None:
    disk, server, clock = Gate(), Server(), ManualClock(auto=False)
    folder = LocalDir(tmp_path, calls=disk)
    async with (
        serving(server) as origin,
        Transport(clock, connections=connections, memory_bytes=memory_bytes) as transport,
    ):
        assert transport._lane is not None
        stock = transport._lane.stock
        seen = [0]
        disk.before = lambda: seen.append(held_by(stock))
        repo = RepoRef("org/model", "model", "main", origin)
        listing = Listing(COMMIT, (ListedFile(FILE.path, FILE.size_bytes, FILE.digest),))
        await folder.begin(repo, listing, [FILE])
        disk.opened.clear()
        run = Run(
            Plan(repo, COMMIT, tmp_path, (PlannedFile(FILE, Action.FETCH),), 0),
            Ports(HubSource(Hub(transport, repo), COMMIT), folder, clock, lambda: 0.0),
            Line(FixedController(connections), clock, buffers_bytes=memory_bytes),
            Bus(),
            Tally(clock.monotonic()),
            Settings(threshold_bytes=MIB, policy=Policy()),
        )
        with anyio.fail_after(60):
            async with anyio.create_task_group() as group:
                group.start_soon(run.run)
                known = -1
                while known != server.sent or not known:  # until the system's buffers are full
                    known = server.sent
                    await anyio.sleep(0.1)
                assert known < len(CONTENT), "everything was sent while nothing was written"
                assert held_by(stock) <= memory_bytes
                assert not (tmp_path / FILE.path).exists()
                disk.opened.set()
    assert run.outcomes[FILE.path].status == "downloaded"
    assert max(seen) <= memory_bytes
    assert (tmp_path / FILE.path).read_bytes() == CONTENT
    await folder.close()
