from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from hfdl_async import Downloader, download, verify
from hfdl_async.core.events import Event
from hfdl_async.core.progress import Snapshot
from hfdl_async.errors import NotFoundError
from hfdl_async.serving import HostedRepo
from hfdl_async.testing.faults import Fault, ScriptedHub, StartHub, Status, without_digests

pytestmark = pytest.mark.anyio

FILES = {"a.txt": b"aaa", "b.txt": b"bbb", "c.txt": b"ccc"}


async def statuses(folder: Path, **options: object) -> dict[str, str]:
    report = await verify(folder, **options)  # type: ignore[arg-type]
    return {file.path: file.status for file in report.files}


def damage(path: Path) -> None:
    path.write_bytes(bytes(len(path.read_bytes())))


async def downloaded_without_digests(hub: StartHub, folder: Path) -> dict[str, Any]:
    """Download from a hub that publishes no digests; return how it is asked."""
    running = await hub(HostedRepo.from_files("org/one", FILES))
    running.faults.add(Fault("tree", without_digests()))
    asked: dict[str, Any] = {"endpoint": running.endpoint, "allow": ["unverified"]}
    await download("org/one", local_dir=folder, **asked)
    return asked


async def test_a_folder_of_nobody_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="holds nothing"):
        await verify(tmp_path, offline=True)


async def test_what_the_hub_publishes_counts_and_our_receipt_where_it_is_silent(
    hub: StartHub, tmp_path: Path
) -> None:
    asked = await downloaded_without_digests(hub, tmp_path)
    good = dict.fromkeys(FILES, "ok")
    assert await statuses(tmp_path, **asked) == good
    assert await statuses(tmp_path, offline=True) == good
    damage(tmp_path / "a.txt")
    assert await statuses(tmp_path, **asked) == {**good, "a.txt": "bad"}
    report = await verify(tmp_path, offline=True, allow=["unverified"])
    assert any("--allow unverified" in warning for warning in report.warnings)


@pytest.mark.parametrize("offline", [False, True])
async def test_files_that_the_repo_lost_do_not_keep_the_others_from_repair(
    offline: bool, hub: StartHub, tmp_path: Path
) -> None:
    repo = HostedRepo.from_files("org/one", FILES)
    running = await hub(repo)
    await download("org/one", local_dir=tmp_path, endpoint=running.endpoint)
    repo.commit({"a.txt": b"aaa", "b.txt": b"bbb"}, branch="main")
    await download("org/one", local_dir=tmp_path, endpoint=running.endpoint)
    damage(tmp_path / "a.txt")
    damage(tmp_path / "c.txt")
    repaired = await statuses(tmp_path, endpoint=running.endpoint, repair=True, offline=offline)
    assert repaired == {"a.txt": "repaired", "b.txt": "ok", "c.txt": "bad"}
    assert (tmp_path / "a.txt").read_bytes() == b"aaa"
    running.log.clear()
    again = await statuses(tmp_path, endpoint=running.endpoint, repair=True)
    assert again == {"a.txt": "ok", "b.txt": "ok", "c.txt": "bad"}
    assert not running.log.of("resolve")


class LastSnapshot:
    beat_seconds = 0.001

    def __init__(self) -> None:
        self.snapshot = Snapshot()

    def open(self, title: str) -> None:
        pass

    def draw(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        pass

    def close(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        self.snapshot = snapshot


@pytest.mark.parametrize("place", ["local_dir", "cache_dir"])
async def test_a_display_sees_the_bytes_that_are_read(
    hub: StartHub, tmp_path: Path, place: str
) -> None:
    files = {**FILES, "twin.txt": b"aaa"}
    running = await hub(HostedRepo.from_files("org/one", files))
    asked = {place: tmp_path, "endpoint": running.endpoint}
    await download("org/one", **asked)  # type: ignore[arg-type]
    display = LastSnapshot()
    async with Downloader() as downloader:
        target = tmp_path if place == "local_dir" else "org/one"
        options = {"endpoint": running.endpoint} if place == "local_dir" else asked
        await downloader.verify(target, display=display, **options)
    seen = display.snapshot
    size = 12 if place == "local_dir" else 9  # in a cache, twins are one blob
    assert (seen.bytes_done, seen.bytes_total) == (size, size)
    assert seen.files_total == 4


async def test_why_a_repair_failed_is_told(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(HostedRepo.from_files("org/one", FILES))
    await download("org/one", local_dir=tmp_path, endpoint=running.endpoint)
    damage(tmp_path / "a.txt")
    running.faults.add(Fault("resolve", Status(503)))
    report = await verify(tmp_path, endpoint=running.endpoint, repair=True, max_retries=0)
    assert report.exit_code == 6
    [warning] = [text for text in report.warnings if "repaired" in text]
    assert "a.txt" in warning


class TestInTheSharedCache:
    """Re-checking a repo by its name."""

    @pytest.fixture
    async def running(self, hub: StartHub, tmp_path: Path) -> ScriptedHub:
        running = await hub(HostedRepo.from_files("org/one", FILES))
        await download("org/one", cache_dir=tmp_path, endpoint=running.endpoint)
        running.log.clear()
        return running

    def snapshot(self, cache: Path) -> Path:
        [snapshot] = (cache / "models--org--one" / "snapshots").iterdir()
        return snapshot

    async def check(self, running: ScriptedHub, cache: Path, **more: object) -> dict[str, str]:
        asked = {"cache_dir": cache, "endpoint": running.endpoint, **more}
        report = await verify("org/one", **asked)  # type: ignore[arg-type]
        assert report.path == self.snapshot(cache)
        return {file.path: file.status for file in report.files}

    async def test_every_file_is_read(self, running: ScriptedHub, tmp_path: Path) -> None:
        assert await self.check(running, tmp_path) == dict.fromkeys(FILES, "ok")
        report = await verify("org/one", cache_dir=tmp_path, offline=True)
        assert report.bytes_checked == sum(map(len, FILES.values()))

    async def test_a_repo_that_is_not_there_cannot_be_checked(
        self, running: ScriptedHub, tmp_path: Path
    ) -> None:
        for repo, revision in (("org/two", None), ("org/one", "dev"), ("org/one", "d" * 40)):
            with pytest.raises(NotFoundError, match="has nothing of"):
                await verify(repo, revision=revision or "main", cache_dir=tmp_path)

    @pytest.mark.parametrize("offline", [False, True])
    @pytest.mark.parametrize("tree", [True, False])
    async def test_what_is_wrong_is_bad_and_what_leads_nowhere_is_missing(
        self, tree: bool, offline: bool, running: ScriptedHub, tmp_path: Path
    ) -> None:
        snapshot = self.snapshot(tmp_path)
        damage((snapshot / "a.txt").resolve())
        (snapshot / "b.txt").resolve().unlink()
        if not tree:
            shutil.rmtree(tmp_path / "models--org--one" / "trees")
            shutil.rmtree(tmp_path / "models--org--one" / ".hfdl")
        expected = {"a.txt": "bad", "b.txt": "missing", "c.txt": "ok"}
        assert await self.check(running, tmp_path, offline=offline) == expected
        if offline:
            assert list(running.log) == []

    async def test_a_name_that_leads_elsewhere_or_is_gone_is_missing(
        self, running: ScriptedHub, tmp_path: Path
    ) -> None:
        snapshot = self.snapshot(tmp_path)
        (snapshot / "a.txt").unlink()
        (snapshot / "a.txt").symlink_to((snapshot / "b.txt").readlink())
        (snapshot / "c.txt").unlink()
        expected = {"a.txt": "missing", "b.txt": "ok", "c.txt": "missing"}
        assert await self.check(running, tmp_path) == expected
        repaired = await self.check(running, tmp_path, repair=True)
        assert repaired == {"a.txt": "repaired", "b.txt": "ok", "c.txt": "repaired"}
        assert not running.log.of("resolve"), "only names were made"
        assert {path: (snapshot / path).read_bytes() for path in FILES} == FILES

    async def test_what_is_bad_is_fetched_again(self, running: ScriptedHub, tmp_path: Path) -> None:
        snapshot = self.snapshot(tmp_path)
        damage((snapshot / "a.txt").resolve())
        (snapshot / "b.txt").resolve().unlink()
        repaired = await self.check(running, tmp_path, repair=True)
        assert repaired == {"a.txt": "repaired", "b.txt": "repaired", "c.txt": "ok"}
        assert {entry.path for entry in running.log.of("resolve")} == {"a.txt", "b.txt"}
        assert {path: (snapshot / path).read_bytes() for path in FILES} == FILES

    async def test_a_snapshot_of_plain_files_is_read_where_readers_read_it(
        self, running: ScriptedHub, tmp_path: Path
    ) -> None:
        snapshot = self.snapshot(tmp_path)
        for path, data in FILES.items():  # and the blobs stay: that is what others leave
            (snapshot / path).unlink()
            (snapshot / path).write_bytes(data)
        (snapshot / "a.txt").write_bytes(b"bad")
        expected = {"a.txt": "bad", "b.txt": "ok", "c.txt": "ok"}
        assert await self.check(running, tmp_path) == expected


@pytest.mark.parametrize("offline", [True, False])
async def test_a_stray_file_in_a_snapshot_is_named_and_disturbs_nobody(
    offline: bool, hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(HostedRepo.from_files("org/one", FILES))
    asked = {"cache_dir": tmp_path, "endpoint": running.endpoint}
    report = await download("org/one", **asked)  # type: ignore[arg-type]
    (Path(report) / ".DS_Store").write_bytes(b"stray")
    checked = await verify("org/one", offline=offline, **asked)  # type: ignore[arg-type]
    assert checked.exit_code == 0
    assert {file.path for file in checked.files} == set(FILES)
    assert any(".DS_Store" in warning for warning in checked.warnings)


async def test_a_snapshot_that_is_not_whole_is_said_to_be(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(HostedRepo.from_files("org/one", FILES))
    asked = {"cache_dir": tmp_path, "endpoint": running.endpoint}
    await download("org/one", next(iter(FILES)), **asked)  # type: ignore[arg-type]
    checked = await verify("org/one", **asked)  # type: ignore[arg-type]
    assert checked.exit_code == 0
    assert any(f"1 of this commit's {len(FILES)} files" in text for text in checked.warnings)


async def test_what_a_repair_read_and_fetched_is_counted_apart(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(HostedRepo.from_files("org/one", FILES))
    await download("org/one", local_dir=tmp_path, endpoint=running.endpoint)
    (tmp_path / "a.txt").write_bytes(b"other")  # of another size: nothing of it need be read
    (tmp_path / "b.txt").unlink()
    report = await verify(tmp_path, endpoint=running.endpoint, repair=True)
    assert {file.status for file in report.files} == {"ok", "repaired"}
    assert (report.bytes_checked, report.bytes_fetched) == (3, 6)
    assert report.to_dict()["bytes"] == {"checked": 3, "fetched": 6}


async def test_bytes_count_as_read_also_where_no_digest_is_known(
    hub: StartHub, tmp_path: Path
) -> None:
    asked = await downloaded_without_digests(hub, tmp_path)
    report = await verify(tmp_path, **asked)
    assert report.bytes_checked == 9
