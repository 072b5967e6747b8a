from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfdl_async.core.sealed import StateRefused
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.statefiles import read_state, remove_if_there, set_aside, write_state
from tests.disk.faults import FaultyCalls


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    opened = Calls().open_root(str(tmp_path))
    yield opened
    Calls().close_folder(opened)


def test_reads_what_was_written(folder: Folder) -> None:
    assert read_state(Calls(), folder, "x", 10) is None
    write_state(Calls(), folder, "x", b"one")
    write_state(Calls(), folder, "x", b"two")
    assert read_state(Calls(), folder, "x", 10) == b"two"
    assert os.listdir(folder.path) == ["x"]


def test_the_old_one_stays_whichever_call_fails(folder: Folder) -> None:
    write_state(Calls(), folder, "x", b"old")
    counting = FaultyCalls()
    write_state(counting, folder, "x", b"old")
    for number in range(1, counting.count):
        with pytest.raises(OSError, match="space"):
            write_state(FaultyCalls(fail_at=number, torn=True), folder, "x", b"new")
        assert read_state(Calls(), folder, "x", 10) == b"old"
        assert os.listdir(folder.path) == ["x"]


def test_refuses_what_is_too_large_or_no_file(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 11)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("large")
    (tmp_path / "folder").mkdir()
    for name in ("large", "fifo", "link", "folder"):
        with pytest.raises(StateRefused):
            read_state(Calls(), folder, name, 10)


def test_sets_aside_once_and_again(folder: Folder, tmp_path: Path) -> None:
    for text in ("one", "two"):
        (tmp_path / "x").write_text(text)
        assert set_aside(Calls(), folder, "x") == "x.bad"
    assert (tmp_path / "x.bad").read_text() == "two"


def test_removes_whatever_it_is(folder: Folder, tmp_path: Path) -> None:
    assert not remove_if_there(Calls(), folder, "x")
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "kept").write_text("")
    assert remove_if_there(Calls(), folder, "x")
    assert not (tmp_path / "x").exists()
    assert (tmp_path / "x.bad" / "kept").exists()


def test_a_removal_that_is_refused_is_no_success(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(PermissionError):
        remove_if_there(FaultyCalls(fail_at=1, error=errno.EACCES), folder, "x")


def test_where_others_read_nothing_unfinished_is_ever_seen(folder: Folder, tmp_path: Path) -> None:
    class Killed(FaultyCalls):
        """Ends between the write and the rename, with no time to clean up."""

        def unlink(self, folder: Folder, name: str) -> None:
            raise KeyboardInterrupt

    (tmp_path / "ours").mkdir()
    ours = Calls().open_folder(folder, "ours")
    write_state(Calls(), folder, "x", b"old", staging=ours)
    with pytest.raises(KeyboardInterrupt):
        write_state(Killed(fail_at=1, only=("rename",)), folder, "x", b"new", staging=ours)
    assert sorted(os.listdir(folder.path)) == ["ours", "x"]
    assert len(os.listdir(ours.path)) == 1
    assert read_state(Calls(), folder, "x", 10) == b"old"
    write_state(Calls(), folder, "x", b"new", staging=ours)
    assert read_state(Calls(), folder, "x", 10) == b"new"
    Calls().close_folder(ours)
