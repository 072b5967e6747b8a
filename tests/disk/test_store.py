from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from hfdl_async.core.finding import Found
from hfdl_async.core.model import Action, PlannedFile, RemoteFile
from hfdl_async.disk.calls import Calls
from hfdl_async.disk.folder import open_for_writing
from hfdl_async.disk.home import Home
from hfdl_async.disk.memorypart import IN_MEMORY_BYTES, MemoryPart
from hfdl_async.disk.partfile import PartFile
from hfdl_async.disk.receipts import Receipts
from hfdl_async.disk.store import Store
from tests.disk.faults import (
    COMMIT,
    FaultyCalls,
    descriptors_balanced,
    fetch,
    pattern,
    planned,
    remote,
    store,
)

pytestmark = pytest.mark.anyio

DATA = pattern(300_000)
STATE = ".state"


class Renaming(Store):
    """A store whose content lies under other names than the files have."""

    follows_links = True

    def name_of(self, file: RemoteFile) -> str:
        assert file.digest is not None
        return f"by digest/{file.digest.hex}"


def plain(root: Path, calls: Calls | None = None) -> Store:
    made = Store(Home(str(root), STATE), calls=calls)
    made.pin(COMMIT)
    return made


def renaming(root: Path, calls: Calls | None = None) -> Renaming:
    made = Renaming(Home(str(root), STATE), calls=calls)
    made.pin(COMMIT)
    return made


def names(root: Path) -> list[str]:
    """Return the names of the files that are not ours."""
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in found if path.parts[0] != STATE)


async def test_answers_go_by_path_and_receipts_by_the_name_below_the_root(tmp_path: Path) -> None:
    folder, file = renaming(tmp_path), remote("a/x", DATA)
    assert await store(folder, {"a/x": DATA, "y": b"y"}) == {"a/x": None, "y": None}
    assert names(tmp_path) == sorted(folder.name_of(remote("", data)) for data in (DATA, b"y"))
    assert folder.place_of(file) == tmp_path / folder.name_of(file)
    assert set(await folder.receipts()) == set(names(tmp_path))
    found = await folder.survey([file])
    assert list(found) == ["a/x"]
    assert found["a/x"].state is Found.FITS
    await folder.close()


async def test_files_with_one_name_have_one_finding(tmp_path: Path) -> None:
    calls = FaultyCalls()
    folder = renaming(tmp_path, calls)
    await store(folder, {"x": DATA})
    await folder.close()
    (tmp_path / STATE / "receipts.jsonl").unlink()
    calls.made.clear()
    files = [remote(path, DATA) for path in ("x", "a/b", "c")]
    found = await renaming(tmp_path, calls).survey(files)
    assert list(found) == ["x", "a/b", "c"]
    assert {finding.state for finding in found.values()} == {Found.RIGHT}
    assert calls.made.count("read") == 1, "the content is read once"


async def test_a_copy_within_the_repo_means_where_the_content_lies(tmp_path: Path) -> None:
    folder = plain(tmp_path)
    calls: list[int] = []
    await store(folder, {"x": DATA})
    item = PlannedFile(remote("a/y", DATA), Action.COPY, copy_of="x")
    await folder.copy(item, calls.append)
    assert names(tmp_path) == ["a/y", "x"]
    assert sum(calls) == len(DATA)
    await folder.close()


async def test_small_files_are_held_in_memory_and_large_ones_are_not(tmp_path: Path) -> None:
    folder = plain(tmp_path)
    small = await folder.open(planned(remote("s", bytes(IN_MEMORY_BYTES))))
    large = await folder.open(planned(remote("l", bytes(IN_MEMORY_BYTES + 1))))
    assert isinstance(small, MemoryPart)
    assert isinstance(large, PartFile)
    await large.close()
    await folder.close()


async def test_what_was_proven_is_recorded_for_the_commit_that_needs_it(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DATA)
    folder, file = plain(tmp_path), remote("x", DATA)
    found = await folder.survey([file])
    assert found["x"].state is Found.RIGHT
    await folder.adopt(found, "d" * 40)
    [receipt] = (await plain(tmp_path).receipts()).values()
    assert (receipt.path, receipt.commit) == ("x", "d" * 40)
    calls = FaultyCalls()
    await plain(tmp_path, calls).adopt(await folder.survey([file]), COMMIT)
    assert calls.made == [], "there is nothing new to write"
    await folder.close()


async def test_good_cells_are_taken_over_through_a_link_only_where_links_are_followed(
    tmp_path: Path,
) -> None:
    payload = tmp_path / "payload"
    payload.write_bytes(DATA)
    folder = renaming(tmp_path / "r")
    await store(folder, {"x": DATA})
    blob = folder.place_of(remote("x", DATA))
    blob.unlink()
    blob.symlink_to(payload)
    item = replace(planned(remote("x", DATA)), repair_from=str(blob))
    part = await folder.open(item)
    assert (await part.prove()).proven_bytes == len(DATA)
    await part.close()
    await folder.close()


async def test_leaving_the_lock_lets_go_of_the_folders(tmp_path: Path) -> None:
    folder = plain(tmp_path)
    with descriptors_balanced():
        async with folder.lock(wait_seconds=0):
            await store(folder, {"x": DATA})
        await folder.close()


async def test_two_tasks_that_open_the_folders_at_once_leave_none_open(tmp_path: Path) -> None:
    folder = plain(tmp_path)
    with descriptors_balanced():
        async with anyio.create_task_group() as group:
            for number in range(4):
                group.start_soon(folder.open, planned(remote(f"{number}", b"")))
        await folder.close()


async def test_a_group_that_was_begun_is_finished_when_the_caller_is_cancelled(
    tmp_path: Path,
) -> None:
    folder = plain(tmp_path)
    part = await fetch(folder, "x", DATA)
    with anyio.CancelScope() as scope:
        scope.cancel()
        assert await folder.publish([part]) == {"x": None}
    assert names(tmp_path) == ["x"]
    assert list(await plain(tmp_path).receipts()) == ["x"]
    await folder.close()


async def test_receipts_are_read_again_by_each_survey(tmp_path: Path) -> None:
    folder, file = plain(tmp_path), remote("x", DATA)
    assert (await folder.survey([file]))["x"].state is Found.ABSENT
    other = plain(tmp_path)
    await store(other, {"x": DATA})
    await other.close()
    assert (await folder.survey([file]))["x"].state is Found.FITS
    folders = open_for_writing(Calls(), Home(str(tmp_path), STATE), lambda _sentence: None)
    receipts = Receipts(Calls())
    receipts.load(folders.state)
    assert os.listdir(folders.parts.path) == []
    assert list(receipts.by_path) == ["x"]
    folders.close(Calls())
