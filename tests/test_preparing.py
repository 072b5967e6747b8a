from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from hfdl_async.core.model import Action, Plan
from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.core.options import Options
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.lock import Holder
from hfdl_async.engine.tally import Tally
from hfdl_async.errors import HfdlError, StorageError, UnsafeError
from hfdl_async.net.transport import Transport
from hfdl_async.preparing import Preparation, Prepared, Request, Services, find_target
from hfdl_async.serving import HostedRepo
from hfdl_async.testing.faults import Fault, StartHub, without_digests
from tests.repos import MIB, big_repo, small_files, tiny_repo

pytestmark = pytest.mark.anyio


class Clock:
    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


@asynccontextmanager
async def preparing(
    repo: str, files: tuple[str, ...] = (), **options: object
) -> AsyncIterator[Preparation]:
    """Give the preparation of one download."""
    clock = Clock()
    request = Request(repo, files, Options.parse(options))
    async with Transport(clock) as transport:
        services = Services(transport, clock, random.random)
        yield Preparation(request, find_target(request), services, Tally(0.0))


async def plan(repo: str, *files: str, **options: object) -> Plan:
    async with preparing(repo, files, **options) as preparation:
        return await preparation.plan()


async def prepare(repo: str, *files: str, **options: object) -> Prepared:
    async with preparing(repo, files, **options) as preparation, AsyncExitStack() as stack:
        return await preparation.prepare(stack, lambda _holder: None)


async def leave_a_part(folder: Path, prepared: Prepared, path: str, data: bytes) -> Path:
    """Leave the first MiB of *path* behind as an interrupted run does; return the parts folder."""
    [item] = [item for item in prepared.plan.files if item.file.path == path]
    disk = prepared.place
    assert isinstance(disk, LocalDir)
    part = await disk.open(item)
    await part.prove()
    await part.write(0, [data[:MIB]])
    await part.checkpoint()
    await part.close()
    await disk.close()
    return folder / STATE_FOLDER / "parts"


async def test_a_folder_that_was_filled_while_we_waited_is_not_taken_over(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(tiny_repo("x/model"), tiny_repo("y/model"))
    waiting = anyio.Event()
    other = LocalDir(tmp_path / "model")
    refused: list[HfdlError] = []

    async def second() -> None:
        def on_wait(_holder: Holder | None) -> None:
            waiting.set()

        ours = preparing("y/model", directory=tmp_path, endpoint=running.endpoint)
        async with ours as preparation, AsyncExitStack() as stack:
            try:
                await preparation.prepare(stack, on_wait)
            except UnsafeError as error:
                refused.append(error)

    async with anyio.create_task_group() as group, other.lock():
        group.start_soon(second)
        await waiting.wait()
        await prepare_in(other, "x/model", tmp_path, running.endpoint)
    [error] = refused
    assert "belongs to the model x/model" in error.message
    assert "--local-dir" in str(error.hint)


async def prepare_in(folder: LocalDir, repo: str, base: Path, endpoint: str) -> None:
    """Make *folder*, which is locked already, that of *repo*."""
    made = await plan(repo, directory=base, endpoint=endpoint)
    async with preparing(repo, directory=base, endpoint=endpoint) as preparation:
        listing, files = await preparation._ask_the_hub()
    await folder.begin(made.repo, listing, files)


async def test_space_that_a_part_has_reserved_is_not_asked_for_again(
    hub: StartHub, tmp_path: Path
) -> None:
    repo = big_repo(8 * MIB)
    running = await hub(repo)
    asked = {"local_dir": tmp_path, "endpoint": running.endpoint}
    prepared = await prepare("org/big", **asked)
    assert (prepared.plan.bytes_to_write, prepared.plan.bytes_reserved) == (8 * MIB + 2, 0)
    parts = await leave_a_part(tmp_path, prepared, "model.safetensors", bytes(MIB))
    [part] = parts.glob("*.part")
    taken = min(part.stat().st_blocks * 512, 8 * MIB)
    again = await plan("org/big", **asked)
    assert again.bytes_to_write == 7 * MIB + 2
    assert again.bytes_reserved == taken - MIB


async def test_parts_outlive_a_refusal_and_those_of_other_files_a_forgetting(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(tiny_repo())
    asked = {"local_dir": tmp_path, "endpoint": running.endpoint, "no_resume": True}
    data = small_files()["model.safetensors"]
    prepared = await prepare("org/tiny", "model.safetensors", **asked)
    parts = await leave_a_part(tmp_path, prepared, "model.safetensors", data)
    left = sorted(path.name for path in parts.iterdir())
    assert len(left) == 2
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UnsafeError):
        await prepare("org/tiny", **asked)
    with pytest.raises(StorageError):
        await prepare("org/tiny", "model.safetensors", min_free_space="9000TB", **asked)
    await prepare("org/tiny", "config.json", **asked)
    assert sorted(path.name for path in parts.iterdir()) == left
    await prepare("org/tiny", "model.safetensors", **asked)
    assert list(parts.iterdir()) == []


async def test_what_was_fetched_unverified_is_known_the_next_time(
    hub: StartHub, tmp_path: Path
) -> None:
    repo = HostedRepo.from_files("org/one", {"a.txt": b"hello"})
    running = await hub(repo)
    running.faults.add(Fault("tree", without_digests()))
    asked = {"local_dir": tmp_path, "endpoint": running.endpoint, "allow": ["unverified"]}
    prepared = await prepare("org/one", **asked)
    [item] = prepared.plan.files
    part = await prepared.place.open(item)
    await part.prove()
    await part.write(0, [b"hello"])
    assert await prepared.place.publish([part]) == {"a.txt": None}
    assert isinstance(prepared.place, LocalDir)
    await prepared.place.close()
    again = await plan("org/one", **asked)
    assert [item.action for item in again.files] == [Action.REUSE]
    repo.commit({"a.txt": b"world"}, branch="main")
    later = await plan("org/one", **asked)
    assert [item.action for item in later.files] == [Action.FETCH]
    for made in (prepared.plan, again):
        assert any("--allow unverified" in warning for warning in made.warnings)


async def test_what_is_known_of_a_refused_run_can_be_asked_for(
    hub: StartHub, tmp_path: Path
) -> None:
    repo = HostedRepo.from_files("org/one", {"a.pt": b"hello", "b.json": b"{}"})
    running = await hub(repo)
    (tmp_path / "b.json").write_text("mine")
    async with preparing("org/one", local_dir=tmp_path, endpoint=running.endpoint) as preparation:
        assert (preparation.commit, preparation.path) == (None, tmp_path)
        with pytest.raises(UnsafeError):
            async with AsyncExitStack() as stack:
                await preparation.prepare(stack, lambda _holder: None)
        assert repo.head is not None
        assert preparation.commit == repo.head.oid
        assert preparation.repo.repo_id == "org/one"
        assert preparation.warnings == ("may run code when loaded: a.pt",)


async def test_names_and_patterns_mean_the_target_that_the_url_says(tmp_path: Path) -> None:
    request = Request("datasets/org/name@v1", ("a",), Options.parse({"directory": tmp_path}))
    target = find_target(request)
    assert (target.repo.repo_type, target.repo.revision) == ("dataset", "v1")
    assert (target.folder, target.files) == (tmp_path / "name", ("a",))
