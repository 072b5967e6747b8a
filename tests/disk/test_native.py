from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hfdl_async.disk import native
from hfdl_async.disk.native import UNSUPPORTED, Features


def test_every_feature_can_be_switched_off() -> None:
    assert Features(*[False] * len(Features.__slots__)) != Features.here()


@pytest.mark.skipif(sys.platform != "linux", reason="fallocate(2)")
def test_allocation_reserves_real_blocks_and_keeps_the_size(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    try:
        native.allocate(fd, 1_000_000)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        pytest.skip("not on this file system")
    finally:
        found = os.fstat(fd)
        os.close(fd)
    assert found.st_size == 0
    assert found.st_blocks * 512 >= 1_000_000


def test_knows_the_living_from_the_dead() -> None:
    assert native.process_alive(os.getpid())
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    assert not native.process_alive(child.pid)


def test_syncing_a_closed_file_fails(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    native.sync_data(fd)
    os.close(fd)
    with pytest.raises(OSError, match="descriptor"):
        native.sync_data(fd)
