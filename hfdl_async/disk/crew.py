"""Several tasks that take items off one list; the first failure ends them all, alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio

from hfdl_async.errors import HfdlError

T = TypeVar("T")


async def for_each(items: Iterable[T], work: Callable[[T], Awaitable[None]], *, tasks: int) -> None:
    """Do *work* for every item, *tasks* of them at a time.

    Raises:
        HfdlError: the first one that *work* raised, not in a group.
    """
    waiting = iter(items)
    failure: list[HfdlError] = []

    async with anyio.create_task_group() as group:

        async def member() -> None:
            for item in waiting:
                try:
                    await work(item)
                except HfdlError as error:
                    failure.append(error)
                    group.cancel_scope.cancel()
                    return

        for _ in range(tasks):
            group.start_soon(member)
    if failure:
        raise failure[0]
