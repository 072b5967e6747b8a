from __future__ import annotations

import anyio
import pytest

from hfdl_async.core.model import Action, PlannedFile
from hfdl_async.engine.commit import GROUP_FILES, WAITING_FILES, Committer
from hfdl_async.engine.ports import Part
from hfdl_async.errors import HfdlError
from hfdl_async.testing.fakes import MemorySink, remote_file
from tests.engine.rig import Rig

pytestmark = pytest.mark.anyio


async def verified(sink: MemorySink, path: str) -> Part:
    part = await sink.open(PlannedFile(remote_file(path, b""), Action.FETCH))
    await part.prove()
    return part


async def test_whoever_waits_shares_one_publish() -> None:
    sink = MemorySink()
    outcomes: list[str] = []

    def note(part: Part, error: HfdlError | None) -> None:
        assert error is None
        outcomes.append(part.file.path)

    committer = Committer(sink, note)
    names = [f"f{number:03}" for number in range(100)]
    for name in names:
        await committer.put(await verified(sink, name))
    async with anyio.create_task_group() as group:
        group.start_soon(committer.run)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert outcomes == names
    assert [line for line in sink.log if line.startswith("publish")] == [
        "publish " + " ".join(names)
    ]


async def test_a_group_is_bounded_and_so_is_the_queue() -> None:
    sink = MemorySink()
    committer = Committer(sink, lambda part, error: None)
    parts = [await verified(sink, f"f{number:03}") for number in range(WAITING_FILES + 50)]
    put = 0

    async def fill() -> None:
        nonlocal put
        for part in parts:
            await committer.put(part)
            put += 1

    async with anyio.create_task_group() as group:
        group.start_soon(fill)
        await anyio.wait_all_tasks_blocked()
        assert put == WAITING_FILES
        group.start_soon(committer.run)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    groups = [line.split()[1:] for line in sink.log if line.startswith("publish")]
    assert sum(map(len, groups)) == len(parts)
    assert max(map(len, groups)) <= GROUP_FILES


async def test_a_file_that_cannot_be_published_does_not_stop_its_group() -> None:
    rig = Rig({"a": b"a", "b": b"b", "c": b"c"})
    rig.sink.trouble("publish", "b")
    rig.may_lose = True
    await rig.run()
    assert rig.statuses() == {"a": "downloaded", "b": "failed", "c": "downloaded"}
