"""The hub in a process of its own, so that it does not share a core with its client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

_STOP_SECONDS = 5.0
_FIRST_LINE_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Served:
    """Where a hub in another process listens.

    Attributes:
        endpoint: address of the Hub, without a trailing slash.
        data_origin: address of its storage.
        repos: ids of what it serves, datasets and spaces with their prefix.
        pid: its process.
    """

    endpoint: str
    data_origin: str
    repos: tuple[str, ...]
    pid: int


class HubProcessError(RuntimeError):
    """The process ended before it served anything."""


# A group of its own: Ctrl-C in a terminal is for the client, the hub ends with its stdin.
_OWN_GROUP: int = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)


@contextmanager
def serve_in_process(arguments: Sequence[str]) -> Iterator[Served]:
    """Run `python -m hfdl_async.serving` with *arguments* while the block is open.

    Raises:
        HubProcessError: it did not come up; its own words are on standard error.
    """
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        _command(arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        creationflags=_OWN_GROUP,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise HubProcessError(f"the embedded hub ended with code {process.wait()}")
        yield _served(line, process.pid)
    finally:
        process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@asynccontextmanager
async def serve_beside(arguments: Sequence[str]) -> AsyncIterator[Served]:
    """Do the same without blocking the loop; cancelled at any moment, it leaves no process.

    Raises:
        HubProcessError: it did not come up; its own words are on standard error.
    """
    process = await anyio.open_process(
        _command(arguments), stderr=None, start_new_session=True, creationflags=_OWN_GROUP
    )
    assert process.stdout is not None
    try:
        try:
            output = BufferedByteReceiveStream(process.stdout)
            line = await output.receive_until(b"\n", _FIRST_LINE_BYTES)
        except (anyio.EndOfStream, anyio.IncompleteRead) as error:
            code = await process.wait()
            raise HubProcessError(f"the embedded hub ended with code {code}") from error
        yield _served(line, process.pid)
    finally:
        if process.returncode is None:
            process.kill()  # it holds nothing that is worth saving
        with anyio.CancelScope(shield=True):
            await process.aclose()


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "hfdl_async.serving", *arguments]


def _served(line: bytes, pid: int) -> Served:
    facts = json.loads(line)
    return Served(facts["endpoint"], facts["data_origin"], tuple(facts["repos"]), pid)
