from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hfdl_async.core.model import ByteRange, ListedFile, Listing, RemoteFile, RepoRef
from hfdl_async.core.names import CACHE_STATE_FOLDER, STATE_FOLDER
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.sharedcache import SharedCache
from hfdl_async.engine.ports import Sink, Source
from hfdl_async.net.hub import Hub
from hfdl_async.net.source import HubSource
from hfdl_async.net.transport import Transport
from hfdl_async.serving import HostedRepo
from hfdl_async.testing import conformance
from hfdl_async.testing.conformance import (
    SINK_CHECKS,
    SINK_CONTENTS,
    SOURCE_CHECKS,
    SinkCheck,
    SinkWorld,
    SourceCheck,
    SourceWorld,
    sink_file,
)
from hfdl_async.testing.fakes import (
    ManualClock,
    MemorySink,
    MemorySource,
    MemoryStore,
    remote_file,
)
from hfdl_async.testing.faults import StartHub

pytestmark = pytest.mark.anyio

CONTENT = hashlib.shake_256(b"conformance").digest(150_000)
COMMIT = "c" * 40

# -- sources ---------------------------------------------------------------------------------


@pytest.mark.parametrize("check", SOURCE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("backwards", [False, True])
async def test_the_source_in_memory_conforms(check: SourceCheck, backwards: bool) -> None:
    source = MemorySource({"f": CONTENT}, chunk_bytes=999, backwards=backwards)
    await check(SourceWorld(source, remote_file("f", CONTENT), CONTENT))
    assert source.leases == 0


@pytest.fixture(params=[False, True], ids=["sessions", "lane"])
async def transport(request: pytest.FixtureRequest) -> AsyncIterator[Transport]:
    async with Transport(ManualClock(), lane=request.param) as transport:
        yield transport


@pytest.mark.parametrize("check", SOURCE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("path", ["large.bin", "in-git.json"])
@pytest.mark.parametrize("chunk_bytes", [4096, None])
async def test_the_source_of_a_hub_conforms(
    check: SourceCheck, path: str, chunk_bytes: int | None, hub: StartHub, transport: Transport
) -> None:
    content = CONTENT if path == "large.bin" else CONTENT[:2000]
    repo = HostedRepo.from_files("org/name", {path: content}, lfs_threshold_bytes=10_000)
    server = await hub(repo)
    client = Hub(transport, RepoRef("org/name", endpoint=server.endpoint), token=None)
    _, commit = await client.pin()
    [listed] = (await client.listing(commit)).files
    file = RemoteFile(listed.path, len(content), listed.digest)
    source = HubSource(client, commit, chunk_bytes=chunk_bytes)
    await check(SourceWorld(source, file, content))
    assert source.leased == 0


# -- sinks -----------------------------------------------------------------------------------


@dataclass
class MemoryWorld:
    store: MemoryStore = field(default_factory=MemoryStore)
    inline: bool = False

    async def arrive(self) -> Sink:
        return MemorySink(self.store, hashes_inline=self.inline)

    def published(self, path: str) -> bytes | None:
        return self.store.files.get(path)

    def damage(self, file: RemoteFile, offset: int) -> None:
        [kept] = self.store.parts.values()
        assert len(kept.data) == file.size_bytes
        kept.data[offset] ^= 1


@pytest.mark.parametrize("check", SINK_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("inline", [False, True])
async def test_the_sink_in_memory_conforms(check: SinkCheck, inline: bool) -> None:
    await check(MemoryWorld(inline=inline))


@dataclass
class FolderWorld:
    root: Path
    arrived: list[LocalDir] = field(default_factory=list)

    async def arrive(self) -> Sink:
        files = [sink_file(path) for path in SINK_CONTENTS]
        listed = tuple(ListedFile(file.path, file.size_bytes, file.digest) for file in files)
        folder = LocalDir(self.root)
        self.arrived.append(folder)
        await folder.begin(RepoRef("org/name"), Listing(COMMIT, listed), files)
        return folder

    def published(self, path: str) -> bytes | None:
        final = self.root / path
        return final.read_bytes() if final.exists() else None

    def damage(self, file: RemoteFile, offset: int) -> None:
        parts = (self.root / STATE_FOLDER / "parts").iterdir()
        [part] = [path for path in parts if path.stat().st_size == file.size_bytes]
        data = bytearray(part.read_bytes())
        data[offset] ^= 1
        part.write_bytes(data)


@pytest.mark.parametrize("check", SINK_CHECKS, ids=lambda check: check.__name__)
async def test_a_folder_conforms(check: SinkCheck, tmp_path: Path) -> None:
    world = FolderWorld(tmp_path / "name")
    await check(world)
    for folder in world.arrived:
        await folder.close()


@dataclass
class CacheWorld:
    cache: Path
    links: bool
    arrived: list[SharedCache] = field(default_factory=list)

    async def arrive(self) -> Sink:
        for earlier in self.arrived:
            await earlier.close()  # the locks of a process end with it
        files = [sink_file(path) for path in SINK_CONTENTS]
        listed = tuple(ListedFile(file.path, file.size_bytes, file.digest) for file in files)
        sink = SharedCache(self.cache, RepoRef("org/name"), links=self.links)
        self.arrived.append(sink)
        sink.pin(COMMIT)
        await sink.begin(RepoRef("org/name"), Listing(COMMIT, listed), files)
        return sink

    def published(self, path: str) -> bytes | None:
        final = self.arrived[-1].path / path
        assert final.is_symlink() == (self.links and os.path.lexists(final))
        return final.read_bytes() if os.path.lexists(final) else None

    def damage(self, file: RemoteFile, offset: int) -> None:
        parts = (self.cache / "models--org--name" / CACHE_STATE_FOLDER / "parts").iterdir()
        [part] = [path for path in parts if path.stat().st_size == file.size_bytes]
        data = bytearray(part.read_bytes())
        data[offset] ^= 1
        part.write_bytes(data)


@pytest.mark.parametrize("check", SINK_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
async def test_a_shared_cache_conforms(check: SinkCheck, links: bool, tmp_path: Path) -> None:
    world = CacheWorld(tmp_path / "hub", links)
    await check(world)
    for sink in world.arrived:
        await sink.close()


def test_every_check_is_in_its_list() -> None:
    checks = {
        name
        for name, thing in vars(conformance).items()
        if getattr(thing, "__module__", "") == conformance.__name__
        and "world" in getattr(thing, "__annotations__", {})
        and not name.startswith("_")
    }
    assert checks == {check.__name__ for check in (*SOURCE_CHECKS, *SINK_CHECKS)}


# -- the suites can fail ---------------------------------------------------------------------


class Shifted(MemorySource):
    """Sends every byte from one place too far."""

    def open(  # type: ignore[override]
        self, file: RemoteFile, span: ByteRange, *, whole: bool = False, fresh: bool = False
    ) -> object:
        return super().open(file, ByteRange(span.start + 1, span.stop), whole=whole, fresh=fresh)


async def test_a_source_that_brings_something_else_fails() -> None:
    source: Source = Shifted({"f": CONTENT}, chunk_bytes=999)  # type: ignore[assignment]
    world = SourceWorld(source, remote_file("f", CONTENT), CONTENT)
    with pytest.raises(AssertionError):
        await conformance.brings_exactly_what_was_asked_for(world)


def forgetful(world: MemoryWorld) -> SinkWorld:
    """Return a world whose kills lose every claim."""

    async def arrive() -> Sink:
        world.store.parts.clear()
        return MemorySink(world.store)

    world.arrive = arrive  # type: ignore[method-assign]
    return world


async def test_a_sink_that_loses_claims_fails() -> None:
    with pytest.raises(AssertionError):
        await conformance.a_claim_survives_a_kill_and_is_never_more_than_the_truth(
            forgetful(MemoryWorld())
        )


def undamaged(world: MemoryWorld) -> SinkWorld:
    """Return a world where damage goes unnoticed."""
    world.damage = lambda file, offset: None  # type: ignore[method-assign]
    return world


async def test_a_sink_that_believes_damaged_claims_fails() -> None:
    with pytest.raises(AssertionError):
        await conformance.a_damaged_claim_does_not_count(undamaged(MemoryWorld()))
