"""The hub in a process of its own, so that it does not share a core with its client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_STOP_SECONDS = 5.0


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


@contextmanager
def serve_in_process(arguments: Sequence[str]) -> Iterator[Served]:
    """Run `python -m hfdl_async.serving` with *arguments* while the block is open.

    Raises:
        HubProcessError: it did not come up; its own words are on standard error.
    """
    # A group of its own: Ctrl-C in a terminal is for the client, the hub ends with its stdin.
    flags = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "hfdl_async.serving", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,
        creationflags=flags,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise HubProcessError(f"the embedded hub ended with code {process.wait()}")
        facts = json.loads(line)
        yield Served(facts["endpoint"], facts["data_origin"], tuple(facts["repos"]), process.pid)
    finally:
        process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
