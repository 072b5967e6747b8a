from __future__ import annotations

import anyio
import pytest

from hfdl_async.engine.wakeup import Wakeup

pytestmark = pytest.mark.anyio


async def test_one_wake_lets_go_everyone_who_waits() -> None:
    wakeup, woken = Wakeup(), []

    async def wait(name: str) -> None:
        await wakeup.wait()
        woken.append(name)

    async with anyio.create_task_group() as group:
        group.start_soon(wait, "a")
        group.start_soon(wait, "b")
        await anyio.wait_all_tasks_blocked()
        wakeup.wake()
    assert sorted(woken) == ["a", "b"]


async def test_a_wake_that_nobody_waits_for_leaves_no_trace() -> None:
    wakeup = Wakeup()
    wakeup.wake()
    with anyio.move_on_after(0.01) as scope:
        await wakeup.wait()
    assert scope.cancelled_caught
