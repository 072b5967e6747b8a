from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hfdl_async.core.sealed import StateRefused
from hfdl_async.disk.trouble import refused_newer, translate, translated
from hfdl_async.errors import StorageError, UnsafeError


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_no_room_says_how_much_is_needed_and_free(number: int) -> None:
    error = translate(OSError(number, "x"), "/d/file", needed=12_000_000, free=45)
    assert isinstance(error, StorageError)
    assert "/d/file" in error.message
    assert "12.0 MB are needed" in error.message
    assert "45 bytes are free" in error.message


@pytest.mark.parametrize(
    "number",
    [errno.EROFS, errno.EACCES, errno.EIO, errno.ENAMETOOLONG, errno.EISDIR, errno.EMFILE],
)
def test_names_the_file_the_cause_and_the_next_step(number: int) -> None:
    error = translate(OSError(number, os.strerror(number)), "/d/file")
    assert isinstance(error, StorageError)
    assert error.message.startswith("/d/file: ")
    assert error.hint


def test_a_link_is_a_matter_of_safety() -> None:
    error = translate(OSError(errno.ELOOP, "x"), "/d/link")
    assert isinstance(error, UnsafeError)
    assert error.hint is not None
    assert "--allow symlinks" in error.hint


def test_what_is_unknown_keeps_the_words_of_the_system() -> None:
    error = translate(OSError(errno.EXDEV, "Invalid cross-device link"), "/d/x\n")
    assert error.message == "/d/x\\x0a: Invalid cross-device link"


def test_a_block_translates_and_keeps_the_cause(tmp_path: Path) -> None:
    with (
        pytest.raises(StorageError, match="are free") as failed,
        translated(str(tmp_path / "not" / "there" / "x"), needed=1),
    ):
        raise OSError(errno.ENOSPC, "full")
    assert isinstance(failed.value.__cause__, OSError)


def test_newer_state_asks_for_an_update() -> None:
    error = refused_newer("/d/x", StateRefused("version 2", newer=True))
    assert error.hint is not None
    assert "update" in error.hint
