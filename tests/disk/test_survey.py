from __future__ import annotations

import errno
import os
import time
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest

from hfdl_async.core.filetable import FileTable, remote_files
from hfdl_async.core.finding import FITS, Finding, Found
from hfdl_async.core.model import RemoteFile
from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.disk import survey as survey_module
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.partfile import PartFile
from hfdl_async.disk.survey import LOOK_FILES, LOOKS_AT_ONCE, Survey
from hfdl_async.errors import StorageError
from tests.disk.faults import COMMIT, FaultyCalls, begin, pattern, planned, remote, store

pytestmark = pytest.mark.anyio

DATA, OLDER = pattern(300_000, 1), pattern(300_000, 2)
FILE = remote("d/x", DATA)


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[LocalDir]:
    made = LocalDir(tmp_path, calls=FaultyCalls())
    await begin(made, {"d/x": DATA})
    yield made
    await made.close()


async def find(folder: LocalDir, *, verify: bool = False) -> Finding:
    return (await folder.survey([FILE], verify=verify))["d/x"]


def rewrite(path: Path, data: bytes) -> None:
    """Change the content and set the modification time back."""
    stamps = path.stat()
    with path.open("r+b") as file:
        file.truncate(len(data))
        file.write(data)
    os.utime(path, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))


async def test_nothing_there(folder: LocalDir) -> None:
    assert await find(folder) == Finding(Found.ABSENT)


async def test_ours_and_untouched_is_not_read(folder: LocalDir) -> None:
    await store(folder, {"d/x": DATA})
    calls = folder._calls
    assert isinstance(calls, FaultyCalls)
    calls.made.clear()
    assert (await find(folder)).state is Found.FITS
    reads = calls.made.count("read")
    found = await find(folder, verify=True)
    assert found.state is Found.FITS
    assert found.found == FILE.digest
    assert calls.made.count("read") > 2 * reads


async def test_touched_but_right_is_adopted(folder: LocalDir) -> None:
    await store(folder, {"d/x": DATA})
    os.utime(folder.path / "d/x")
    finding = await find(folder)
    assert finding.state is Found.RIGHT
    assert finding.receipt is not None
    assert len(finding.receipt.cells) == 1


async def test_right_without_a_receipt_is_adopted(folder: LocalDir) -> None:
    (folder.path / "d").mkdir()
    (folder.path / "d/x").write_bytes(DATA)
    assert (await find(folder)).state is Found.RIGHT


@pytest.mark.parametrize("data", [OLDER, OLDER[:5]])
async def test_not_ours_and_different(data: bytes, folder: LocalDir) -> None:
    (folder.path / "d").mkdir()
    (folder.path / "d/x").write_bytes(data)
    assert (await find(folder)).state is Found.FOREIGN


@pytest.mark.parametrize("touched", [False, True])
@pytest.mark.parametrize("data", [OLDER, OLDER[:5]])
async def test_of_an_older_commit(data: bytes, touched: bool, folder: LocalDir) -> None:
    await store(folder, {"d/x": data})
    if touched:
        os.utime(folder.path / "d/x")
    assert (await find(folder)).state is Found.OLDER


@pytest.mark.parametrize("stored", [DATA, OLDER])
async def test_rotten_when_size_and_time_are_as_recorded(stored: bytes, folder: LocalDir) -> None:
    await store(folder, {"d/x": stored})
    rewrite(folder.path / "d/x", pattern(300_000, 3))
    finding = await find(folder)
    assert finding.state is Found.ROTTEN
    assert finding.receipt is not None


@pytest.mark.parametrize("data", [pattern(300_000, 3), b"mine"])
async def test_changed_by_somebody(data: bytes, folder: LocalDir) -> None:
    await store(folder, {"d/x": DATA})
    (folder.path / "d/x").write_bytes(data)
    os.utime(folder.path / "d/x", ns=(1, 1))
    assert (await find(folder)).state is Found.CHANGED


async def test_size_alone_decides_without_reading(folder: LocalDir) -> None:
    (folder.path / "d").mkdir()
    (folder.path / "d/x").write_bytes(DATA[:-1])
    (folder.path / "d/x").chmod(0)
    finding = await find(folder, verify=True)
    assert finding.state is Found.FOREIGN
    assert finding.found is None


async def test_a_link_and_things_in_the_way(folder: LocalDir) -> None:
    (folder.path / "d").mkdir()
    (folder.path / "d/x").symlink_to("nowhere")
    assert (await find(folder)).state is Found.LINK
    (folder.path / "d/x").unlink()
    (folder.path / "d/x").mkdir()
    assert await find(folder) == Finding(Found.IN_THE_WAY, blocker="d/x")
    (folder.path / "d/x").rmdir()
    os.mkfifo(folder.path / "d/x")
    assert (await find(folder)).state is Found.IN_THE_WAY
    (folder.path / "d/x").unlink()
    (folder.path / "d").rmdir()
    (folder.path / "d").write_bytes(b"a file")
    assert await find(folder) == Finding(Found.IN_THE_WAY, blocker="d")


async def test_progress_counts_files_a_batch_at_a_time(folder: LocalDir) -> None:
    files = [remote(str(number), b"") for number in range(LOOK_FILES + 10)]
    counts: list[int] = []
    await folder.survey(files, progress=counts.append)
    assert len(counts) == 2
    assert counts[0] < counts[1] == len(files)


async def test_bytes_are_counted_as_they_are_read(folder: LocalDir) -> None:
    await store(folder, {"d/x": DATA})
    counts: list[int] = []
    await folder.survey([FILE], on_read=counts.append)
    assert counts == []  # a receipt covers it
    await folder.survey([FILE], verify=True, on_read=counts.append)
    assert sum(counts) == len(DATA)


async def test_a_part_takes_up_space_before_it_claims_anything(folder: LocalDir) -> None:
    part = await folder.open(planned(FILE))
    finding = await find(folder)
    assert finding.have_bytes == 0
    assert 0 <= finding.part_bytes <= len(DATA) + 8192
    assert isinstance(part, PartFile)
    await part.write(0, [DATA])
    await part.checkpoint()
    finding = await find(folder)
    assert finding.have_bytes == len(DATA)
    assert finding.part_bytes >= len(DATA)
    await part.close()


async def test_without_a_digest_a_receipt_speaks_for_its_commit(folder: LocalDir) -> None:
    bare = RemoteFile("d/bare", 5, None)
    part = await folder.open(planned(bare))
    await part.prove()
    await part.write(0, [b"hello"])
    assert await folder.publish([part]) == {"d/bare": None}

    async def found(commit: str | None, *, verify: bool = False) -> Found:
        return (await folder.survey([bare], verify=verify, commit=commit))["d/bare"].state

    assert await found(COMMIT) is Found.FITS
    assert await found(COMMIT, verify=True) is Found.FITS
    assert await found(None) is Found.FITS
    assert await found("d" * 40) is Found.OLDER


async def test_a_disk_that_cannot_list_the_parts_is_a_storage_error(
    folder: LocalDir, tmp_path: Path
) -> None:
    counting = FaultyCalls(only=("open",))
    await LocalDir(tmp_path, calls=counting).survey([FILE])
    faulty = FaultyCalls(fail_at=counting.count, error=errno.EIO, only=("open",))
    with pytest.raises(StorageError, match=r"parts: the disk reported an I/O error"):
        await LocalDir(tmp_path, calls=faulty).survey([FILE])


async def test_a_part_that_is_finished_while_we_look_is_none(
    folder: LocalDir, tmp_path: Path
) -> None:
    part = await folder.open(planned(FILE))
    await part.write(0, [DATA[:1000]])
    await part.checkpoint()
    assert (await find(folder)).have_bytes == 1000

    class Racing(FaultyCalls):
        def names_in(self, folder: Folder) -> list[str]:
            names = super().names_in(folder)
            for path in (tmp_path / STATE_FOLDER / "parts").glob("*.part"):
                path.unlink()
            return names

    found = await LocalDir(tmp_path, calls=Racing()).survey([FILE])
    assert found["d/x"] == Finding(Found.ABSENT)
    await part.discard()


class CountingCalls(FaultyCalls):
    """Counts looks at files and openings of folders."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = self.openings = 0

    def look(self, folder: Folder, name: str) -> os.stat_result:
        self.looks += 1
        return super().look(folder, name)

    def open_folder(self, parent: Folder, name: str, **options: Any) -> Folder:
        self.openings += 1
        return super().open_folder(parent, name, **options)


@pytest.mark.parametrize("count", [10, 100])
async def test_a_file_that_is_complete_costs_one_look_and_its_folder_one_opening(
    count: int, tmp_path: Path
) -> None:
    contents = {f"d{number % 2}/{number}": b"%d" % number for number in range(count)}
    folder = LocalDir(tmp_path, calls=FaultyCalls())
    await begin(folder, contents)
    await store(folder, contents)
    await folder.close()
    calls = CountingCalls()
    again = LocalDir(tmp_path, calls=calls)
    files = [remote(path, data) for path, data in contents.items()]
    found = await again.survey(files)
    assert {finding.state for finding in found.values()} == {Found.FITS}
    assert calls.looks <= count + 5
    assert calls.openings <= 2 + 5  # two folders, and our own


async def test_in_a_folder_that_is_not_there_nothing_is_looked_for(tmp_path: Path) -> None:
    calls = CountingCalls()
    files = [remote(f"d/{number}", b"") for number in range(1000)]
    found = await LocalDir(tmp_path, calls=calls).survey(files)
    assert {finding.state for finding in found.values()} == {Found.ABSENT}
    assert calls.looks + calls.openings <= 5


class Watched(Survey):
    """Counts the hops that are under way at once; each takes until the others had their turn."""

    busy = most = 0

    def _look(self, *arguments: Any) -> Any:
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            time.sleep(0.02)
            return super()._look(*arguments)
        finally:
            self.busy -= 1


@pytest.mark.parametrize(("busy_share", "at_once"), [(1.0, 1), (0.1, LOOKS_AT_ONCE)])
async def test_several_look_at_once_only_where_looking_is_waiting(
    busy_share: float, at_once: int, tmp_path: Path
) -> None:
    calls, clock = Calls(), count()

    def spent() -> tuple[float, float]:
        now = next(clock)
        return now, now * busy_share

    root = calls.open_root(str(tmp_path))
    try:
        limiter = anyio.CapacityLimiter(16)
        survey = Watched(
            calls, root, None, {}, COMMIT, follow=False, disk=limiter, hashing=limiter, spent=spent
        )
        files = [remote(str(number), b"") for number in range(6 * LOOK_FILES)]
        await survey.look_at(files, verify=False, progress=None)
    finally:
        calls.close_folder(root)
    assert survey.most == at_once


async def test_nothing_is_made_of_a_file_whose_receipt_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {f"d/{number}": b"%d" % number for number in range(50)}
    folder = LocalDir(tmp_path)
    await begin(folder, contents)
    await store(folder, contents)
    await folder.close()
    files = remote_files([remote(path, data) for path, data in contents.items()])

    def refuse(*arguments: object) -> RemoteFile:
        raise AssertionError(arguments)

    monkeypatch.setattr(FileTable, "remote", refuse)
    monkeypatch.setattr(survey_module, "unpack", refuse)
    found = await LocalDir(tmp_path).survey(files)
    assert all(finding is FITS for finding in found.values())
