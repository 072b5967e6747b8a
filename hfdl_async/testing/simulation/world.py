"""Runs clients over a network, and keeps what each tick of each client looked like."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from hfdl_async.core.controller import TICK_SECONDS
from hfdl_async.testing.simulation.client import Client
from hfdl_async.testing.simulation.network import STEP_SECONDS, Conditions, Network, fair_level

TICK_STEPS = round(TICK_SECONDS / STEP_SECONDS)


@dataclass(frozen=True, slots=True)
class Change:
    """From this moment on the conditions are others."""

    at_seconds: float
    conditions: Conditions


@dataclass(frozen=True, slots=True)
class Arrival:
    """A client that begins at this moment; it is made then."""

    at_seconds: float
    make: Callable[[Network], Client]


@dataclass(slots=True)
class Track:
    """What one client did: a value for each tick."""

    times: list[float] = field(default_factory=list)
    bytes: list[int] = field(default_factory=list)
    targets: list[int] = field(default_factory=list)
    throttled: list[int] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    limits: list[float] = field(default_factory=list)

    def bytes_between(self, start: float, stop: float) -> int:
        """Return what arrived in the ticks that ended in (start, stop]."""
        return sum(
            amount
            for at, amount in zip(self.times, self.bytes, strict=True)
            if start < at <= stop + 1e-9
        )

    def mean_target(self, start: float, stop: float) -> float:
        """Return the mean number of connections in (start, stop]."""
        targets = [
            target
            for at, target in zip(self.times, self.targets, strict=True)
            if start < at <= stop + 1e-9
        ]
        return sum(targets) / max(len(targets), 1)


def run(
    conditions: Conditions,
    arrivals: list[Arrival],
    *,
    seconds: float,
    seed: int,
    change: Change | None = None,
) -> list[Track]:
    """Run clients for *seconds* of the model's time; returns a track for each arrival."""
    network = Network(conditions, seed)
    waiting = list(enumerate(arrivals))
    tracks = [Track() for _ in arrivals]
    present: list[tuple[Client, Track, int]] = []
    for step in range(round(seconds / STEP_SECONDS)):
        now = step * STEP_SECONDS
        for index, arrival in [each for each in waiting if each[1].at_seconds <= now]:
            present.append((arrival.make(network), tracks[index], step))
            waiting.remove((index, arrival))
        if change is not None and now >= change.at_seconds:
            network.conditions = change.conditions
            for client, _, _ in present:
                client.refresh_caps()
            change = None
        _advance(network, [client for client, _, _ in present], now)
        for client, track, began in present:
            if (step + 1 - began) % TICK_STEPS == 0:
                _note(client, track, now + STEP_SECONDS)
    return tracks


def _advance(network: Network, clients: list[Client], now: float) -> None:
    demands: list[float] = []
    for client in clients:
        client.manage(now)
        demands += [flow.demand for flow in client.flowing]
    capacity = network.capacity(now, len(demands))
    if len(clients) == 1:  # what a process itself allows matters only where it is alone
        capacity = min(capacity, clients[0].own_capacity(now, sum(demands)))
    level = fair_level(demands, capacity)
    for client in clients:
        client.deliver(now, level)


def _note(client: Client, track: Track, now: float) -> None:
    sample = client.tick(now)
    track.times.append(now)
    track.bytes.append(sample.bytes)
    track.targets.append(client.decision.target)
    track.throttled.append(sample.throttled)
    track.modes.append(client.decision.mode)
    track.reasons.append(client.decision.reason)
    track.limits.append(client.bucket.rate or 0.0 if client.bucket else 0.0)
