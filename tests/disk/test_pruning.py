from __future__ import annotations

import os
from pathlib import Path

import pytest

from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.disk.calls import Folder
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.pruning import Pruned
from hfdl_async.errors import StorageError
from tests.disk.faults import FaultyCalls, begin, final_names, remote, store

pytestmark = pytest.mark.anyio

CONTENTS = {
    "kept.txt": b"kept",
    "old.txt": b"old",
    "a/kept.txt": b"kept too",
    "a/b/c/old.txt": b"deep",
    "x/y/old.txt": b"deep as well",
}
KEPT = ["kept.txt", "a/kept.txt"]
OLD = ("a/b/c/old.txt", "old.txt", "x/y/old.txt")


async def filled(root: Path, calls: FaultyCalls | None = None) -> LocalDir:
    folder = LocalDir(root, calls=calls or FaultyCalls())
    await begin(folder, CONTENTS)
    assert set((await store(folder, CONTENTS)).values()) == {None}
    return folder


async def receipts_at(root: Path) -> set[str]:
    return set(await LocalDir(root).receipts())


def folders_below(root: Path) -> set[str]:
    found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_dir()}
    return {path for path in found if not path.startswith(STATE_FOLDER)}


async def test_files_receipts_and_emptied_folders_go(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    folder = await filled(tmp_path)
    assert await folder.prune(KEPT) == Pruned(removed=OLD)
    assert set(final_names(tmp_path)) == set(KEPT)
    assert folders_below(tmp_path) == {"a", "empty"}  # what was empty before is none of ours
    assert await receipts_at(tmp_path) == set(KEPT)
    assert await folder.prune(KEPT) == Pruned()
    await folder.close()


async def test_the_whole_folder_may_become_empty_and_stays(tmp_path: Path) -> None:
    folder = await filled(tmp_path)
    await folder.prune([])
    assert os.listdir(tmp_path) == [STATE_FOLDER]
    await folder.close()


async def test_what_somebody_changed_stays_and_is_not_ours_any_more(tmp_path: Path) -> None:
    folder = await filled(tmp_path)
    (tmp_path / "old.txt").write_bytes(b"mine")
    os.utime(tmp_path / "a/b/c/old.txt")
    (tmp_path / "x/y/notes").write_bytes(b"mine")
    pruned = await folder.prune(KEPT)
    assert pruned == Pruned(removed=("x/y/old.txt",), kept=("a/b/c/old.txt", "old.txt"))
    assert (tmp_path / "old.txt").read_bytes() == b"mine"
    assert (tmp_path / "x/y/notes").exists()
    assert await receipts_at(tmp_path) == set(KEPT)
    await folder.close()


async def test_a_receipt_without_a_file_is_dropped(tmp_path: Path) -> None:
    folder = await filled(tmp_path)
    (tmp_path / "old.txt").unlink()
    (tmp_path / "x/y/old.txt").unlink()
    (tmp_path / "x/y/old.txt").mkdir()
    assert await folder.prune(KEPT) == Pruned(removed=("a/b/c/old.txt",))
    assert (tmp_path / "x/y/old.txt").is_dir()
    assert await receipts_at(tmp_path) == set(KEPT)
    await folder.close()


async def test_nothing_is_removed_through_a_link(tmp_path: Path) -> None:
    root, outside = tmp_path / "d", tmp_path / "outside"
    folder = await filled(root)
    (root / "x").rename(outside)
    (root / "x").symlink_to(outside)
    (root / "old.txt").rename(tmp_path / "moved")
    (root / "old.txt").symlink_to(tmp_path / "moved")
    assert await folder.prune(KEPT) == Pruned(removed=("a/b/c/old.txt",))
    assert (outside / "y/old.txt").exists()
    assert (tmp_path / "moved").exists()
    assert (root / "x").is_symlink()
    await folder.close()


async def test_the_receipt_goes_last_so_that_the_next_run_ends_it(tmp_path: Path) -> None:
    calls = FaultyCalls(only=("unlink", "rename", "sync_folder"))
    folder = await filled(tmp_path, calls)
    calls.made.clear()
    await folder.prune(KEPT)
    changes = [name for name in calls.made if name in ("unlink", "sync_folder", "rename", "rmdir")]
    last_unlink = len(changes) - 1 - changes[::-1].index("unlink")
    assert changes.index("sync_folder") < changes.index("rename")
    assert last_unlink < changes.index("rename")
    await folder.close()


async def test_whichever_call_fails_the_next_run_ends_it(tmp_path: Path) -> None:
    only = ("unlink", "rename", "sync_folder", "rmdir", "write", "sync")
    for number in range(1, 60):
        root = tmp_path / f"{number}"
        folder = await filled(root)
        await folder.close()
        calls = FaultyCalls(fail_at=0, only=only, error=5, for_ever=True)
        folder = LocalDir(root, calls=calls)
        await begin(folder, {name: CONTENTS[name] for name in KEPT})
        calls.fail_at = calls.count + number
        failed = False
        try:
            pruned = await folder.prune(KEPT)
            failed = bool(pruned.failed)
        except StorageError:
            failed = True
        await folder.close()
        assert set(KEPT) <= set(final_names(root))
        again = LocalDir(root, calls=FaultyCalls())
        await begin(again, {name: CONTENTS[name] for name in KEPT})
        assert (await again.prune(KEPT)).failed == ()
        assert set(final_names(root)) == set(KEPT)
        assert await receipts_at(root) == set(KEPT)
        await again.close()
        if not failed and calls.count < calls.fail_at:
            break
    assert 8 < number < 59


async def test_without_begin_nothing_is_removed(tmp_path: Path) -> None:
    await (await filled(tmp_path)).close()
    folder = LocalDir(tmp_path)
    assert await folder.prune(KEPT) == Pruned(failed=OLD)
    assert set(final_names(tmp_path)) == set(CONTENTS)


class CaseBlind(FaultyCalls):
    """A file system on which the case of a name does not count, for one name."""

    def look(self, folder: Folder, name: str) -> os.stat_result:
        return super().look(folder, "readme.md" if name == "README.MD" else name)

    def unlink(self, folder: Folder, name: str) -> None:
        super().unlink(folder, "readme.md" if name == "README.MD" else name)


async def test_a_file_that_was_renamed_by_case_alone_is_not_removed(tmp_path: Path) -> None:
    folder = LocalDir(tmp_path)
    await begin(folder, {"README.MD": b"same"})
    await store(folder, {"README.MD": b"same"})
    await folder.close()
    (tmp_path / "README.MD").rename(tmp_path / "readme.md")  # what such a disk shows for both
    folder = LocalDir(tmp_path, calls=CaseBlind())
    await begin(folder, {"readme.md": b"same"})
    findings = await folder.survey([remote("readme.md", b"same")])
    await folder.adopt(findings, "1" * 40)
    assert await folder.prune(["readme.md"]) == Pruned()
    assert final_names(tmp_path) == {"readme.md": b"same"}
    assert await receipts_at(tmp_path) == {"readme.md"}
    await folder.close()
