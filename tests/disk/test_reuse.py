from __future__ import annotations

from pathlib import Path

import pytest

from hfdl_async.disk.calls import Calls
from hfdl_async.disk.hashing import hashing_limiter
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.reuse import candidates, find_elsewhere, find_in_cache, wanted
from tests.disk.faults import FaultyCalls, begin, pattern, remote, store

pytestmark = pytest.mark.anyio

DATA = pattern(300_000)


async def test_files_of_an_equal_size_are_read(tmp_path: Path) -> None:
    (tmp_path / "deep/er").mkdir(parents=True)
    (tmp_path / "deep/er/any name").write_bytes(DATA)
    (tmp_path / "wrong").write_bytes(bytes(len(DATA)))
    file = remote("x", DATA)
    found = await find_elsewhere(Calls(), [file], [tmp_path], limiter=hashing_limiter())
    assert found == {file.content_key: tmp_path / "deep/er/any name"}


async def test_a_shared_cache_of_links_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "blobs").mkdir()
    (tmp_path / "snapshots/c").mkdir(parents=True)
    (tmp_path / "blobs/abc").write_bytes(DATA)
    (tmp_path / "snapshots/c/x").symlink_to("../../blobs/abc")
    (tmp_path / "snapshots/c/dangling").symlink_to("../../blobs/gone")
    file = remote("x", DATA)
    read: list[int] = []
    found = await find_elsewhere(
        Calls(), [file], [tmp_path], limiter=hashing_limiter(), progress=read.append
    )
    assert found == {file.content_key: tmp_path / "blobs/abc"}
    assert read == [len(DATA)]


async def test_a_receipt_that_fits_spares_the_reading(tmp_path: Path) -> None:
    folder = LocalDir(tmp_path / "downloads/model")
    await begin(folder, {"a/x": DATA})
    await store(folder, {"a/x": DATA})
    await folder.close()
    file = remote("y", DATA)
    found = await find_elsewhere(
        Calls(),
        [file],
        [tmp_path / "downloads"],
        limiter=hashing_limiter(),
        progress=lambda _count: pytest.fail("read"),
    )
    assert found == {file.content_key: tmp_path / "downloads/model/a/x"}


async def test_what_cannot_be_read_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(DATA)
    calls = FaultyCalls(fail_at=1, error=5, only=("read",))
    found = await find_elsewhere(
        calls, [remote("x", DATA)], [tmp_path, tmp_path / "no"], limiter=hashing_limiter()
    )
    assert found == {}


async def test_empty_files_are_not_looked_for(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"")
    found = await find_elsewhere(Calls(), [remote("e", b"")], [tmp_path], limiter=hashing_limiter())
    assert found == {}


def test_a_search_can_stop_after_any_file(tmp_path: Path) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / name).write_bytes(b"of no wanted size")
    looked_at = candidates(Calls(), tmp_path, wanted([remote("x", DATA)]))
    assert next(looked_at) is None
    assert len(list(looked_at)) == 3


def test_blobs_are_found_by_name_and_size_in_any_repo_of_a_cache(tmp_path: Path) -> None:
    file = remote("x", DATA)
    assert file.digest is not None
    for repo, data in (("models--a", DATA[:-1]), ("datasets--b", DATA), ("blobs", DATA)):
        blob = tmp_path / repo / "blobs" / file.digest.hex
        blob.parent.mkdir(parents=True)
        blob.write_bytes(data)
    right = tmp_path / "datasets--b" / "blobs" / file.digest.hex
    assert find_in_cache(tmp_path, [file]) == {file.content_key: right}
    assert find_in_cache(tmp_path, [file], besides="datasets--b") == {}
    assert find_in_cache(tmp_path / "nowhere", [file]) == {}
