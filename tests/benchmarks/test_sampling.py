"""One download through the API, looked at ten times a second."""

from __future__ import annotations

import anyio
import pytest

from benchmarks.sampling import FixedLines
from hfdl_async.core.controller import TICK_SECONDS, FixedController
from hfdl_async.engine.limiter import Limiter
from hfdl_async.lines import Terms
from hfdl_async.testing.fakes import ManualClock

pytestmark = pytest.mark.anyio


async def test_a_fixed_number_of_connections_is_there_from_beginning_to_end() -> None:
    clock = ManualClock()
    terms = Terms(64, is_polite=False, buffers_bytes=2**25, trace=None, seed=lambda: 1, hint=8)
    allowed: list[int] = []
    async with anyio.create_task_group() as group:
        line = FixedLines(terms, clock, Limiter(clock), group).to("http://hub")
        line.watch(lambda now: allowed.append(line.allowed))
        line.begin(anyio.CancelScope(), silence_seconds=600)
        await clock.sleep(120 * TICK_SECONDS)
        group.cancel_scope.cancel()
    assert set(allowed) == {FixedLines.connections}
    assert FixedLines.connections == FixedController(8).connections
