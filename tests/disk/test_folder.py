from __future__ import annotations

import os
from pathlib import Path

import pytest

from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.disk.calls import Calls
from hfdl_async.disk.folder import (
    OWNER,
    folder_at,
    open_for_reading,
    open_for_writing,
    read_owner,
    split_path,
    write_owner,
)
from hfdl_async.disk.home import Home
from hfdl_async.errors import StorageError
from tests.disk.faults import COMMIT, REPO, FaultyCalls, descriptors_balanced


def quiet(_sentence: str) -> None:
    """Take a note and forget it."""


def test_opening_to_read_makes_nothing(tmp_path: Path) -> None:
    with descriptors_balanced():
        with open_for_reading(Calls(), Home.of_folder(tmp_path / "no")) as (root, state):
            assert (root, state) == (None, None)
        with open_for_reading(Calls(), Home.of_folder(tmp_path)) as (root, state):
            assert root is not None
            assert state is None
    assert os.listdir(tmp_path) == []


def test_folders_on_the_way_are_made_and_synced(tmp_path: Path) -> None:
    calls = FaultyCalls()
    root = calls.open_root(str(tmp_path))
    with descriptors_balanced(), folder_at(calls, root, "a/b/c", create=True) as folder:
        assert folder.path == str(tmp_path / "a/b/c")
    assert calls.made.count("sync_folder") == 3
    calls.close_folder(root)


def test_a_damaged_owner_is_ignored_and_set_aside_only_by_a_writer(tmp_path: Path) -> None:
    calls, notes = Calls(), list[str]()
    folders = open_for_writing(calls, Home.of_folder(tmp_path), quiet)
    write_owner(calls, folders.state, REPO, COMMIT)
    path = tmp_path / STATE_FOLDER / OWNER
    path.write_bytes(path.read_bytes()[:-3])
    assert read_owner(calls, folders.state) is None
    assert path.exists()
    assert read_owner(calls, folders.state, notes.append) is None
    assert not path.exists()
    assert len(notes) == 1
    folders.close(calls)


def test_a_newer_owner_stops_with_a_message(tmp_path: Path) -> None:
    calls = Calls()
    folders = open_for_writing(calls, Home.of_folder(tmp_path), quiet)
    write_owner(calls, folders.state, REPO, COMMIT)
    path = tmp_path / STATE_FOLDER / OWNER
    newer = path.read_bytes().replace(b'"version":1', b'"version":9')
    path.write_bytes(newer)
    with pytest.raises(StorageError, match="newer"):
        read_owner(calls, folders.state, quiet)
    assert path.read_bytes() == newer
    folders.close(calls)


def test_what_has_not_changed_is_not_written_again(tmp_path: Path) -> None:
    calls = FaultyCalls()
    folders = open_for_writing(calls, Home.of_folder(tmp_path), quiet)
    write_owner(calls, folders.state, REPO, COMMIT)
    calls.made.clear()
    write_owner(calls, folders.state, REPO, COMMIT)
    assert "write" not in calls.made
    folders.close(calls)


def test_splits_a_path() -> None:
    assert split_path("a/b/c") == ("a/b", "c")
    assert split_path("c") == ("", "c")
