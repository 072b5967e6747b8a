from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from hfdl_async.disk.calls import IOV_MAX, Buffer, Calls
from hfdl_async.disk.native import Features
from tests.disk.faults import ALTERNATIVES, FaultyCalls, pattern

every_system = pytest.mark.parametrize("features", ALTERNATIVES.values(), ids=ALTERNATIVES)


@every_system
@pytest.mark.parametrize("short", [False, True])
def test_writes_everything_however_little_each_call_takes(
    short: bool, features: Features, tmp_path: Path
) -> None:
    calls = FaultyCalls(short=short, features=features)
    root = calls.open_root(str(tmp_path))
    fd = calls.open_file(root, "x", os.O_RDWR | os.O_CREAT)
    pieces: list[Buffer] = [pattern(1000, 1), b"", bytearray(pattern(777, 2))]
    pieces.append(memoryview(pattern(5, 3)))
    calls.write_at(fd, pieces, 10)
    expected = b"".join(map(bytes, pieces))
    buffer = bytearray(2000)
    count = calls.read_into(fd, memoryview(buffer), 10)
    assert bytes(buffer[:count]) == expected
    calls.close(fd)
    calls.close_folder(root)
    assert (tmp_path / "x").read_bytes() == bytes(10) + expected


def test_more_pieces_than_one_call_may_take(tmp_path: Path) -> None:
    calls = Calls()
    root = calls.open_root(str(tmp_path))
    fd = calls.open_file(root, "x", os.O_RDWR | os.O_CREAT)
    calls.write_at(fd, [b"ab"] * (2 * IOV_MAX + 3), 0)
    calls.close(fd)
    calls.close_folder(root)
    assert (tmp_path / "x").read_bytes() == b"ab" * (2 * IOV_MAX + 3)


@every_system
def test_allocated_files_have_their_size_and_only_zeros(features: Features, tmp_path: Path) -> None:
    calls = Calls(features)
    root = calls.open_root(str(tmp_path))
    fd = calls.open_file(root, "x", os.O_RDWR | os.O_CREAT)
    calls.write_at(fd, [b"kept"], 0)
    calls.allocate(fd, 100_000)
    calls.close(fd)
    calls.close_folder(root)
    assert (tmp_path / "x").read_bytes() == b"kept" + bytes(99_996)


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL])
def test_a_file_system_without_allocation_is_no_failure(number: int, tmp_path: Path) -> None:
    calls = FaultyCalls(fail_at=1, error=number, only=("allocate",))
    root = calls.open_root(str(tmp_path))
    fd = calls.open_file(root, "x", os.O_RDWR | os.O_CREAT)
    calls.allocate(fd, 1000)
    assert os.fstat(fd).st_size == 1000
    calls.close(fd)
    calls.close_folder(root)


def test_no_room_for_an_allocation_is_a_failure(tmp_path: Path) -> None:
    calls = FaultyCalls(fail_at=1, error=errno.ENOSPC, only=("allocate",))
    root = calls.open_root(str(tmp_path))
    fd = calls.open_file(root, "x", os.O_RDWR | os.O_CREAT)
    with pytest.raises(OSError, match="space"):
        calls.allocate(fd, 1000)
    calls.close(fd)
    calls.close_folder(root)


@every_system
def test_links_and_special_files_are_not_opened(features: Features, tmp_path: Path) -> None:
    calls = Calls(features)
    (tmp_path / "target").write_bytes(b"x")
    (tmp_path / "link").symlink_to("target")
    (tmp_path / "dangling").symlink_to("nowhere")
    (tmp_path / "inner").mkdir()
    (tmp_path / "folder link").symlink_to("inner")
    os.mkfifo(tmp_path / "fifo")
    root = calls.open_root(str(tmp_path))
    for name in ("link", "dangling"):
        with pytest.raises(OSError) as failed:  # noqa: PT011 - the number is looked at
            calls.open_file(root, name, os.O_RDWR | os.O_CREAT)
        assert failed.value.errno == errno.ELOOP
    for name in ("folder link", "link"):
        with pytest.raises(OSError) as failed:  # noqa: PT011
            calls.open_folder(root, name)
        assert failed.value.errno == errno.ELOOP
        assert failed.value.filename == str(tmp_path / name)
    with pytest.raises(NotADirectoryError):
        calls.open_folder(root, "target", create=True)
    with pytest.raises(OSError):  # noqa: PT011
        calls.open_file(root, "fifo", os.O_RDONLY)
    calls.close_folder(calls.open_folder(root, "folder link", follow=True))
    calls.close_folder(root)
    assert not (tmp_path / "nowhere").exists()


@every_system
def test_copies_a_range_to_the_same_place(features: Features, tmp_path: Path) -> None:
    calls = FaultyCalls(short=True, features=features)
    (tmp_path / "a").write_bytes(pattern(50_000))
    root = calls.open_root(str(tmp_path))
    source = calls.open_file(root, "a", os.O_RDONLY)
    target = calls.open_file(root, "b", os.O_RDWR | os.O_CREAT)
    calls.copy_range(source, target, 1000, 40_000)
    os.close(source)
    calls.close(target)
    calls.close_folder(root)
    assert (tmp_path / "b").read_bytes() == bytes(1000) + pattern(50_000)[1000:41_000]


def test_a_folder_that_was_swapped_for_a_link_is_not_written_to_without_descriptors(
    tmp_path: Path,
) -> None:
    calls = Calls(ALTERNATIVES["no dir_fd"])
    (tmp_path / "outside").mkdir()
    root = calls.open_root(str(tmp_path))
    folder = calls.open_folder(root, "inner", create=True)
    (tmp_path / "inner").rmdir()
    (tmp_path / "inner").symlink_to("outside")
    with pytest.raises(OSError, match="symbolic links"):
        calls.open_file(folder, "x", os.O_WRONLY | os.O_CREAT)
    assert os.listdir(tmp_path / "outside") == []


def test_an_open_folder_stays_the_same_whatever_takes_its_name(tmp_path: Path) -> None:
    calls = Calls()
    (tmp_path / "outside").mkdir()
    root = calls.open_root(str(tmp_path))
    folder = calls.open_folder(root, "inner", create=True)
    (tmp_path / "inner").rename(tmp_path / "moved")
    (tmp_path / "inner").symlink_to("outside")
    calls.close(calls.open_file(folder, "x", os.O_WRONLY | os.O_CREAT))
    assert os.listdir(tmp_path / "outside") == []
    assert os.listdir(tmp_path / "moved") == ["x"]
    calls.close_folder(folder)
    calls.close_folder(root)


@every_system
def test_only_an_empty_folder_is_removed(features: Features, tmp_path: Path) -> None:
    calls = FaultyCalls(features=features)
    (tmp_path / "full" / "x").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "link").symlink_to("full/x")
    root = calls.open_root(str(tmp_path))
    assert not calls.remove_folder(root, "full")
    for name in ("file", "link"):
        with pytest.raises(NotADirectoryError):
            calls.remove_folder(root, name)
    (tmp_path / "full" / "x").rmdir()
    assert calls.remove_folder(root, "full")
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]
    calls.close_folder(root)
