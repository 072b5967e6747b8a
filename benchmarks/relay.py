"""A slow line: a TCP relay that delays requests, or holds connections to a rate.

`python -m benchmarks.relay '{"ports": {"8001": 8000}, …}'` relays each port to another one of the
loopback interface, and prints a line when it listens. Bytes for the client go through a pipe by
splice(2), never through Python, so that the relay takes little of the CPU; the rate of a connection
is kept by the kernel (SO_MAX_PACING_RATE). Linux only.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.line import Line
from hfdl_async.core.model import KIB, MIB

PIPE_BYTES = 1 * MIB
SEND_BUFFER_BYTES = 256 * KIB  # of a paced line: what lies there counts as received
_SO_MAX_PACING_RATE = 47  # asm-generic/socket.h; Python has no name for it
_F_SETPIPE_SZ = 1031  # linux/fcntl.h
PACE_SECONDS = 0.01
LATE_SECONDS = 0.02  # a timer that comes late is made up for: no real line is slower by it


@dataclass(slots=True)
class Relay:
    """A relay in a process of its own."""

    process: subprocess.Popen[str]

    def wait_for(self, total_bytes: int) -> None:
        """Return once *total_bytes* have gone to clients since it was started."""
        self._ask(f"wait {total_bytes}")

    def total(self) -> int:
        """Return how many bytes have gone to clients since it was started."""
        return int(self._ask("total"))

    def break_after(self, more_bytes: int, rate: int) -> None:
        """Slow one connection down to *rate* bytes a second, or for 0 let it fall silent.

        It is the one that sends when *more_bytes* more have gone to clients.
        """
        self._ask(f"break {more_bytes} {rate}")

    def _ask(self, question: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(question + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()


@contextmanager
def running_relay(ports: Mapping[int, int], line: Line) -> Iterator[Relay]:
    """Relay each key of *ports* to its value, as slowly as *line* says."""
    order = {
        "ports": {str(outer): inner for outer, inner in ports.items()},
        "delay_seconds": line.delay_seconds,
        "rate_per_connection": line.rate_per_connection,
        "rate_total": line.rate_total,
    }
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.relay", json.dumps(order)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            if not process.stdout.readline():
                raise RuntimeError("the relay did not start; its own message stands above")
            yield Relay(process)
        finally:
            process.stdin.close()  # its sign to end
            process.wait(timeout=10)


class Bucket:
    """Lets bytes pass at a rate, for all connections together."""

    def __init__(self, rate: int | None) -> None:
        self.rate = rate
        self._free_at = 0.0

    def wait_seconds(self, now: float) -> float:
        """Return how long nothing may pass."""
        return max(0.0, self._free_at - now) if self.rate else 0.0

    def take(self, count: int, now: float) -> None:
        """Note that *count* bytes passed."""
        if self.rate:
            self._free_at = max(self._free_at, now - LATE_SECONDS) + count / self.rate

    @property
    def piece_bytes(self) -> int:
        """How much may pass at once."""
        return max(4 * KIB, int(self.rate * PACE_SECONDS)) if self.rate else PIPE_BYTES


class Slowness:
    """What all connections of a relay share: the rates, and how much went through."""

    def __init__(self, delay_seconds: float, per_connection: int | None, total: int | None) -> None:
        self.delay_seconds = delay_seconds
        self.per_connection = per_connection
        self.bucket = Bucket(total)
        self.sent = 0
        self.waiting: list[tuple[int, asyncio.Future[None]]] = []
        self.faults: list[tuple[int, int]] = []  # when so much is sent: the rate from then on

    def fault(self) -> int | None:
        """Return to what rate the connection that just sent must change, if it must."""
        for fault in self.faults:
            if self.sent >= fault[0]:
                self.faults.remove(fault)
                return fault[1]
        return None

    def count(self, number: int) -> None:
        """Note that *number* bytes went to a client."""
        self.sent += number
        for goal, reached in self.waiting:
            if self.sent >= goal and not reached.done():
                reached.set_result(None)


def widen(pipe: int) -> None:
    """Let *pipe* hold more than the 64 KiB that it holds by itself."""
    import fcntl  # not on every system, and all else here must be importable there

    fcntl.fcntl(pipe, _F_SETPIPE_SZ, PIPE_BYTES)


class Connection:
    """One connection of a client and the one to the server behind it."""

    def __init__(self, client: socket.socket, server: socket.socket, slowness: Slowness) -> None:
        self._client, self._server, self._slowness = client, server, slowness
        self._loop = asyncio.get_running_loop()
        self._out, self._in = os.pipe()
        self._held = 0  # bytes in the pipe
        self._open = True
        self._silent = False
        widen(self._in)
        if slowness.per_connection:
            client.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, slowness.per_connection)
        if slowness.per_connection or slowness.bucket.rate:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._loop.add_reader(client, self._ask)
        self._loop.add_reader(server, self._answer)

    def _ask(self) -> None:
        """Take a request, or a part of one, and send it on when its time has come."""
        try:
            request = self._client.recv(64 * KIB)
        except BlockingIOError:
            return
        except OSError:
            request = b""
        if not request:
            self._loop.remove_reader(self._client)
            self._loop.call_later(self._slowness.delay_seconds, self.close)
        elif self._slowness.delay_seconds:
            self._loop.call_later(self._slowness.delay_seconds, self._send_on, request)
        else:
            self._send_on(request)

    def _send_on(self, request: bytes) -> None:
        if self._open:
            try:
                self._server.sendall(request)  # far smaller than the socket's buffer
            except OSError:
                self.close()

    def _answer(self) -> None:
        """Move what the server has sent to the client, until one of the two must be waited for."""
        try:
            while self._open and not self._silent:
                if self._held:
                    self._pay_out()
                elif not self._take_in():
                    return
        except BlockingIOError:
            if self._held:
                self._loop.remove_reader(self._server)
                self._loop.add_writer(self._client, self._go_on)
        except OSError:
            self.close()

    def _take_in(self) -> bool:
        """Fill the pipe; False when that must wait or nothing more will come."""
        now = self._loop.time()
        if pause := self._slowness.bucket.wait_seconds(now):
            self._loop.remove_reader(self._server)
            self._loop.call_later(pause, self._go_on)
            return False
        most = min(PIPE_BYTES, self._slowness.bucket.piece_bytes)
        self._held = os.splice(self._server.fileno(), self._in, most, flags=_NONBLOCK)
        if not self._held:
            self.close()
        self._slowness.bucket.take(self._held, now)
        return bool(self._held)

    def _pay_out(self) -> None:
        sent = os.splice(self._out, self._client.fileno(), self._held, flags=_NONBLOCK)
        self._held -= sent
        self._slowness.count(sent)
        if (rate := self._slowness.fault()) is not None:
            self._break(rate)

    def _break(self, rate: int) -> None:
        if rate:
            self._client.setsockopt(socket.SOL_SOCKET, _SO_MAX_PACING_RATE, rate)
        else:
            self._silent = True
            self._loop.remove_reader(self._server)

    def _go_on(self) -> None:
        if self._open and not self._silent:
            self._loop.remove_writer(self._client)
            self._loop.add_reader(self._server, self._answer)
            self._answer()

    def close(self) -> None:
        """Close both sides."""
        if self._open:
            self._open = False
            self._loop.remove_writer(self._client)
            for side in (self._client, self._server):
                self._loop.remove_reader(side)
                side.close()
            os.close(self._out)
            os.close(self._in)


_NONBLOCK: int = getattr(os, "SPLICE_F_NONBLOCK", 2) | getattr(os, "SPLICE_F_MOVE", 1)


async def _accept(listening: socket.socket, port: int, slowness: Slowness) -> None:
    loop = asyncio.get_running_loop()
    while True:
        client, _ = await loop.sock_accept(listening)
        server = socket.socket()
        server.setblocking(False)
        await loop.sock_connect(server, ("127.0.0.1", port))
        for side in (client, server):
            side.setblocking(False)
            side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        Connection(client, server, slowness)


async def main(
    ports: Mapping[str, int],
    delay_seconds: float,
    rate_per_connection: int | None,
    rate_total: int | None,
) -> None:
    """Relay until standard input ends; answer `total`, `wait BYTES`, `break BYTES RATE` there."""
    slowness = Slowness(delay_seconds, rate_per_connection, rate_total)
    loop = asyncio.get_running_loop()
    accepting = []
    for outer, inner in ports.items():
        listening = socket.create_server(("127.0.0.1", int(outer)), backlog=1024)
        listening.setblocking(False)
        accepting.append(loop.create_task(_accept(listening, inner, slowness)))
    print("ready", flush=True)
    while question := await loop.run_in_executor(None, sys.stdin.readline):
        word, _, goal = question.strip().partition(" ")
        if word == "wait":
            reached: asyncio.Future[None] = loop.create_future()
            slowness.waiting = [(int(goal), reached)]
            slowness.count(0)
            await reached
        if word == "break":
            more, _, rate = goal.partition(" ")
            slowness.faults.append((slowness.sent + int(more), int(rate)))
        print(slowness.sent, flush=True)
    for task in accepting:
        task.cancel()


if __name__ == "__main__":
    asyncio.run(main(**json.loads(sys.argv[1])))
