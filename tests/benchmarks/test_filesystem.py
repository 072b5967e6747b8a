"""A tmpfs is told from a disk."""

from __future__ import annotations

from pathlib import Path

from benchmarks.filesystem import find_filesystem

MOUNTS = """/dev/vda / ext4 rw 0 0
tmpfs /dev/shm tmpfs rw 0 0
/dev/vdb /data ext4 rw 0 0
tmpfs /data/my\\040room tmpfs rw 0 0
/dev/vdc /data/my\\040room/disk xfs rw 0 0
"""


def test_the_innermost_mount_counts() -> None:
    assert find_filesystem(MOUNTS, Path("/home/x")) == "ext4"
    assert find_filesystem(MOUNTS, Path("/dev/shm/a/b")) == "tmpfs"
    assert find_filesystem(MOUNTS, Path("/data/my room/x")) == "tmpfs"
    assert find_filesystem(MOUNTS, Path("/data/my room/disk/x")) == "xfs"


def test_a_name_that_only_begins_alike_is_no_mount() -> None:
    assert find_filesystem(MOUNTS, Path("/dev/shmem")) == "ext4"


def test_a_later_mount_hides_an_earlier_one() -> None:
    assert find_filesystem(MOUNTS + "tmpfs /data tmpfs rw 0 0\n", Path("/data/x")) == "tmpfs"


def test_nothing_known_is_said_to_be_unknown() -> None:
    assert find_filesystem("", Path("/x")) == "unknown"
