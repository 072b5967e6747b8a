"""Calls handed to another thread at once, before the loop looks at its sockets again.

`anyio.to_thread` lets the loop turn twice before it hands a call over. A loop that finds a fast
socket readable takes megabytes from it in each of those turns (libuv reads one up to 32 times in
a row), and whoever writes and hashes what came before stands still meanwhile. In all else this is
the same: a limiter says how many run at once, and a call that has begun is waited for, whichever
scope is cancelled.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TypeVar
from weakref import WeakKeyDictionary

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

T = TypeVar("T")

MOST_THREADS = 512  # of one loop; how many there are is up to the limiters

# Of each loop its own: after a fork there are no threads behind the one of the parent.
_pools: WeakKeyDictionary[asyncio.AbstractEventLoop, ThreadPoolExecutor] = WeakKeyDictionary()


async def in_thread(
    call: Callable[..., T], *arguments: object, limiter: anyio.CapacityLimiter
) -> T:
    """Return what *call* returns in another thread; only waiting for a free one can be cancelled.

    Raises:
        Exception: whatever *call* raises.
    """
    await checkpoint_if_cancelled()
    running = begin(call, *arguments, limiter=limiter)
    if running is None:
        borrower = object()
        await limiter.acquire_on_behalf_of(borrower)
        running = _hand_over(call, arguments, limiter, borrower)
    return await end(running)


def begin(
    call: Callable[..., T], *arguments: object, limiter: anyio.CapacityLimiter
) -> asyncio.Future[T] | None:
    """Let *call* run in another thread, or return None where none is free. To be followed by `end`.

    Nothing that *call* uses may be touched before that.
    """
    borrower = object()
    try:
        limiter.acquire_on_behalf_of_nowait(borrower)
    except anyio.WouldBlock:
        return None
    return _hand_over(call, arguments, limiter, borrower)


async def end(running: asyncio.Future[T]) -> T:
    """Return what the call returns, once it does; who is cancelled has to wait for it, too.

    Raises:
        Exception: whatever the call raises.
    """
    with anyio.CancelScope(shield=True):
        await asyncio.wait([running])
    return running.result()


def _hand_over(
    call: Callable[..., T],
    arguments: tuple[object, ...],
    limiter: anyio.CapacityLimiter,
    borrower: object,
) -> asyncio.Future[T]:
    loop = asyncio.get_running_loop()
    pool = _pools.get(loop)
    if pool is None:
        pool = _pools[loop] = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="hfdl disk")
    withdrawn = threading.Event()

    def work() -> T:
        if withdrawn.is_set():
            raise CancelledError
        return call(*arguments)

    try:
        running = loop.run_in_executor(pool, work)
    except BaseException:
        # No thread could be started. One that is there already may take the call all the same.
        withdrawn.set()
        limiter.release_on_behalf_of(borrower)
        raise
    running.add_done_callback(lambda _: limiter.release_on_behalf_of(borrower))
    return running
