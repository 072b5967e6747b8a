"""With how many connections a download begins, once a first look with a few has shown the line.

Three things a moment with a few connections tells for sure. Where they bring as much as one core
can take, more would only cost. Where the processors of this machine are busy with them as well,
fewer cost less: one connection's bytes are in order, so the digest is fed from memory and nothing
is read again; a second one lets another file be hashed meanwhile. So one is tried alone, before
the few. And where small files come next it is their answers that are waited for: by Little's law
it takes rate x latency requests at once to keep the rate, and both are known.
Everything else is found by the ramp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, inf
from statistics import median

from hfdl_async.core.control.config import FIRST_CONNECTIONS, ControlConfig

FEW_CONNECTIONS = 4  # to begin with: a line that they fill has nothing to gain from more
GLANCE_SECONDS = 0.05  # with one connection; again if it has brought something
FIRST_LOOK_SECONDS = 0.2  # longer than the burst that a server with a cap lets through
ENOUGH_ANSWERS = 4  # to know how long one takes: no need to look any longer
FULL_BYTES_PER_SECOND = 400_000_000  # about what a core can receive, write and hash meanwhile

MOST = 32  # without having asked the line: the ramp goes on from there if it pays
FEW_ENOUGH = 1.5 * FIRST_CONNECTIONS  # on average, while the next ones are being opened
IN_A_FULL_MACHINE = 2  # connections, as far as each has a file of its own
FULL_MACHINE = 0.5  # of all processor time, used up by this process alone while it began
# What one core asks for, stores and publishes where nothing else is in the way (benchmarks, D).
ENOUGH_REQUESTS_A_SECOND = 2000.0
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Look:
    """What the first moment with a few connections has shown.

    Attributes:
        seconds: that it took so far.
        answered: requests that have been answered and are over.
        answer_seconds: from each request to its content, redirects included; of those without an
            answer how long they have waited for it.
        small_ahead: small files that are to be asked for next.
        requests_a_second: how many the server allows, where it says so and it is too few.
        files_ahead: files that are not here yet, but for the small ones that wait; about as many
            large ones.
        machine_share: of the time of all processors, what this process has used.
        connections: in the first look how many there may be, in a tick how many there were.
    """

    seconds: float = FIRST_LOOK_SECONDS
    bytes_per_second: float = 0.0
    answered: int = 0
    answer_seconds: Sequence[float] = ()
    small_ahead: int = 0
    requests_a_second: float = inf
    files_ahead: int = 1
    machine_share: float = 0.0
    connections: float = FEW_CONNECTIONS

    @property
    def is_enough(self) -> bool:
        """Whether there is nothing to gain from looking any longer."""
        if self.waits_for_answers and self.answered >= ENOUGH_ANSWERS:
            return True
        if self.connections == 1 and self.fills_the_machine:
            return True
        return self.seconds >= FIRST_LOOK_SECONDS - _ROUNDING

    @property
    def wants_more(self) -> bool:
        """Whether one connection has had its chance to show that it is enough.

        What it brought in a first moment tells how soon answers come here; where nothing did, the
        others are not kept waiting.
        """
        patience = 2 * GLANCE_SECONDS if self.bytes_per_second else GLANCE_SECONDS
        return self.small_ahead > 0 or self.seconds >= patience - _ROUNDING

    @property
    def fills_the_line(self) -> bool:
        """Whether a few connections are as fast as this machine."""
        return self.bytes_per_second >= FULL_BYTES_PER_SECOND

    @property
    def fills_the_machine(self) -> bool:
        """Whether it is the processors that are full, rather than each connection held back.

        Not where there are many more than a law begins with: then it has seen that they pay.
        """
        few = self.connections <= FEW_ENOUGH
        return self.fills_the_line and few and self.machine_share >= FULL_MACHINE

    @property
    def waits_for_answers(self) -> bool:
        """Whether round trips are what the next requests take, not bytes."""
        return self.small_ahead >= FIRST_CONNECTIONS and not self.fills_the_line


@dataclass(frozen=True, slots=True)
class Opening:
    """What the law is made from."""

    config: ControlConfig
    hint: int | None = None


def opening(look: Look, config: ControlConfig, named: int | None = None) -> Opening:
    """Return how to begin after *look*; *named* is the number that somebody asked for."""
    if look.fills_the_machine:
        first = max(1, min(IN_A_FULL_MACHINE, look.files_ahead, config.most))
        return Opening(replace(config, first=first, headroom=False))
    if named is not None:
        return Opening(config, hint=named)
    if look.fills_the_line:
        return Opening(config, hint=FEW_CONNECTIONS)
    # Who is polite begins with fewer than others and takes his time.
    if not look.waits_for_answers or config.first < FIRST_CONNECTIONS:
        return Opening(config)
    first = first_connections(look.answer_seconds, look.requests_a_second)
    if look.requests_a_second == inf:
        first = max(first, config.first)  # what comes after the answer takes its time, too
    return Opening(replace(config, first=min(first, look.small_ahead)))


def first_connections(latencies_seconds: Sequence[float], requests_a_second: float = inf) -> int:
    """Return the connections that keep *requests_a_second* in flight, from the first latencies."""
    if not latencies_seconds:
        return FEW_CONNECTIONS
    rate = min(requests_a_second, ENOUGH_REQUESTS_A_SECOND)
    return max(FEW_CONNECTIONS, min(MOST, ceil(rate * median(latencies_seconds))))
