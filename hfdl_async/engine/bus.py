"""Facts from one download to those who listen: outcomes are never lost, progress may be."""

from __future__ import annotations

import inspect
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable

import anyio

from hfdl_async.core.events import (
    ConcurrencyChanged,
    ConnectionReplaced,
    Event,
    Finished,
    Progress,
    RateLimited,
    SegmentRetried,
)

log = logging.getLogger("hfdl_async.engine")

PASSING = frozenset((SegmentRetried, ConnectionReplaced, ConcurrencyChanged, RateLimited))
PASSING_KEPT = 1000  # for late readers: a network that stays away must not fill the memory

Listener = Callable[[Event], object]


class Bus:
    """Tell facts with a synchronous call; each reader has a queue of its own.

    In a queue a newer `Progress` takes the place of one right before it. All other facts are kept
    until read, so a slow reader costs memory by the number of facts, not of bytes. One who comes
    late gets every outcome, and the last thousand of the facts that only matter while new.

    Args:
        on_stop: called with what a listener raised to end more than itself: a cancellation, an
            interrupt, an exit.
    """

    def __init__(self, on_stop: Callable[[BaseException], None] | None = None) -> None:
        self._on_stop = on_stop
        self._readers: list[_Reader] = []
        self._listeners: list[Listener] = []
        self._past: dict[int, Event] = {}  # by their number, in order
        self._passing: deque[int] = deque()
        self._told = 0

    def listen(self, listener: Listener) -> None:
        """Call *listener* with each fact from now on; what it raises is reported once."""
        self._listeners.append(listener)

    def unlisten(self, listener: Listener) -> None:
        """Stop calling *listener*, if it has not been dropped already."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def tell(self, event: Event) -> None:
        """Hand *event* to everyone, at once and without waiting."""
        if type(event) is not Progress:
            self._remember(event)
        if self._listeners:
            for listener in list(self._listeners):
                self._call(listener, event)
        for reader in self._readers:
            reader.put(event)

    async def read(self) -> AsyncIterator[Event]:
        """Yield the facts from the first to `Finished`, also to one who comes late."""
        reader = _Reader(deque(self._past.values()))
        self._readers.append(reader)
        try:
            while True:
                event = await reader.get()
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            self._readers.remove(reader)

    def _remember(self, event: Event) -> None:
        self._told += 1
        self._past[self._told] = event
        if type(event) in PASSING:
            self._passing.append(self._told)
            if len(self._passing) > PASSING_KEPT:
                del self._past[self._passing.popleft()]

    def _call(self, listener: Listener, event: Event) -> None:
        # Somebody else's code: the one place in the engine where any exception is survivable.
        try:
            answer = listener(event)
        except Exception:
            self.unlisten(listener)
            log.exception("a callback for events raised and will not be called again")
            return
        except BaseException as error:
            # Whoever tells runs in a task of ours: let through, it would end that task and no more.
            self.unlisten(listener)
            if self._on_stop is None:
                raise
            self._on_stop(error)
            return
        if inspect.isawaitable(answer):
            self._refuse(listener, answer)

    def _refuse(self, listener: Listener, answer: Awaitable[object]) -> None:
        if inspect.iscoroutine(answer):
            answer.close()
        self.unlisten(listener)
        log.error("on_event must be a plain function; read job.events() to await on each event")


class _Reader:
    """One reader's queue."""

    def __init__(self, past: deque[Event]) -> None:
        self._queue = past
        self._filled = anyio.Event()

    def put(self, event: Event) -> None:
        if isinstance(event, Progress) and self._queue and isinstance(self._queue[-1], Progress):
            self._queue.pop()
        self._queue.append(event)
        self._filled.set()

    async def get(self) -> Event:
        while not self._queue:
            self._filled = anyio.Event()
            await self._filled.wait()
        return self._queue.popleft()
