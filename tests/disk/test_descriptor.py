from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from hfdl_async.disk.calls import Calls
from hfdl_async.disk.descriptor import Descriptor
from hfdl_async.errors import StorageError


def test_closing_waits_for_those_who_use_it(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT)
    descriptor = Descriptor(Calls(), fd, "x")
    closing = threading.Thread(target=descriptor.close)
    with descriptor.use() as lent:
        closing.start()
        closing.join(0.02)
        assert closing.is_alive()
        os.write(lent, b"still open")
    closing.join()
    assert (tmp_path / "x").read_bytes() == b"still open"


def test_nobody_gets_it_after_it_was_closed(tmp_path: Path) -> None:
    descriptor = Descriptor(Calls(), os.open(tmp_path / "x", os.O_RDWR | os.O_CREAT), "x")
    descriptor.close()
    descriptor.close()
    with pytest.raises(StorageError), descriptor.use():
        raise AssertionError("lent")
