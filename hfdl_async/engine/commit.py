"""Publishing complete files, many at once: whoever waits shares the syncs of one group.

What was hashed on its way is verified already. The others are small and held in memory: they are
hashed here, a group of them in one thread hop, because a hop for each would cost more than hashing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence

from anyio import to_thread

from hfdl_async.core.model import MIB
from hfdl_async.engine.ports import Part, Sink
from hfdl_async.engine.wakeup import Wakeup
from hfdl_async.errors import HfdlError

GROUP_FILES = 128  # enough to share syncs, few enough that a kill loses little
WAITING_FILES = 128  # complete files that may queue up before workers must wait
WAITING_BYTES = 16 * MIB  # of those in memory: they are lost with the process


class Committer:
    """Takes complete parts, proves and publishes them in groups, tells what became of each.

    Two tasks carry it: `prove` and `publish`.

    Args:
        on_proven: told of each part whether it is what the Hub published; only then it goes on.
        on_outcome: told of each that went on what kept it from its name, or None.
    """

    def __init__(
        self,
        sink: Sink,
        on_proven: Callable[[Part, bool], None],
        on_outcome: Callable[[Part, HfdlError | None], None],
    ) -> None:
        self._sink = sink
        self._on_proven = on_proven
        self._on_outcome = on_outcome
        self._unproven: deque[Part] = deque()
        self._right: deque[Part] = deque()
        self._queued = 0  # in both queues and between them
        self._held_bytes = 0  # of files in memory, until they have their names
        self._come, self._proven, self._taken = Wakeup(), Wakeup(), Wakeup()

    async def put(self, part: Part) -> None:
        """Queue a complete part; waits while too many are queued."""
        while self._queued >= WAITING_FILES or self._held_bytes >= WAITING_BYTES:
            await self._taken.wait()
        self._queued += 1
        self._held_bytes += _held_by(part)
        self._unproven.append(part)
        self._come.wake()

    async def prove(self) -> None:
        """Prove group after group until cancelled."""
        while True:
            while not self._unproven:
                await self._come.wait()
            await self._prove(_some(self._unproven))
            self._proven.wake()

    async def publish(self) -> None:
        """Publish group after group until cancelled, while the next one is proven."""
        while True:
            while not self._right:
                await self._proven.wait()
            group = _some(self._right)
            self._leave(len(group))
            outcomes = await self._sink.publish(group)
            self._let_go(group)
            for part in group:
                self._on_outcome(part, outcomes[part.file.path])

    async def _prove(self, group: Sequence[Part]) -> None:
        """Find out which of *group* are what the Hub published."""
        unproven = [part for part in group if part.hashes_inline]
        wrong = await to_thread.run_sync(_wrong_among, unproven) if unproven else set()
        self._leave(len(wrong))
        self._let_go(wrong)
        for part in group:
            right = part not in wrong
            if right:
                self._right.append(part)
            self._on_proven(part, right)

    def _leave(self, count: int) -> None:
        self._queued -= count
        self._taken.wake()

    def _let_go(self, parts: Collection[Part]) -> None:
        self._held_bytes -= sum(map(_held_by, parts))
        self._taken.wake()


def _held_by(part: Part) -> int:
    """Return how many bytes *part* holds in memory."""
    return part.file.size_bytes if part.hashes_inline else 0


def _some(queue: deque[Part]) -> list[Part]:
    """Take a group off *queue*."""
    return [queue.popleft() for _ in range(min(len(queue), GROUP_FILES))]


def _wrong_among(parts: Sequence[Part]) -> set[Part]:
    """Return the parts whose content has another digest than the file. In a thread."""
    return {part for part in parts if part.digest() != part.file.digest}
