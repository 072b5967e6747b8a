"""What happened during one download, from samples of it: rates, connections, shares, tails.

Times are monotonic seconds, which all processes of a machine share; bytes are those received.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

BEGUN_BYTES = 1  # content flows from here on
WINDOW_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: when, bytes received so far, requests in flight, how many there may be."""

    at: float
    received: int
    connections: int = 0
    allowed: int = 0


@dataclass(frozen=True, slots=True)
class Timeline:
    """The samples of one download, in order."""

    samples: Sequence[Sample]

    @property
    def start(self) -> float:
        """When the first byte of content was seen."""
        return next((s.at for s in self.samples if s.received >= BEGUN_BYTES), self.samples[0].at)

    @property
    def end(self) -> float:
        """When the last byte was seen."""
        last = self.samples[-1].received
        return next(s.at for s in self.samples if s.received >= last)

    @property
    def total(self) -> int:
        """Bytes received in all."""
        return self.samples[-1].received

    def received_at(self, at: float) -> float:
        """Return the bytes received until then, between two samples by proportion."""
        index = bisect_left(self.samples, at, key=lambda sample: sample.at)
        if index == 0:
            return self.samples[0].received
        if index == len(self.samples):
            return self.samples[-1].received
        before, after = self.samples[index - 1], self.samples[index]
        share = (at - before.at) / max(after.at - before.at, 1e-9)
        return before.received + share * (after.received - before.received)

    def rate(self, begin: float, end: float) -> float:
        """Return bytes a second between two times; 0 where there is no time between them."""
        if end <= begin:
            return 0.0
        return (self.received_at(end) - self.received_at(begin)) / (end - begin)

    def most_in(self, seconds: float) -> int:
        """Return the most bytes that came within any *seconds*, begun at a sample."""
        return round(
            max(self.received_at(s.at + seconds) - self.received_at(s.at) for s in self.samples)
        )

    def seconds_to(self, rate: float) -> float | None:
        """Return when, from the first byte on, a second first brought *rate*; None if never."""
        for sample in self.samples:
            if sample.at < self.start + WINDOW_SECONDS:
                continue
            if self.rate(sample.at - WINDOW_SECONDS, sample.at) >= rate:
                return sample.at - self.start
        return None

    def seconds_for_last(self, share: float) -> float:
        """Return how long the last *share* of all bytes took."""
        goal = (1.0 - share) * self.total
        begin = next(s.at for s in self.samples if s.received >= goal)
        return self.end - begin

    def mean_allowed(self, after_seconds: float = 0.0) -> float:
        """Return how many connections there might be on average while content flowed."""
        begin = self.start + after_seconds
        pairs = zip(self.samples, self.samples[1:], strict=False)
        spans = [(b.at - a.at, a.allowed) for a, b in pairs if begin <= a.at <= self.end]
        seconds = sum(span for span, _ in spans)
        if not seconds:
            return float(self.samples[-1].allowed)
        return sum(span * allowed for span, allowed in spans) / seconds


def jain(values: Sequence[float]) -> float:
    """Return Jain's index of fairness: 1 where all are equal, 1/n where one has everything."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def fairness(lines: Sequence[Timeline]) -> float:
    """Return Jain's index over the time in which all of *lines* flowed."""
    begin, end = max(line.start for line in lines), min(line.end for line in lines)
    return jain([line.rate(begin, end) for line in lines])


def allowed_together(lines: Sequence[Timeline]) -> float:
    """Return the mean of the sum of connections over the time in which all of *lines* flowed."""
    begin, end = max(line.start for line in lines), min(line.end for line in lines)
    sums = [
        sum(_allowed_at(line, sample.at) for line in lines)
        for sample in lines[0].samples
        if begin <= sample.at <= end
    ]
    return sum(sums) / len(sums) if sums else 0.0


def _allowed_at(line: Timeline, at: float) -> int:
    index = bisect_left(line.samples, at, key=lambda sample: sample.at)
    return line.samples[min(index, len(line.samples) - 1)].allowed
