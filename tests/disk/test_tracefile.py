from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from hfdl_async.disk.tracefile import TraceFile
from hfdl_async.errors import StorageError

pytestmark = pytest.mark.anyio


async def test_lines_are_in_the_file_soon_after_they_were_told(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    trace = TraceFile(path)
    await trace.create()
    assert path.read_bytes() == b""
    async with anyio.create_task_group() as group:
        group.start_soon(trace.run)
        trace.tell("one")
        trace.tell("two")
        with anyio.fail_after(5):
            while path.read_text() != "one\ntwo\n":
                await anyio.sleep(0.001)
        trace.tell("last")
        group.cancel_scope.cancel()
    assert path.read_text() == "one\ntwo\nlast\n"


async def test_what_the_file_held_before_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("of another run\n")
    await TraceFile(path).create()
    assert path.read_bytes() == b""


async def test_a_file_that_cannot_be_made_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="there is no folder"):
        await TraceFile(tmp_path / "no such folder" / "trace").create()


async def test_a_trace_that_cannot_be_written_any_more_fails_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    trace = TraceFile(folder / "trace")
    await trace.create()
    (folder / "trace").unlink()
    folder.rmdir()
    async with anyio.create_task_group() as group:
        group.start_soon(trace.run)
        trace.tell("lost")
        with anyio.fail_after(5):
            while not caplog.records:
                await anyio.sleep(0.001)
        trace.tell("lost as well")
        group.cancel_scope.cancel()
    assert "the trace ends here" in caplog.text
