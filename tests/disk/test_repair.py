from __future__ import annotations

from pathlib import Path

import pytest

from hfdl_async.core.model import Action, PlannedFile
from hfdl_async.disk.localdir import LocalDir
from tests.disk.faults import begin, pattern, remote, store

pytestmark = pytest.mark.anyio

DATA = pattern(300_000)
FILE = remote("x", DATA)


async def proven(folder: LocalDir, damaged: Path) -> int:
    item = PlannedFile(FILE, Action.FETCH, repair_from=str(damaged))
    part = await folder.open(item)
    count = (await part.prove()).proven_bytes
    await part.discard()
    return count


async def test_good_cells_are_taken_over(tmp_path: Path) -> None:
    folder = LocalDir(tmp_path)
    await begin(folder, {"x": DATA})
    await store(folder, {"x": DATA})
    assert await proven(folder, tmp_path / "x") == len(DATA)
    await folder.close()


async def test_another_size_or_no_receipt_gives_nothing(tmp_path: Path) -> None:
    folder = LocalDir(tmp_path)
    await begin(folder, {"x": DATA})
    (tmp_path / "x").write_bytes(DATA)
    assert await proven(folder, tmp_path / "x") == 0
    await store(folder, {"x": DATA})
    (tmp_path / "x").write_bytes(DATA[:-1])
    assert await proven(folder, tmp_path / "x") == 0
    await folder.close()
