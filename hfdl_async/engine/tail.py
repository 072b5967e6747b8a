"""The end of a download: nothing is left to begin, and idle connections help those still busy.

First by taking over the end of a piece, which costs no byte twice: the end of the request that
would take longest moves forward in place, it stops there and drops its connection. Where nothing is
worth splitting, a piece far behind is asked for a second time, within a budget of bytes; whoever
has the rest first ends the other.

How bytes stay right: pieces that came out of one another share a turn, in which they write one
after the other, since a border may lie inside a cell; and of a piece that is fetched twice only
what is not on disk yet is written. No byte is ever written over.
"""

from __future__ import annotations

from hfdl_async.core import tail
from hfdl_async.core.ledger import CELL_BYTES
from hfdl_async.core.tail import Budget, Working
from hfdl_async.engine.inflight import InFlight, Request
from hfdl_async.engine.line import Line
from hfdl_async.engine.ports import Clock
from hfdl_async.engine.schedule import Schedule

TELLING_SECONDS = 0.25  # after its first byte a request may be split: being wrong costs no byte
AGAIN_SECONDS = 0.1  # until who had not told yet, or has slowed down, is looked at once more
SELDOM_SECONDS = 2.0
PATIENCE = 1.2  # longer each time: two seconds apart after ten of nothing to do
OPEN_CELLS = 4  # with a border inside: bytes behind it are no claim before those in front are here


class Tail:
    """Gives idle workers of one download something to do.

    Args:
        job_bytes: what the download fetches; duplicates stay below a share of it.
    """

    def __init__(self, schedule: Schedule, inflight: InFlight, line: Line, job_bytes: int) -> None:
        self._schedule = schedule
        self._inflight = inflight
        self._line = line
        self._job_bytes = job_bytes
        self.duplicate_bytes = 0  # asked for a second time

    async def run(self, clock: Clock) -> None:
        """Help as soon as a worker is idle, and while one is. Runs until cancelled.

        Where there is nothing to help it looks less and less often.
        """
        pause = AGAIN_SECONDS
        while True:
            if not self._schedule.idle_workers:
                pause = AGAIN_SECONDS
                await self._schedule.wait_for_idle()
            helped = self.help(clock.monotonic())
            await clock.sleep(pause)
            pause = AGAIN_SECONDS if helped else min(SELDOM_SECONDS, PATIENCE * pause)

    def help(self, now_seconds: float) -> bool:
        """Let each idle worker that may connect take a part in what is still under way.

        Returns whether there was one to take.
        """
        helped = False
        idle = min(self._schedule.idle_workers, self._line.allowed - self._line.busy)
        while idle > 0 and (
            self._split(now_seconds) or self._hedge(now_seconds) or self._split_moving(now_seconds)
        ):
            idle -= 1
            helped = True
        return helped

    def _split(self, now_seconds: float) -> bool:
        return self._split_one_of(self._helpable(now_seconds, splitting=True), now_seconds)

    def _split_moving(self, now_seconds: float) -> bool:
        """Split the slowest beside those that stand still: these are for a duplicate, if at all."""
        requests = self._helpable(now_seconds, splitting=True).items()
        moving = {key: one for key, one in requests if one.recent_rate(now_seconds)}
        return len(moving) < len(requests) and self._split_one_of(moving, now_seconds)

    def _split_one_of(self, requests: dict[int, Request], now_seconds: float) -> bool:
        found = tail.split(
            _working(requests, now_seconds),
            self._inflight.first_byte_seconds,
            self._inflight.usual_rate,
        )
        if found is None:
            return False
        victim = requests[found.victim]
        border = self._border(victim, victim.piece.span.stop - found.moved_bytes)
        if border is None:
            return False
        self._schedule.give(victim.piece.split_at(border))
        return True

    def _border(self, victim: Request, wanted: int) -> int | None:
        """Return where to split near *wanted*: between two cells, if one of those is near."""
        stop = victim.piece.span.stop
        border = round(wanted / CELL_BYTES) * CELL_BYTES
        if victim.position < border < stop and abs(border - wanted) <= (stop - wanted) // 4:
            return border
        inside = sum(1 for _, one in self._inflight if one.piece.span.start % CELL_BYTES)
        return wanted if inside < OPEN_CELLS else None

    def _hedge(self, now_seconds: float) -> bool:
        requests = self._helpable(now_seconds, splitting=False)
        budget = Budget(
            self._job_bytes,
            self.duplicate_bytes,
            self._inflight.seconds_since_throttle(now_seconds),
            self._inflight.usual_rate,
        )
        key = tail.hedge(_working(requests, now_seconds), self._inflight.first_byte_seconds, budget)
        if key is None:
            return False
        victim = requests[key]
        self.duplicate_bytes += victim.remaining_bytes
        self._schedule.give(victim.piece.twin_from(victim.position))
        return True

    def _helpable(self, now_seconds: float, *, splitting: bool) -> dict[int, Request]:
        """Return the requests that had time to show how fast they are, and may be helped."""
        return {
            key: request
            for key, request in self._inflight
            if (_tells(request, now_seconds) if splitting else request.may_be_judged(now_seconds))
            and not request.flow.cut_reason
            and not request.piece.is_stale()
            and not request.piece.job.whole
            and not request.piece.raced
            # What a file in memory has gathered is in no ledger yet; it is small enough to wait.
            and not request.piece.job.part.hashes_inline
        }


def _tells(request: Request, now_seconds: float) -> bool:
    began = request.flow.pace.first_byte_at
    if began is None:
        return False
    # A window that is still opening says less than it will bring.
    opening = tail.ANSWERS_SAVED * (began - request.flow.pace.started_at)
    return now_seconds - began >= max(TELLING_SECONDS, opening)


def _working(requests: dict[int, Request], now_seconds: float) -> list[Working]:
    return [
        Working(key, request.remaining_bytes, request.recent_rate(now_seconds))
        for key, request in requests.items()
    ]
