from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from blake3 import blake3

from hfdl_async.core.ledger import CELL_BYTES
from hfdl_async.disk.calls import Calls
from hfdl_async.disk.hashing import (
    SLICE_BYTES,
    ContentHasher,
    hashing_limiter,
    new_hasher,
    read_through,
)
from tests.disk.faults import pattern

pytestmark = pytest.mark.anyio


def test_git_hashes_the_size_first() -> None:
    hasher = new_hasher("git-sha1", 6)
    hasher.update(b"hello\n")
    assert hasher.hexdigest() == "ce013625030ba8dba906f756967f9e9ca394464a"  # git hash-object


async def test_a_whole_file_in_slices_with_its_cells(tmp_path: Path) -> None:
    data = pattern(SLICE_BYTES + CELL_BYTES + 5)
    (tmp_path / "x").write_bytes(data)
    hasher = ContentHasher(["sha256"], len(data), cells=True)
    fd = os.open(tmp_path / "x", os.O_RDONLY)
    steps: list[int] = []
    whole = await read_through(
        Calls(), fd, len(data), hasher.feed, limiter=hashing_limiter(), progress=steps.append
    )
    more = await read_through(
        Calls(), fd, len(data) + 1, lambda _data: None, limiter=hashing_limiter()
    )
    os.close(fd)
    assert whole
    assert not more
    assert sum(steps) == len(data)
    assert hasher.digest("sha256").hex == hashlib.sha256(data).hexdigest()
    assert hasher.cells() == tuple(
        blake3(data[start : start + CELL_BYTES]).hexdigest()
        for start in range(0, len(data), CELL_BYTES)
    )


def test_an_empty_file_has_no_cells() -> None:
    assert ContentHasher([], 0, cells=True).cells() == ()
