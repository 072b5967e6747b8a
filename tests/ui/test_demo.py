from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hfdl_async.core.model import MB
from hfdl_async.errors import StorageError, UsageError
from hfdl_async.ui.demo import Act, check_room, flip_a_bit, parse_demo_size, show_table

DEMO = [sys.executable, "-m", "hfdl_async", "demo", "--size", "20MB"]


def test_sizes_are_read_as_everywhere_else() -> None:
    assert parse_demo_size("600MB") == 600_000_000
    assert parse_demo_size("64MiB") == 2**26
    assert parse_demo_size("40") == 40_000_000
    for wrong in ("1MB", "big", "-5", "900TB"):
        with pytest.raises(UsageError, match="--size"):
            parse_demo_size(wrong)


def test_the_flipped_bit_leaves_size_and_times_as_they_were(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"x")
    (tmp_path / "large").write_bytes(bytes(100))
    before = (tmp_path / "large").stat()
    assert flip_a_bit(tmp_path) == "large"
    after = (tmp_path / "large").stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert sum((tmp_path / "large").read_bytes()) == 1


@pytest.mark.e2e
def test_every_act_succeeds_and_nothing_is_left_behind(tmp_path: Path) -> None:
    done = subprocess.run(
        DEMO, capture_output=True, text=True, env={**os.environ, "TMPDIR": str(tmp_path)},
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    acts = re.findall(r"^(\w+) .* ", done.stdout, re.MULTILINE)[1:]  # without the title
    assert acts == ["act", "interrupt", "resume", "again", "verify", "damage", "repair"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.e2e
def test_ctrl_c_ends_the_demo_and_removes_its_folder(tmp_path: Path) -> None:
    process = subprocess.Popen(
        DEMO, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)}
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("act 1"):
            break
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert errors.endswith("stopped; the temporary folder is gone\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.e2e
def test_ctrl_c_while_the_repo_is_made_ends_the_demo_and_its_hub(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*DEMO[:-1], "20GB"], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline().startswith("making a repo")
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)  # its hub would keep standard error open
    assert (process.returncode, errors) == (130, "stopped; the temporary folder is gone\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.e2e
def test_a_quiet_demo_prints_the_table_only(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "-q"], capture_output=True, text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)}, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.startswith("every act did what it says")


def test_a_repo_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    check_room(10 * MB, tmp_path)
    with pytest.raises(StorageError, match="free"):
        check_room(10**9 * MB, tmp_path)


def test_no_number_of_the_table_is_cut_at_eighty_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show_table([Act("interrupt", 3600.0, 10**12, 999 * 10**9, 999e6, 99_999, "1,234 files proven")])
    shown = capsys.readouterr().out
    numbers = ("1:00:00", "999 MB/s", "99999", "1.00 TB", "999 GB", "1,234 files proven")
    assert all(number in shown.splitlines()[-1] for number in numbers)
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= 80
