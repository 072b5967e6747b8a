"""A command runs in a process of its own and tells what it cost."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from benchmarks.measuring import Launched, RunFailedError, run

pytestmark = pytest.mark.skipif(not hasattr(os, "posix_spawnp"), reason="needs posix_spawn(3)")


def python(program: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", program]


def test_the_peak_is_that_of_the_command_and_not_of_who_measures(tmp_path: Path) -> None:
    held = bytearray(64 * 2**20)
    held[::4096] = bytes(len(held[::4096]) * b"x")  # this process has more than the command
    cost = run(python("print('said')"), os.environ, tmp_path / "output")
    assert (tmp_path / "output").read_text() == "said\n"
    assert 2**20 < cost.peak_rss_bytes < len(held)
    more = run(python("x = b'x' * 100 * 2**20"), os.environ, tmp_path / "output")
    assert more.peak_rss_bytes > 100 * 2**20
    assert more.cpu_seconds > 0


def test_a_failure_is_told_with_what_the_command_said(tmp_path: Path) -> None:
    with pytest.raises(RunFailedError, match=r"exit 3\nno reason"):
        run(python("print('no reason'); raise SystemExit(3)"), os.environ, tmp_path / "output")


def test_what_was_killed_says_so(tmp_path: Path) -> None:
    launched = Launched(python("import time; time.sleep(60)"), os.environ, tmp_path / "output")
    launched.kill(signal.SIGKILL)
    assert launched.wait().exit_code == -signal.SIGKILL
