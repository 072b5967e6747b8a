"""The loop that the command and the blocking functions run on: uvloop where that is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    """Return what *work* returns, on a new loop; as `asyncio.run` otherwise."""
    uvloop = _uvloop()
    if uvloop is None:
        return asyncio.run(work)
    result: T = uvloop.run(work)
    return result


def new_loop() -> asyncio.AbstractEventLoop:
    """Return a new loop, for a thread that runs it itself."""
    uvloop = _uvloop()
    if uvloop is None:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop


def _uvloop() -> ModuleType | None:
    """Return it where it is installed; what is run elsewhere has no failed import behind it."""
    try:
        import uvloop
    except ImportError:
        return None
    module: ModuleType = uvloop  # mypy knows nothing of it where it is not installed
    return module
