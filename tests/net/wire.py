"""What the tests of this package share: a clock they own, and servers that say exactly what."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import anyio

TOKEN = "hf_token_that_must_not_leak"
COMMIT = "c" * 40


class ManualClock:
    """Time moves when somebody sleeps, or when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.unix = 1_800_000_000.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.unix + self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await anyio.lowlevel.checkpoint()


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    connection: int

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")

    @property
    def range(self) -> str | None:
        return self.headers.get("range")


Say = Callable[[Seen], "bytes | Awaitable[bytes]"]


@dataclass
class RawServer:
    """Answers each request with the bytes that `say` returns; empty means: hang up."""

    say: Say
    origin: str = ""
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0

    @property
    def targets(self) -> list[str]:
        return [one.target for one in self.seen]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode("utf-8").split("\r\n")
                method, target, _ = lines[0].split(" ")
                pairs = (line.split(": ", 1) for line in lines[1:] if line)
                headers = {name.lower(): value for name, value in pairs}
                one = Seen(method, target, headers, number)
                self.seen.append(one)
                said = self.say(one)
                data = said if isinstance(said, bytes) else await said
                if not data:
                    break
                writer.write(data)
                await writer.drain()
                if b"Connection: close" in data:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def raw_server(
    say: Say, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    raw = RawServer(say)
    server = await asyncio.start_server(raw.serve, host, port, ssl=tls)
    number = server.sockets[0].getsockname()[1]
    raw.origin = f"{'https' if tls else 'http'}://{host}:{number}"
    try:
        yield raw
    finally:
        server.close()


def reply(status: int = 200, body: bytes = b"", /, **headers: str) -> bytes:
    """Return an answer; in header names `_` stands for `-`. A length is added if none is given."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    if "Content-Length" not in fields and "Transfer-Encoding" not in fields:
        fields["Content-Length"] = str(len(body))
    if fields["Content-Length" if "Content-Length" in fields else "Transfer-Encoding"] == "":
        del fields["Content-Length"]
        fields["Connection"] = "close"
    lines = [f"HTTP/1.1 {status} Said", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body
