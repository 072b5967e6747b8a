"""The laws by name: ours, and those it is compared with."""

from __future__ import annotations

from collections.abc import Callable

from hfdl_async.core.control.config import polite
from hfdl_async.core.control.knee import KneeController
from hfdl_async.core.controller import Controller, FixedController
from hfdl_async.testing.simulation.baselines import (
    AimdController,
    GradientController,
    SuccessController,
)
from hfdl_async.testing.simulation.figures import Law


def knee(seed: int, be_polite: bool) -> Controller:
    """Return our law."""
    return KneeController(polite() if be_polite else None, seed=seed)


def fixed(connections: int) -> Law:
    """Return the law that always wants *connections*."""
    return lambda _seed, _polite: FixedController(connections)


def _plain(make: Callable[[], Controller]) -> Law:
    return lambda _seed, _polite: make()


BASELINES: dict[str, Law] = {
    "fixed 8": fixed(8),
    "fixed 16": fixed(16),
    "fixed 64": fixed(64),
    "aimd": _plain(AimdController),
    "gradient": _plain(GradientController),
    "success share": _plain(SuccessController),
}
LAWS: dict[str, Law] = {"knee": knee, **BASELINES}
