from __future__ import annotations

import errno
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from huggingface_hub import constants

from hfdl_async import download
from hfdl_async.api import SystemClock
from hfdl_async.asking import Services
from hfdl_async.core.model import Action, Plan, RepoRef
from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.core.options import Options
from hfdl_async.destination import Destination
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.lock import Holder
from hfdl_async.disk.sharedcache import SharedCache
from hfdl_async.engine.tally import Tally
from hfdl_async.errors import (
    BusyError,
    HfdlError,
    IntegrityError,
    NotFoundError,
    StorageError,
    UnsafeError,
)
from hfdl_async.net.transport import Transport
from hfdl_async.preparing import Preparation, Prepared
from hfdl_async.serving import HostedRepo
from hfdl_async.target import Request, find_target
from hfdl_async.testing.faults import Fault, ScriptedHub, StartHub, without_digests
from tests.disk.faults import FaultyCalls, descriptors_balanced
from tests.repos import MIB, big_repo, small_files, tiny_repo

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def preparing(
    repo: str, files: tuple[str, ...] = (), place: Destination | None = None, /, **options: object
) -> AsyncIterator[Preparation]:
    """Give the preparation of one download."""
    clock = SystemClock()
    request = Request(repo, files, Options.parse(options))
    async with Transport(clock) as transport:
        services = Services(transport, clock, random.random)
        yield Preparation(request, find_target(request), services, Tally(0.0), place=place)


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
        listing, files = await preparation._inquiry.ask()
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


class TestInTheSharedCache:
    """What a run asks for, and what it writes, when the destination is the shared cache."""

    @pytest.fixture
    async def repo(self) -> HostedRepo:
        return tiny_repo()

    @pytest.fixture
    async def running(self, repo: HostedRepo, hub: StartHub, tmp_path: Path) -> ScriptedHub:
        """Give a hub whose repo is complete in the cache; its log is empty."""
        running = await hub(repo)
        await download("org/tiny", cache_dir=tmp_path, endpoint=running.endpoint)
        running.log.clear()
        return running

    def asked(self, running: ScriptedHub, tmp_path: Path, **more: object) -> dict[str, object]:
        return {"cache_dir": tmp_path, "endpoint": running.endpoint, **more}

    def commit(self, repo: HostedRepo) -> str:
        assert repo.head is not None
        return repo.head.oid

    async def test_a_commit_that_is_complete_is_not_asked_for(
        self, repo: HostedRepo, running: ScriptedHub, tmp_path: Path
    ) -> None:
        asked = self.asked(running, tmp_path, revision=self.commit(repo))
        made = await plan("org/tiny", **asked)
        prepared = await prepare("org/tiny", **asked)
        assert {item.action for item in (*made.files, *prepared.plan.files)} == {Action.REUSE}
        assert made.commit == self.commit(repo)
        assert list(running.log) == []

    async def test_a_branch_costs_one_request(
        self, repo: HostedRepo, running: ScriptedHub, tmp_path: Path
    ) -> None:
        made = await plan("org/tiny", **self.asked(running, tmp_path))
        assert {item.action for item in made.files} == {Action.REUSE}
        assert made.path == tmp_path / "models--org--tiny" / "snapshots" / self.commit(repo)
        assert len(list(running.log)) == 1
        assert made.requests.api == 1

    async def test_a_listing_that_is_damaged_is_asked_for_again(
        self, repo: HostedRepo, running: ScriptedHub, tmp_path: Path
    ) -> None:
        [tree] = (tmp_path / "models--org--tiny" / "trees").iterdir()
        tree.write_bytes(tree.read_bytes()[:-1])
        made = await plan("org/tiny", **self.asked(running, tmp_path))
        assert {item.action for item in made.files} == {Action.REUSE}
        assert running.log.of("tree")
        report = await download("org/tiny", **self.asked(running, tmp_path))  # type: ignore[arg-type]
        assert report.exit_code == 0
        running.log.clear()
        await plan("org/tiny", **self.asked(running, tmp_path))
        assert not running.log.of("tree")

    async def test_offline_it_is_what_the_cache_knows(
        self, running: ScriptedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        prepared = await prepare("org/tiny", **self.asked(running, tmp_path))
        assert {item.action for item in prepared.plan.files} == {Action.REUSE}
        with pytest.raises(NotFoundError, match="nothing of org/tiny at dev"):
            await prepare("org/tiny", **self.asked(running, tmp_path, revision="dev"))
        (prepared.plan.path / "config.json").resolve().unlink()
        with pytest.raises(NotFoundError, match=r"not here: config\.json"):
            await prepare("org/tiny", **self.asked(running, tmp_path))
        await prepare("org/tiny", "README.md", **self.asked(running, tmp_path))
        assert list(running.log) == []

    async def prepare_read_only(self, running: ScriptedHub, tmp_path: Path) -> Prepared:
        writing = ("mkdir", "write", "rename", "symlink", "link", "unlink", "truncate", "allocate")
        calls = FaultyCalls(fail_at=1, error=errno.EROFS, for_ever=True, only=writing)
        asked = self.asked(running, tmp_path)
        place = SharedCache(tmp_path, RepoRef("org/tiny"), calls=calls)
        ours = preparing("org/tiny", (), place, **asked)
        async with ours as preparation, AsyncExitStack() as stack:
            prepared = await preparation.prepare(stack, lambda _holder: None)
            await prepared.place.finish(preparation.repo, prepared.listing)
            return prepared

    async def test_a_read_only_cache_that_is_complete_is_enough(
        self, running: ScriptedHub, tmp_path: Path
    ) -> None:
        with descriptors_balanced():
            prepared = await self.prepare_read_only(running, tmp_path)
        assert {item.action for item in prepared.plan.files} == {Action.REUSE}
        assert prepared.place.notes == ()

    @pytest.mark.parametrize("what", ["link", "blob"])
    async def test_a_read_only_cache_where_something_is_missing_is_a_storage_error(
        self, what: str, running: ScriptedHub, repo: HostedRepo, tmp_path: Path
    ) -> None:
        link = tmp_path / "models--org--tiny" / "snapshots" / self.commit(repo) / "nested/vocab.txt"
        (link if what == "link" else link.resolve()).unlink()
        with pytest.raises(StorageError, match="read-only"):
            await self.prepare_read_only(running, tmp_path)

    async def test_a_wrong_blob_is_named_and_replaced(
        self, running: ScriptedHub, repo: HostedRepo, tmp_path: Path
    ) -> None:
        path = tmp_path / "models--org--tiny" / "snapshots" / self.commit(repo) / "README.md"
        path.resolve().write_bytes(b"# tinY\n")
        asked = self.asked(running, tmp_path)
        with pytest.raises(IntegrityError, match=r"README\.md"):
            await prepare("org/tiny", **asked, verify=True)
        assert path.read_bytes() == b"# tinY\n", "it is left alone"
        report = await download("org/tiny", **asked)  # type: ignore[arg-type]
        assert path.read_bytes() == b"# tiny\n"
        assert [text for text in report.warnings if "README.md" in text]
        assert report.bytes.downloaded == len(b"# tiny\n")
        again = await download("org/tiny", **asked)  # type: ignore[arg-type]
        assert again.warnings == ()

    async def test_the_path_is_known_once_the_commit_is(
        self, running: ScriptedHub, tmp_path: Path
    ) -> None:
        asked = self.asked(running, tmp_path)
        async with preparing("org/tiny", (), **asked) as preparation:
            assert preparation.known_path is None
            await preparation.plan()
            assert preparation.known_path == preparation.path
            assert preparation.path.is_dir()

    async def test_a_plan_writes_nothing(self, hub: StartHub, tmp_path: Path) -> None:
        running = await hub(tiny_repo())
        made = await plan("org/tiny", **self.asked(running, tmp_path / "new"))
        assert Action.FETCH in {item.action for item in made.files}
        assert list(tmp_path.iterdir()) == []


async def test_content_of_the_default_cache_is_found_for_another_one(
    hub: StartHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "default"))
    running = await hub(tiny_repo())
    await download("org/tiny", cache=True, endpoint=running.endpoint)
    planned = await plan("org/tiny", cache_dir=tmp_path / "own", endpoint=running.endpoint)
    assert planned.bytes_to_fetch == 0


async def test_a_plan_says_what_would_be_removed(hub: StartHub, tmp_path: Path) -> None:
    repo = tiny_repo()
    running = await hub(repo)
    options: dict[str, object] = {"local_dir": tmp_path, "endpoint": running.endpoint}
    await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    repo.commit({"config.json": b"{}"})
    assert (await plan("org/tiny", **options)).to_remove == ()
    planned = await plan("org/tiny", prune=True, **options)
    assert set(planned.to_remove) == small_files().keys() - {"config.json"}
    assert planned.to_dict()["plan"]["to_remove"] == list(planned.to_remove)  # type: ignore[index]
    assert (tmp_path / "README.md").exists()


async def test_what_is_complete_in_the_cache_waits_for_nobody(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(tiny_repo())
    asked = {"cache_dir": tmp_path, "endpoint": running.endpoint}
    await download("org/tiny", "config.json", **asked)  # type: ignore[arg-type]
    async with SharedCache(tmp_path, RepoRef("org/tiny")).lock():
        report = await download("org/tiny", "config.json", **asked)  # type: ignore[arg-type]
        assert [file.status for file in report.files] == ["reused"]
        with pytest.raises(BusyError):
            await download("org/tiny", "README.md", wait=0, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("where", ["cache_dir", "local_dir"])
async def test_who_waited_takes_the_commit_of_now_and_never_goes_back(
    where: str, hub: StartHub, tmp_path: Path
) -> None:
    repo = tiny_repo()
    running = await hub(repo)
    asked = {where: tmp_path, "endpoint": running.endpoint}
    other = (
        SharedCache(tmp_path, RepoRef("org/tiny")) if where == "cache_dir" else LocalDir(tmp_path)
    )
    waiting = anyio.Event()
    prepared: list[Prepared] = []

    async def late() -> None:
        ours = preparing("org/tiny", (), **asked)
        async with ours as preparation, AsyncExitStack() as stack:
            prepared.append(await preparation.prepare(stack, lambda _holder: waiting.set()))

    async with anyio.create_task_group() as group, other.lock():
        group.start_soon(late)
        await waiting.wait()
        newer = repo.commit({"config.json": b"{}"})
    assert prepared[0].plan.commit == prepared[0].listing.commit == newer
    assert [item.file.path for item in prepared[0].plan.files] == ["config.json"]
