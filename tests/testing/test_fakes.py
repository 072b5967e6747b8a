from __future__ import annotations

import pytest

from hfdl_async.core.controller import FixedController
from hfdl_async.testing import fakes
from hfdl_async.testing.fakes import ManualClock, MemorySink, MemorySource, broken, stalled
from tests.engine.rig import Rig

pytestmark = pytest.mark.anyio


def test_every_name_is_there_and_says_what_it_is() -> None:
    for name in fakes.__all__:
        assert getattr(fakes, name).__doc__


async def story() -> tuple[object, ...]:
    contents = {f"f{number}": bytes([number]) * (40 + number) for number in range(12)}
    clock = ManualClock()
    source = MemorySource({}, chunk_bytes=3, clock=clock, chunk_seconds=0.01)
    rig = Rig(contents, source=source, clock=clock, controller=FixedController(3))
    source.script("f3", broken(5), stalled(8))
    source.spoil("f7", 9)
    await rig.run()
    assert isinstance(rig.sink, MemorySink)
    return rig.events, source.asked, rig.sink.log, clock.slept, clock.monotonic()


async def test_a_run_over_the_fakes_takes_the_same_turns_every_time() -> None:
    assert await story() == await story()
