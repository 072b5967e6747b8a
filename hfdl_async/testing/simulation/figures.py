"""Runs a law on a scenario, and puts figures to what it did."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import mean, quantiles

from hfdl_async.core.bandwidth import Bucket
from hfdl_async.core.control.governor import Governor
from hfdl_async.core.controller import TICK_SECONDS, Controller, FixedController
from hfdl_async.core.model import MB
from hfdl_async.testing.simulation.client import Client
from hfdl_async.testing.simulation.draws import draw
from hfdl_async.testing.simulation.network import Conditions, Network
from hfdl_async.testing.simulation.scenarios import DRAWS, LARGE, Scenario
from hfdl_async.testing.simulation.world import Arrival, Change, Track, run

Law = Callable[[int, bool], Controller]  # a seed, and whether to be polite

GRID = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64)
SETTLED_SECONDS = 4.0
MEASURED_SECONDS = 12.0
NEARLY_BEST = 0.97
ENDLESS = 1e18  # a foreign flow never pauses


@dataclass(frozen=True, slots=True)
class Best:
    """G* and N*: the best that a fixed number brings, and the fewest that bring 97 % of it."""

    rate: float
    connections: int


@lru_cache(maxsize=4096)
def best_fixed(conditions: Conditions, request_bytes: float) -> Best:
    """Return what fixed numbers of connections bring under *conditions* without noise."""
    rates: dict[int, float] = {}
    for connections in GRID:
        arrival = Arrival(0.0, _maker(FixedController(connections), request_bytes))
        stop = SETTLED_SECONDS + MEASURED_SECONDS
        (track,) = run(conditions.quiet(), [arrival], seconds=stop, seed=7)
        rates[connections] = track.bytes_between(SETTLED_SECONDS, stop) / MEASURED_SECONDS
        if rates[connections] < 0.8 * max(rates.values()):
            break  # more only hurts from here on
    best = max(rates.values())
    if conditions.request_rate:  # what a full bucket lets through at the start does not last
        best = min(best, conditions.request_rate * request_bytes)
    fewest = min(number for number, rate in rates.items() if rate >= NEARLY_BEST * best)
    return Best(best, fewest)


def _maker(controller: Controller, request_bytes: float) -> Callable[[Network], Client]:
    return lambda network: Client(controller, network, request_bytes=request_bytes)


def possible_bytes(
    conditions: Conditions, change: Change | None, request_bytes: float, start: float, stop: float
) -> float:
    """Return what the best fixed numbers would bring between *start* and *stop*."""
    before = best_fixed(conditions, request_bytes).rate
    if change is None:
        return before * (stop - start)
    after = best_fixed(change.conditions, request_bytes).rate
    middle = min(max(change.at_seconds, start), stop)
    return before * (middle - start) + after * (stop - middle)


def first_time_at(track: Track, rate: float, start: float = 0.0) -> float:
    """Return the seconds from *start* until a second of goodput at *rate*; 999 for never."""
    before = 0
    for at, amount in zip(track.times, track.bytes, strict=True):
        if at > start + TICK_SECONDS / 2 and before + amount >= rate * 2 * TICK_SECONDS:
            return at - start
        before = amount
    return 999.0


def play(scenario: Scenario, law: Law, seed: int) -> list[Track]:
    """Run *scenario* once; the first track is the law's."""

    def ours(network: Network) -> Client:
        bucket = governor = None
        if scenario.user_limit is not None:
            bucket = Bucket(scenario.user_limit)
        if scenario.percent is not None:
            bucket, governor = Bucket(), Governor(scenario.percent)
        return Client(
            law(seed, scenario.polite),
            network,
            request_bytes=scenario.request_bytes,
            bucket=bucket,
            governor=governor,
        )

    arrivals = [Arrival(0.0, ours)]
    if scenario.foreign:
        foreign = FixedController(scenario.foreign)
        arrivals.append(Arrival(0.0, _maker(foreign, ENDLESS)))
    return run(
        scenario.conditions, arrivals, seconds=scenario.seconds, seed=seed, change=scenario.change
    )


def figures_of_a_run(scenario: Scenario, tracks: list[Track]) -> dict[str, float]:
    """Return all figures of one run of *scenario*."""
    track, stop, late = tracks[0], scenario.seconds, scenario.least_after
    conditions, change, size = scenario.conditions, scenario.change, scenario.request_bytes
    brought = track.bytes_between(0.0, stop)
    figures = {
        "util": brought / possible_bytes(conditions, change, size, 0.0, stop),
        "mean_n": track.mean_target(0.0, stop),
        "late_n": track.mean_target(stop - 20.0, stop),
        "throttled": float(sum(track.throttled)),
        "t90": first_time_at(track, 0.9 * best_fixed(conditions, size).rate),
        "late": track.bytes_between(late, stop)
        / possible_bytes(conditions, change, size, late, stop),
    }
    if change is not None:
        after = best_fixed(change.conditions, size).rate
        figures["back"] = first_time_at(track, 0.9 * after, change.at_seconds)
    if scenario.foreign:
        theirs = tracks[1].bytes_between(10.0, stop)
        own = track.bytes_between(10.0, stop)
        figures["share"] = own / (own + theirs)
    late_rate = track.bytes_between(late, stop) / (stop - late)
    if scenario.user_limit is not None:
        figures["of_limit"] = late_rate / scenario.user_limit
    if scenario.percent is not None:
        figures["late_line"] = late_rate / conditions.line_rate
        figures.update(_falls(track.limits))
    return figures


def _falls(limits: list[float]) -> dict[str, float]:
    """Return the largest fall of a limit while it was in force, and its fall over the whole run."""
    stated = [limit for limit in limits if limit]
    if not stated:
        return {"fall": 1.0, "decay": 1.0}
    steps = pairwise(limits)
    falls = [1.0 - after / before for before, after in steps if before and after]
    third = len(stated) // 3
    return {"fall": max(0.0, *falls), "decay": 1.0 - mean(stated[-third:]) / mean(stated[:third])}


def figures(scenario: Scenario, law: Law, seeds: tuple[int, ...] | None = None) -> dict[str, float]:
    """Return the figures of *scenario*, means over its seeds."""
    runs = [
        figures_of_a_run(scenario, play(scenario, law, seed)) for seed in seeds or scenario.seeds
    ]
    return {name: mean(each[name] for each in runs) for name in runs[0]}


def figures_of_pairs(law: Law, line_rate: float, seeds: tuple[int, ...]) -> dict[str, float]:
    """Return the figures of A16: two instances, the second one 12 seconds later."""
    conditions = Conditions(line_rate, 40 * MB, round_trip=0.04, noise=0.05)
    jains: list[float] = []
    totals: list[float] = []
    utils: list[float] = []
    for seed in seeds:
        arrivals = [
            Arrival(0.0, _maker(law(2 * seed, False), LARGE)),
            Arrival(12.0, _maker(law(2 * seed + 1, False), LARGE)),
        ]
        tracks = run(conditions, arrivals, seconds=120.0, seed=seed)
        rates = [track.bytes_between(60.0, 120.0) for track in tracks]
        jains.append(jain(rates))
        totals.append(sum(track.mean_target(60.0, 120.0) for track in tracks))
        utils.append(sum(track.bytes_between(0.0, 120.0) for track in tracks) / line_rate / 120.0)
    return {
        "jain": mean(jains),
        "worst_jain": min(jains),
        "sum_n": mean(totals),
        "most_n": max(totals),
        "util": mean(utils),
    }


def jain(rates: list[int]) -> float:
    """Return Jain's index of fairness: 1 when all have the same, 1/n when one has all."""
    squares = sum(rate * rate for rate in rates)
    return sum(rates) ** 2 / (len(rates) * squares) if squares else 0.0


def figures_of_draws(law: Law, seed: int, number: int = DRAWS) -> Mapping[str, float]:
    """Return the figures of A19 for the set of draws that *seed* stands for."""
    utils: list[float] = []
    surplus: list[float] = []
    fewest: list[float] = []
    for index in range(number):
        drawn = draw(seed, index)
        arrival = Arrival(0.0, _maker(law(drawn.seed, False), LARGE))
        (track,) = run(
            drawn.conditions, [arrival], seconds=60.0, seed=drawn.seed, change=drawn.change
        )
        possible = possible_bytes(drawn.conditions, drawn.change, LARGE, 0.0, 60.0)
        utils.append(track.bytes_between(0.0, 60.0) / possible)
        fewest.append(_fewest(drawn.conditions, drawn.change))
        surplus.append(max(0.0, track.mean_target(0.0, 60.0) - fewest[-1]))
    return {
        "util": mean(utils),
        "tenth": quantiles(utils, n=10, method="inclusive")[0],
        "surplus": sum(surplus) / sum(fewest),
    }


def _fewest(conditions: Conditions, change: Change | None) -> float:
    """Return N*, the mean of both halves if the line changes."""
    fewest = float(best_fixed(conditions, LARGE).connections)
    if change is None:
        return fewest
    return (fewest + best_fixed(change.conditions, LARGE).connections) / 2
