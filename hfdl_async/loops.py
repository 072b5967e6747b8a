"""The loop that the command and the blocking functions run on: uvloop where that is installed."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

# How long a thread that wants the interpreter waits before it is handed over. Threads here sleep in
# the kernel, hash or write most of the time, and have little to do in between: with Python's 5 ms
# they wait for the loop's thread as long as a write takes: a seventh of the time of 8 x 512 MiB.
HAND_OVER_SECONDS = 0.0005


def run(work: Coroutine[Any, Any, T]) -> T:
    """Return what *work* returns, on a new loop; as `asyncio.run` otherwise.

    For a process that is ours: how threads share the interpreter is set for all of it.
    """
    sys.setswitchinterval(HAND_OVER_SECONDS)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(work)
    result: T = uvloop.run(work)
    return result


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new loop, for a thread that runs it itself."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
