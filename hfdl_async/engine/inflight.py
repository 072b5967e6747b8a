"""The requests of one download while they run: how far each is, how fast, and which is too slow.

A connection is judged by its peers in the same download only, which ask the same hosts: when the
line gets slower all of them do, and nobody is replaced.
"""

from __future__ import annotations

from collections.abc import Iterator

from hfdl_async.core.model import MIB, ByteRange, Chunk
from hfdl_async.core.peers import Peer, SlowWatch
from hfdl_async.engine.line import Cut, Flow
from hfdl_async.engine.schedule import Piece

TELLING_BYTES = MIB  # a request that brought less says little about the rate of a connection
GAIN = 0.2  # of one more request in the running means


class Request:
    """One request: what it is for, and what it has brought."""

    __slots__ = ("flow", "key", "piece", "position", "received_bytes", "stop")

    def __init__(self, key: int, piece: Piece, flow: Flow, span: ByteRange) -> None:
        self.key = key
        self.piece = piece
        self.flow = flow
        self.position = span.start  # behind everything that has come, written or not
        self.stop = span.stop
        self.received_bytes = 0

    @property
    def remaining_bytes(self) -> int:
        """What is still to come of its piece."""
        return max(0, self.piece.span.stop - self.position)

    @property
    def is_cut_short(self) -> bool:
        """Whether what comes from here on is fetched by somebody else."""
        stop = self.piece.span.stop
        return stop < self.stop and stop <= self.position

    def judged_rate(self, now_seconds: float) -> float:
        """Return bytes a second over the last three seconds."""
        return self.flow.pace.judged_rate(now_seconds)

    def recent_rate(self, now_seconds: float) -> float:
        """Return bytes a second over the last second."""
        return self.flow.pace.recent_rate(now_seconds)

    def may_be_judged(self, now_seconds: float) -> bool:
        """Return whether it had time to show how fast it is."""
        return self.flow.pace.may_be_judged(now_seconds)


class InFlight:
    """All requests of one download that are under way.

    Args:
        least_share: of its peers' mean rate, below which a connection is replaced.
        check_seconds: how often that is looked at.
    """

    def __init__(self, *, least_share: float, check_seconds: float) -> None:
        self.first_byte_seconds = 0.0  # from request to first byte, usually
        self.usual_rate = 0.0  # of a connection, in bytes a second
        self.throttled_at: float | None = None
        self._requests: dict[int, Request] = {}
        self._key = 0
        self._watch = SlowWatch(least_share)
        self._check_seconds = check_seconds
        self._checked_at: float | None = None

    def __iter__(self) -> Iterator[tuple[int, Request]]:
        """Iterate over the requests under way, each with a key that is never used again."""
        return iter(list(self._requests.items()))

    def begin(self, piece: Piece, flow: Flow, span: ByteRange) -> Request:
        """Register a request for *span*, which *piece* is missing."""
        self._key += 1
        request = self._requests[self._key] = Request(self._key, piece, flow, span)
        return request

    def received(self, request: Request, chunk: Chunk, now_seconds: float) -> None:
        """Note bytes that came."""
        count = len(chunk.data)
        if not request.received_bytes:
            waited = now_seconds - request.flow.pace.started_at
            gain = GAIN if self.first_byte_seconds else 1.0
            self.first_byte_seconds += gain * (waited - self.first_byte_seconds)
        request.received_bytes += count
        request.position = max(request.position, chunk.offset + count)

    def end(self, request: Request, now_seconds: float) -> None:
        """Take a request off; how fast it was tells what is usual."""
        del self._requests[request.key]
        began = request.flow.pace.first_byte_at
        if began is None or request.received_bytes < TELLING_BYTES:
            return
        if request.flow.cut_kind not in (Cut.SILENT, Cut.SLOW):
            rate = request.received_bytes / max(now_seconds - began, 1e-3)
            self.usual_rate += (GAIN if self.usual_rate else 1.0) * (rate - self.usual_rate)

    def end_beaten(self, piece: Piece) -> None:
        """Cut the twin of *piece* if nothing that is still to come of it is missing."""
        for _, request in self:
            other = request.piece
            if other is piece or not other.raced or other.turn is not piece.turn:
                continue
            rest = ByteRange(min(request.position, other.span.stop), other.span.stop)
            if rest and other.job.gap(rest) is None:
                request.flow.cut("another connection had the rest first", Cut.BEATEN)

    def seconds_since_throttle(self, now_seconds: float) -> float:
        """Return for how long no server has asked for patience."""
        return float("inf") if self.throttled_at is None else now_seconds - self.throttled_at

    def replace_slow(self, now_seconds: float) -> None:
        """Cut connections that stay far below their peers, when it is time to look again."""
        if self._checked_at is None:
            self._checked_at = now_seconds
        if now_seconds - self._checked_at < self._check_seconds:
            return
        self._checked_at = now_seconds
        peers = [
            Peer(
                key,
                request.judged_rate(now_seconds),
                flowing=request.received_bytes > 0,
                may_be_judged=request.may_be_judged(now_seconds),
                silent=request.flow.is_silent(now_seconds, self._check_seconds),
            )
            for key, request in self._requests.items()
        ]
        for key in self._watch.check(now_seconds, peers):
            request = self._requests[key]
            rate = request.judged_rate(now_seconds)
            request.flow.cut(f"{rate / 1e6:.3g} MB/s, far below the others", Cut.SLOW)
