from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from hfdl_async.core.names import Naming
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.probe import (
    can_link,
    nearest_existing,
    probe_by_looking,
    probe_by_writing,
    space_at,
)
from tests.disk.faults import FaultyCalls

T = TypeVar("T")


class FoldingCalls(Calls):
    """A file system for which two names that fold to one are one."""

    def __init__(self, naming: Naming) -> None:
        super().__init__()
        self.naming = naming

    def look(self, folder: Folder, name: str) -> os.stat_result:
        for other in self.names_in(folder):
            if self.naming.fold(other) == self.naming.fold(name):
                return super().look(folder, other)
        return super().look(folder, name)

    def system(self, name: str, call: Callable[..., T], *arguments: Any) -> T:
        if name == "open" and self.naming.windows and ":" in arguments[0]:
            raise OSError(errno.EINVAL, "not a name here")
        return super().system(name, call, *arguments)


@pytest.mark.parametrize("case", [False, True])
@pytest.mark.parametrize("normalises", [False, True])
@pytest.mark.parametrize("windows", [False, True])
def test_finds_out_by_trying(case: bool, normalises: bool, windows: bool, tmp_path: Path) -> None:
    calls = FoldingCalls(Naming(case, normalises, windows))
    folder = calls.open_root(str(tmp_path))
    found = probe_by_writing(calls, folder, tmp_path)
    calls.close_folder(folder)
    assert (found.case_insensitive, found.normalises, found.windows) == (case, normalises, windows)
    assert os.listdir(tmp_path) == []


def test_looking_makes_nothing_and_knows_the_room_for_a_path(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there"
    naming = probe_by_looking(path)
    assert os.listdir(tmp_path) == []
    assert 0 < naming.max_path_bytes < 40_000
    assert probe_by_looking(path / "inner").max_path_bytes < naming.max_path_bytes


def test_space_is_that_of_the_folder_above_what_is_not_there(tmp_path: Path) -> None:
    space = space_at(tmp_path / "not" / "there")
    assert 0 < space.free <= space.total
    assert nearest_existing(tmp_path / "not" / "there") == tmp_path


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.EACCES])
def test_whether_links_can_be_made_is_tried_out(code: int, tmp_path: Path) -> None:
    state = Calls().open_root(str(tmp_path))
    assert can_link(Calls(), state)
    assert not can_link(FaultyCalls(fail_at=1, error=code, only=("symlink",)), state)
    with pytest.raises(OSError, match="space"):
        can_link(FaultyCalls(fail_at=1, only=("symlink",)), state)
    assert os.listdir(tmp_path) == []
    Calls().close_folder(state)
