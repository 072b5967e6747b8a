from __future__ import annotations

import anyio
import pytest

from hfdl_async.disk.crew import for_each
from hfdl_async.errors import StorageError

pytestmark = pytest.mark.anyio


async def test_everything_is_done_a_few_at_a_time() -> None:
    running, most, done = 0, 0, []

    async def work(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.sleep(0)
        running -= 1
        done.append(item)

    await for_each(range(10), work, tasks=3)
    assert sorted(done) == list(range(10))
    assert most == 3


async def test_the_first_failure_comes_out_alone() -> None:
    async def work(item: int) -> None:
        if item == 1:
            raise StorageError("one")
        await anyio.sleep_forever()

    with pytest.raises(StorageError, match="one"):
        await for_each(range(3), work, tasks=3)
