from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from hfdl_async.disk.calls import Calls
from hfdl_async.disk.hashing import SLICE_BYTES, hashing_limiter
from hfdl_async.disk.reading import opener_at, read_content
from hfdl_async.errors import StorageError
from tests.disk.faults import descriptors_balanced, pattern

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", [0, 1000, SLICE_BYTES + 1])
async def test_reads_a_file_of_any_size(size: int, tmp_path: Path) -> None:
    data = pattern(size)
    (tmp_path / "a").mkdir()
    (tmp_path / "a/x").write_bytes(data)
    root = Calls().open_root(str(tmp_path))
    opener = opener_at(Calls(), root, "a/x")
    with descriptors_balanced():
        content = await read_content(
            Calls(), "x", opener, ["sha256", "git-sha1"], limiter=hashing_limiter()
        )
    assert content.steady
    assert content.found.st_size == size
    assert content.digests["sha256"].hex == hashlib.sha256(data).hexdigest()
    Calls().close_folder(root)


async def test_a_file_that_changes_while_it_is_read_is_not_steady(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(pattern(SLICE_BYTES + 1))

    def touch(_count: int) -> None:
        os.utime(path, ns=(1, 1))

    content = await read_content(
        Calls(),
        "x",
        lambda: os.open(path, os.O_RDONLY),
        ["sha256"],
        limiter=hashing_limiter(),
        progress=touch,
    )
    assert not content.steady


async def test_a_file_that_is_gone_is_a_storage_error(tmp_path: Path) -> None:
    root = Calls().open_root(str(tmp_path))
    with pytest.raises(StorageError, match="/d/x"):
        await read_content(
            Calls(), "/d/x", opener_at(Calls(), root, "x"), [], limiter=hashing_limiter()
        )
    Calls().close_folder(root)
