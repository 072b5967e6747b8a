from __future__ import annotations

import json
import os
import urllib.request
from pathlib import Path

import anyio
import pytest

from hfdl_async.serving.process import HubProcessError, serve_beside, serve_in_process


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as response:
        data = response.read()
    assert isinstance(data, bytes)
    return data


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_folder_is_served_from_another_process_until_the_block_ends(tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_bytes(b"text")
    (tmp_path / "w.bin").write_bytes(b"weights" * 20_000)
    with serve_in_process(["--repo", f"datasets/o/n={tmp_path}"]) as served:
        assert served.repos == ("datasets/o/n",)
        assert served.pid != os.getpid()
        info = json.loads(fetch(f"{served.endpoint}/api/datasets/o/n"))
        assert info["id"] == "o/n"
        for name in ("f.txt", "w.bin"):
            url = f"{served.endpoint}/datasets/o/n/resolve/main/{name}"
            assert fetch(url) == (tmp_path / name).read_bytes()
        assert is_alive(served.pid)
    assert not is_alive(served.pid)


def test_a_byte_is_wrong_when_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "f.txt").write_bytes(b"text")
    arguments = ["--repo", f"o/n={tmp_path}", "--flip", "*.txt@1x1"]
    with serve_in_process(arguments) as served:
        url = f"{served.endpoint}/o/n/resolve/main/f.txt"
        assert [fetch(url), fetch(url)] == [b"t\x9axt", b"text"]


def test_arguments_that_cannot_be_served_are_an_error() -> None:
    with (
        pytest.raises(HubProcessError, match="code 2"),
        serve_in_process(["--flip", "nonsense"]),
    ):
        pass


@pytest.mark.anyio
async def test_beside_a_loop_it_serves_and_leaves_no_process() -> None:
    async with serve_beside(["--generate", "o/m", "--size", "1MB"]) as served:
        assert served.repos == ("o/m",)
        assert is_alive(served.pid)
    assert not is_alive(served.pid)
    with pytest.raises(HubProcessError, match="code 2"):
        async with serve_beside(["--nonsense"]):
            raise AssertionError("it serves whatever it is told")


@pytest.mark.anyio
async def test_cancelled_while_it_makes_its_repo_it_leaves_at_once() -> None:
    with anyio.move_on_after(0.5) as scope:
        async with serve_beside(["--generate", "o/m", "--size", "50GB"]):
            raise AssertionError("so fast?")
    assert scope.cancelled_caught
