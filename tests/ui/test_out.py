from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from hfdl_async.ui import out


def run(code: str, *, stdout: int | None = subprocess.PIPE, **environ: str) -> tuple[int, str, str]:
    code = (
        "from hfdl_async.ui import out; out.plug_closed_streams(); out.accept_any_text()\n" + code
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=stdout, stderr=subprocess.PIPE, timeout=20,
        env={**os.environ, **environ},
    )  # fmt: skip
    return done.returncode, (done.stdout or b"").decode("utf-8"), done.stderr.decode("utf-8")


def test_any_text_can_be_written_to_a_stream_that_is_not_utf8() -> None:
    code, shown, errors = run(
        "out.result('模型'); out.say('naïve')", PYTHONIOENCODING="ascii", LC_ALL="C"
    )
    assert (code, shown, errors) == (0, "\\u6a21\\u578b\n", "na\\xefve\n")


@pytest.mark.skipif(os.name == "nt", reason="paths are text there")
def test_a_path_is_written_byte_for_byte() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from hfdl_async.ui import out; out.result_path('/x/\\udcff模')"],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "1"},
        check=True,
    )
    assert done.stdout == b"/x/\xff" + "模".encode() + b"\n"


def test_json_survives_every_encoding(capsys: pytest.CaptureFixture[str]) -> None:
    out.result_json({"path": "模\udcff"})
    shown = capsys.readouterr().out
    assert shown.isascii()
    assert json.loads(shown) == {"path": "模\udcff"}


@pytest.mark.parametrize("count", [0, 1, 2 * out.ROWS_AT_ONCE + 1])
def test_files_of_a_report_are_written_one_a_line(
    count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [{"path": f'}}, {{"path": {number}', "size": number} for number in range(count)]
    report = {"schema": 1, "files": iter(files), "plan": {"problems": [{"path": None}]}}
    out.result_json(report)
    shown = capsys.readouterr().out
    assert json.loads(shown) == {**report, "files": files}
    assert len([line for line in shown.splitlines() if '"size"' in line]) == count


def test_a_reader_that_went_away_leaves_no_trace() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    code, _, errors = run("out.result('x' * 100_000); out.result('y'); out.finish()", stdout=writer)
    os.close(writer)
    assert (code, errors) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="no such shell")
@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_reason_to_fail(closing: str) -> None:
    code = (
        "from hfdl_async.ui import out; out.plug_closed_streams(); out.result('a'); "
        "out.say('b'); out.finish(); import os; raise SystemExit(os.dup(0) < 3)"
    )
    command = f'exec "$0" -c "$1" {closing}'
    done = subprocess.run(
        ["sh", "-c", command, sys.executable, code], capture_output=True, check=False
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no full device")
@pytest.mark.parametrize("what", ["--version", "--help", "status"])
def test_a_result_that_finds_no_room_is_an_error(what: str) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "hfdl_async", what],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    error, hint = done.stderr.splitlines()
    assert (done.returncode, error) == (7, "error: standard output: No space left on device")
    assert hint.startswith("hint: ")
