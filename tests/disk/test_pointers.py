from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hfdl_async.core.hubcache import blob_name, pointer_target
from hfdl_async.core.model import RemoteFile
from hfdl_async.disk.calls import Calls
from hfdl_async.disk.folder import Folders, open_for_writing
from hfdl_async.disk.home import Home
from hfdl_async.disk.pointers import Pointer, look_at, make
from hfdl_async.errors import StorageError, UnsafeError
from tests.disk.faults import ALTERNATIVES, COMMIT, FaultyCalls, descriptors_balanced, remote

FILES = [remote(path, path.encode()) for path in ("a", "b/c", "b/d", "b/e/f")]


@contextmanager
def folders_at(root: Path, calls: Calls | None = None) -> Iterator[tuple[Calls, Folders]]:
    """Give the open folders of a repo whose blobs are all there."""
    (root / "blobs").mkdir(parents=True, exist_ok=True)
    for file in FILES:
        (root / blob_name(file)).write_bytes(file.path.encode())
    calls = calls or Calls()
    with descriptors_balanced():
        folders = open_for_writing(calls, Home.of_cache(root), lambda _sentence: None)
        try:
            yield calls, folders
        finally:
            folders.close(calls)


def at(root: Path, file: RemoteFile) -> Path:
    return root / "snapshots" / COMMIT / file.path


@pytest.mark.parametrize("features", ALTERNATIVES.values(), ids=ALTERNATIVES)
def test_links_are_relative_and_of_the_right_depth(features: object, tmp_path: Path) -> None:
    with folders_at(tmp_path / "r", FaultyCalls(features=features)) as (calls, folders):  # type: ignore[arg-type]
        assert look_at(calls, folders.root, FILES, COMMIT) == dict.fromkeys(
            (file.path for file in FILES), Pointer.MISSING
        )
        assert make(calls, folders, FILES, COMMIT) == {}
        assert set(look_at(calls, folders.root, FILES, COMMIT).values()) == {Pointer.LINK}
    (tmp_path / "r").rename(tmp_path / "moved")
    for file in FILES:
        link = at(tmp_path / "moved", file)
        assert os.readlink(link) == pointer_target(file)
        assert link.read_bytes() == file.path.encode()
    assert os.readlink(at(tmp_path / "moved", FILES[0])).startswith("../../blobs/")


def test_an_equal_link_is_kept(tmp_path: Path) -> None:
    with folders_at(tmp_path) as (calls, folders):
        make(calls, folders, FILES, COMMIT)
        before = [at(tmp_path, file).lstat().st_ino for file in FILES]
        assert make(calls, folders, FILES, COMMIT) == {}
        assert [at(tmp_path, file).lstat().st_ino for file in FILES] == before


@pytest.mark.parametrize("kind", ["another link", "a dangling link", "a file", "a fifo"])
def test_what_else_is_there_is_replaced_in_one_step(kind: str, tmp_path: Path) -> None:
    [file, *_], precious = FILES, tmp_path / "precious"
    precious.write_bytes(b"precious")
    calls = FaultyCalls()
    with folders_at(tmp_path / "r", calls) as (_, folders):
        place = at(tmp_path / "r", file)
        place.parent.mkdir(parents=True)
        if kind == "a fifo":
            os.mkfifo(place)
        elif kind == "a file":
            place.write_bytes(b"other")
        else:
            place.symlink_to(precious if kind == "another link" else "../nowhere")
        [what] = look_at(calls, folders.root, [file], COMMIT).values()
        assert what is (Pointer.CONTENT if kind == "a file" else Pointer.MISSING)
        calls.made.clear()
        assert make(calls, folders, [file], COMMIT) == {}
        assert "unlink" not in calls.made, "there was an instant without a name"
        assert calls.made.count("rename") == 1
        assert os.listdir(place.parent) == ["a"]
    assert os.readlink(place) == pointer_target(file)
    assert precious.read_bytes() == b"precious"
    assert os.listdir(tmp_path / "r" / ".hfdl" / "parts") == []


def test_a_folder_in_the_way_is_named_and_keeps_only_its_file_back(tmp_path: Path) -> None:
    with folders_at(tmp_path) as (calls, folders):
        at(tmp_path, FILES[1]).mkdir(parents=True)
        found = look_at(calls, folders.root, FILES, COMMIT)
        assert found["b/c"] is Pointer.BLOCKED
        assert found["b/d"] is Pointer.MISSING
        failed = make(calls, folders, FILES, COMMIT)
        assert list(failed) == ["b/c"]
        assert isinstance(failed["b/c"], StorageError)
        assert "b/c: a folder is in the way" in failed["b/c"].message
        assert os.listdir(folders.parts.path) == []
    assert at(tmp_path, FILES[2]).read_bytes() == b"b/d"


def test_a_file_where_a_folder_goes_is_in_the_way(tmp_path: Path) -> None:
    with folders_at(tmp_path) as (calls, folders):
        at(tmp_path, FILES[0]).parent.mkdir(parents=True)
        (at(tmp_path, FILES[0]).parent / "b").write_bytes(b"")
        found = look_at(calls, folders.root, FILES, COMMIT)
        assert [found[path] for path in ("a", "b/c", "b/e/f")] == [
            Pointer.MISSING,
            Pointer.BLOCKED,
            Pointer.BLOCKED,
        ]
        failed = make(calls, folders, FILES, COMMIT)
        assert set(failed) == {"b/c", "b/d", "b/e/f"}
        assert all(isinstance(error, StorageError) for error in failed.values())


def test_a_link_as_a_folder_is_never_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with folders_at(tmp_path / "r") as (calls, folders):
        (tmp_path / "r" / "snapshots").symlink_to(elsewhere)
        with pytest.raises(OSError, match="symbolic links"):
            look_at(calls, folders.root, FILES, COMMIT)
        failed = make(calls, folders, FILES, COMMIT)
        assert all(isinstance(error, UnsafeError) for error in failed.values())
        assert len(failed) == len(FILES)
        assert os.listdir(elsewhere) == []


def test_a_link_that_vanishes_while_we_look_is_made_again(tmp_path: Path) -> None:
    class Racing(FaultyCalls):
        """The reference client removes a link before it makes the new one."""

        def link_target(self, folder: object, name: str) -> str | None:
            at(tmp_path, FILES[0]).unlink(missing_ok=True)
            return super().link_target(folder, name)  # type: ignore[arg-type]

    with folders_at(tmp_path, Racing()) as (calls, folders):
        make(Calls(), folders, FILES, COMMIT)
        assert make(calls, folders, FILES[:1], COMMIT) == {}
    assert at(tmp_path, FILES[0]).read_bytes() == b"a"


@pytest.mark.parametrize("only", ["symlink", "sync_folder", "rename"])
def test_a_disk_that_refuses_is_a_storage_error_of_each_file(only: str, tmp_path: Path) -> None:
    with folders_at(tmp_path) as (calls, folders):
        make(calls, folders, FILES[1:], COMMIT)
        at(tmp_path, FILES[0]).symlink_to("other")
        faulty = FaultyCalls(fail_at=1, for_ever=True, error=errno.EIO, only=(only,))
        failed = make(faulty, folders, FILES, COMMIT)
        assert failed
        assert all(isinstance(error, StorageError) for error in failed.values())
        assert os.listdir(folders.parts.path) == []
    assert os.readlink(at(tmp_path, FILES[0])) in ("other", pointer_target(FILES[0]))
