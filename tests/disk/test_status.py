from __future__ import annotations

import os
from pathlib import Path

import pytest

from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.status import read_status
from tests.disk.faults import COMMIT, FaultyCalls, begin, pattern, planned, remote, store

pytestmark = pytest.mark.anyio

BIG = pattern(300_000)
CONTENTS = {"a": b"12345", "b/c": b"123", "big": BIG}


async def _half_done(root: Path) -> None:
    folder = LocalDir(root)
    await begin(folder, CONTENTS)
    await store(folder, {"a": CONTENTS["a"], "b/c": CONTENTS["b/c"]})
    part = await folder.open(planned(remote("big", BIG)))
    await part.write(0, [BIG[:1000]])
    await part.checkpoint()
    await part.close()
    await folder.close()


async def test_says_what_is_complete_and_what_is_not(tmp_path: Path) -> None:
    await _half_done(tmp_path / "model")
    (tmp_path / "unrelated").mkdir()
    (tmp_path / "model/b/c").unlink()
    expected = {
        "path": str(tmp_path / "model"),
        "repo_id": "org/model",
        "repo_type": "model",
        "revision": "main",
        "commit": COMMIT,
        "complete": {"files": 1, "bytes": 5},
        "unfinished": [{"path": "big", "size_bytes": 300_000, "have_bytes": 1000}],
        "holder": None,
    }
    for base in (tmp_path, tmp_path / "model"):
        assert read_status(base).to_dict() == {"schema": 1, "folders": [expected]}


async def test_names_the_holder(tmp_path: Path) -> None:
    folder = LocalDir(tmp_path)
    async with folder.lock():
        (found,) = read_status(tmp_path).folders
        assert found.holder is not None
        assert found.holder.pid == os.getpid()


async def test_changes_nothing(tmp_path: Path) -> None:
    await _half_done(tmp_path)
    calls = FaultyCalls()
    read_status(tmp_path, calls=calls)
    assert set(calls.made) <= {"open", "read"}


@pytest.mark.parametrize("name", ["repo.json", "listing.json", "receipts.jsonl", "holder.json"])
@pytest.mark.parametrize("kind", ["garbage", "fifo", "folder", "newer"])
async def test_damaged_state_counts_as_none(name: str, kind: str, tmp_path: Path) -> None:
    await _half_done(tmp_path)
    path = tmp_path / STATE_FOLDER / name
    data = path.read_bytes() if path.exists() else b""
    path.unlink(missing_ok=True)
    if kind == "garbage":
        path.write_bytes(os.urandom(500))
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(data.replace(b'"version":1', b'"version":7').replace(b'",1]', b'",7]'))
    (found,) = read_status(tmp_path).folders
    assert found.to_dict()["path"] == str(tmp_path)


def test_a_folder_that_is_not_there_has_no_downloads(tmp_path: Path) -> None:
    assert read_status(tmp_path / "no").folders == ()
