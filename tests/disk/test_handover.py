from __future__ import annotations

import asyncio
import gc
import threading

import anyio
import pytest

from hfdl_async.disk import handover

pytestmark = pytest.mark.anyio

PATIENCE_SECONDS = 10.0  # of a test that would fail


async def test_a_call_begins_before_the_loop_turns() -> None:
    begun, turned = threading.Event(), []
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: turned.append(begun.wait(PATIENCE_SECONDS)))
    await handover.in_thread(begun.set, limiter=anyio.CapacityLimiter(1))
    await anyio.sleep(0)
    assert turned == [True]


async def test_results_and_errors_come_back_and_the_thread_is_free_again() -> None:
    limiter = anyio.CapacityLimiter(1)
    assert await handover.in_thread(divmod, 7, 2, limiter=limiter) == (3, 1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await handover.in_thread(divmod, 7, 0, limiter=limiter)
    assert limiter.borrowed_tokens == 0


async def test_no_more_run_at_once_than_the_limiter_allows() -> None:
    limiter, go = anyio.CapacityLimiter(1), threading.Event()
    running = handover.begin(go.wait, PATIENCE_SECONDS, limiter=limiter)
    assert running is not None
    assert handover.begin(go.set, limiter=limiter) is None
    order: list[str] = []

    async def another() -> None:
        await handover.in_thread(order.append, "another", limiter=limiter)

    async with anyio.create_task_group() as group:
        group.start_soon(another)
        await anyio.wait_all_tasks_blocked()
        assert not order
        go.set()
        assert await handover.end(running)
    assert order == ["another"]


async def test_who_waits_for_a_thread_may_be_cancelled_and_takes_none() -> None:
    limiter, go = anyio.CapacityLimiter(1), threading.Event()
    running = handover.begin(go.wait, PATIENCE_SECONDS, limiter=limiter)
    assert running is not None
    called = threading.Event()
    with anyio.move_on_after(0.01):
        await handover.in_thread(called.set, limiter=limiter)
    go.set()
    await handover.end(running)
    await anyio.sleep(0)
    assert not called.is_set()
    assert limiter.borrowed_tokens == 0


async def test_a_call_for_which_no_thread_could_be_started_is_not_made_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    limiter, go, called = anyio.CapacityLimiter(2), threading.Event(), threading.Event()
    running = handover.begin(go.wait, PATIENCE_SECONDS, limiter=limiter)
    assert running is not None
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="start new thread"):
            await handover.in_thread(called.set, limiter=limiter)
    assert limiter.borrowed_tokens == 1
    go.set()
    await handover.end(running)
    await handover.in_thread(int, limiter=limiter)  # behind the call that is in the queue still
    assert not called.is_set()


async def test_who_is_cancelled_already_calls_nothing() -> None:
    called = threading.Event()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await handover.in_thread(called.set, limiter=anyio.CapacityLimiter(1))
    assert not called.is_set()


async def test_a_call_that_has_begun_is_waited_for_whichever_scope_is_cancelled() -> None:
    go, ended = threading.Event(), threading.Event()

    def call() -> None:
        go.wait(PATIENCE_SECONDS)
        ended.set()

    async with anyio.create_task_group() as group:

        async def hop() -> None:
            try:
                await handover.in_thread(call, limiter=anyio.CapacityLimiter(1))
            finally:
                assert ended.is_set()

        group.start_soon(hop)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
        go.set()
    assert ended.is_set()


def test_the_threads_of_a_loop_go_with_it() -> None:
    async def hop() -> threading.Thread:
        return await handover.in_thread(threading.current_thread, limiter=anyio.CapacityLimiter(1))

    thread = asyncio.run(hop())
    gc.collect()
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
