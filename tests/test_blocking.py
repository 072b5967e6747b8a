from __future__ import annotations

import inspect
import threading
import warnings
from pathlib import Path

import anyio
import pytest

from hfdl_async import HFDownloader, blocking, download_sync
from hfdl_async.core.model import Report
from hfdl_async.errors import HfdlError, NotFoundError
from hfdl_async.testing.faults import StartHub
from tests.repos import small_files, tiny_repo

pytestmark = pytest.mark.anyio


async def test_downloads_without_a_loop(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    reports: list[Report] = []

    def without_a_loop() -> None:
        reports.append(
            download_sync("org/tiny", local_dir=tmp_path, endpoint=running.endpoint, progress=False)
        )

    await anyio.to_thread.run_sync(without_a_loop)
    assert reports[0].status == "ok"
    assert (tmp_path / "config.json").read_bytes() == small_files()["config.json"]


async def test_raises_what_the_download_raises(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())

    def without_a_loop() -> None:
        with pytest.raises(NotFoundError):
            download_sync("org/none", local_dir=tmp_path, endpoint=running.endpoint)

    await anyio.to_thread.run_sync(without_a_loop)


async def test_works_where_a_loop_runs_and_warns_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(blocking, "_warned", False)
    # Nobody serves: the loop here is blocked while it fails, as it would be in a notebook.
    with pytest.warns(RuntimeWarning, match="await"), pytest.raises(HfdlError):
        download_sync("org/tiny", local_dir=tmp_path, endpoint="http://127.0.0.1:9", max_retries=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(HfdlError):
            download_sync(
                "org/tiny", local_dir=tmp_path, endpoint="http://127.0.0.1:9", max_retries=0
            )
    assert not [thread for thread in threading.enumerate() if thread.name == "hfdl download"]


async def test_what_always_blocks_runs_beside_a_loop_without_a_warning() -> None:
    threads: list[str] = []

    async def work() -> int:
        threads.append(threading.current_thread().name)
        return 7

    assert blocking.block_on(work) == 7
    assert threads == ["hfdl download"]


async def test_the_predecessors_class_downloads_and_returns_true(
    hub: StartHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await hub(tiny_repo())
    monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
    downloader = HFDownloader(
        "org/tiny", download_dir=str(tmp_path), num_threads=4, min_free_space=1, verify=True
    )
    assert await downloader.adownload() is True
    assert downloader.report is not None
    assert Path(downloader.report) == tmp_path / "tiny"
    outcome: list[bool] = []
    await anyio.to_thread.run_sync(lambda: outcome.append(downloader.download()))
    assert outcome == [True]
    assert {file.status for file in downloader.report.files} == {"reused"}


def test_the_predecessors_arguments_are_accepted_by_name_and_position() -> None:
    names = list(inspect.signature(HFDownloader).parameters)
    assert names == [
        "model_id",
        "download_dir",
        "num_threads",
        "repo_type",
        "chunk_size",
        "min_free_space",
        "file_size_threshold",
        "min_speed_percentage",
        "speed_test_duration",
        "verify",
        "fix_broken",
        "force",
    ]
    HFDownloader("a/b", min_speed_percentage=5, speed_test_duration=5)  # mean something: no warning
