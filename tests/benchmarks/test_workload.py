"""The same files every time, and nothing wrong with them goes unnoticed."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.workload import Group, Workload, differences, large_files, make, small_files
from hfdl_async.core.model import GIB, MIB

SOME = Workload("some", (small_files(30, per_folder=10), large_files(2, MIB + 1)))


def test_the_paths_promised_are_the_paths_written(tmp_path: Path) -> None:
    made = make(SOME, tmp_path)
    written = {path.relative_to(made.folder).as_posix() for path in made.folder.rglob("*.*")}
    assert set(SOME.paths()) == written
    assert len(written) == SOME.files == 32
    assert made.size_bytes == sum((made.folder / path).stat().st_size for path in written)


def test_the_same_name_gives_the_same_bytes(tmp_path: Path) -> None:
    assert make(SOME, tmp_path / "a").digests == make(SOME, tmp_path / "b").digests


def test_every_kind_of_difference_is_found(tmp_path: Path) -> None:
    made = make(SOME, tmp_path / "served")
    copy = tmp_path / "copy"
    shutil.copytree(made.folder, copy)
    assert differences(made, copy) == []
    missing, shorter, other = list(SOME.paths())[:3]
    (copy / missing).unlink()
    (copy / shorter).write_bytes((copy / shorter).read_bytes()[:-1])
    content = bytearray((copy / other).read_bytes())
    content[-1] ^= 1
    (copy / other).write_bytes(content)
    assert differences(made, copy) == [missing, shorter, other]


def test_what_is_only_listed_has_no_content(tmp_path: Path) -> None:
    made = make(Workload("listed", (small_files(100),), listed_only=True), tmp_path)
    assert made.digests == {}
    assert list(tmp_path.rglob("*")) == []


def test_a_quick_one_keeps_the_kinds_of_its_files() -> None:
    small, large = Workload("x", (small_files(5_000), large_files(8, GIB))).scaled(20).groups
    assert small == Group(250, 1024, 64 * 1024)
    assert large.count == 8
    assert large.low_bytes == large.high_bytes == GIB // 20
    assert large.is_large
