"""Several at once on one folder: they wait, share or take over, and no content comes twice."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest

from hfdl_async import Downloader
from hfdl_async.core.model import MB, MIB, Report
from hfdl_async.serving import Settings
from hfdl_async.testing.faults import StartHub
from tests.e2e.conftest import OpenShell, Serve
from tests.e2e.stage import check_complete, model, payload, size_of, until

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]

SIZE = 16 * MIB
ONCE = 1.05  # of the size: nothing comes twice
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def waits_for(text: str, pid: int) -> bool:
    return f"waiting for process {pid} on {socket.gethostname()}" in text


def test_a_second_process_waits_names_the_holder_and_finds_everything(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = model(SIZE)
    hub = serve(repo, settings=Settings(rate_bytes_per_second=12 * MB))
    words = ("org/model", "--local-dir", place / "d")
    with shell(hub).start(*words) as first:
        until(lambda: payload(hub) > MIB, first)
        second = shell(hub).run(*words, "--no-progress", "--json").check()
        first.wait().check()
    check_complete(place / "d", repo)
    assert {file["status"] for file in second.report["files"]} == {"reused"}
    assert payload(hub) <= ONCE * size_of(repo)


def test_the_one_that_waits_says_for_whom(serve: Serve, shell: OpenShell, place: Path) -> None:
    hub = serve(model(SIZE), settings=Settings(rate_bytes_per_second=12 * MB))
    words = ("org/model", "--local-dir", place / "d")
    with shell(hub).start(*words) as first:
        until(lambda: payload(hub) > MIB, first)
        second = shell(hub).run(*words).check()
        assert waits_for(second.err, first.process.pid), str(second)
        first.wait().check()


def test_many_processes_at_once_fetch_it_once(serve: Serve, shell: OpenShell, place: Path) -> None:
    repo = model(SIZE)
    hub = serve(repo)
    words = ("org/model", "--local-dir", place / "d", "--no-progress")
    with ExitStack() as stack:
        running = [stack.enter_context(shell(hub).start(*words)) for _ in range(4)]
        for one in running:
            one.wait().check()
    check_complete(place / "d", repo)
    assert payload(hub) <= ONCE * size_of(repo)


@posix_only
def test_a_dead_holder_is_taken_over_with_what_it_had(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = model(SIZE)
    hub = serve(repo, settings=Settings(rate_bytes_per_second=8 * MB))
    words = ("org/model", "--local-dir", place / "d")
    with shell(hub).start(*words) as first:
        until(lambda: payload(hub) > MIB, first)
        with shell(hub).start(*words) as second:
            until(lambda: hub.log.counts["api"] >= 4, second)  # it knows what it wants
            first.send(signal.SIGKILL)
            first.wait()
            second.wait().check()
    check_complete(place / "d", repo)


@posix_only
def test_a_holder_that_is_merely_stopped_keeps_the_folder(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = model(SIZE)
    hub = serve(repo, settings=Settings(rate_bytes_per_second=12 * MB))
    words = ("org/model", "--local-dir", place / "d")
    with shell(hub).start(*words) as first:
        until(lambda: payload(hub) > MIB, first)
        first.send(signal.SIGSTOP)
        busy = shell(hub).run(*words, "--wait", "0.3").check(9)
        assert f"process {first.process.pid}" in busy.errors[0]
        first.send(signal.SIGCONT)
        first.wait().check()
    check_complete(place / "d", repo)


@posix_only
def test_a_process_that_waits_can_be_interrupted(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    hub = serve(model(SIZE), settings=Settings(rate_bytes_per_second=8 * MB))
    words = ("org/model", "--local-dir", place / "d")
    with shell(hub).start(*words) as first:
        until(lambda: payload(hub) > MIB, first)
        with shell(hub).start(*words) as second:
            until(lambda: hub.log.counts["api"] >= 4, second)
            second.send(signal.SIGINT)
            second.wait().check(130)
        first.wait().check()


# -- in one process ------------------------------------------------------------------------


async def test_two_tasks_of_one_downloader_share_a_download(hub: StartHub, place: Path) -> None:
    repo = model(SIZE)
    running = await hub(repo)
    reports: list[Report] = []

    async def one() -> None:
        reports.append(
            await downloader.download("org/model", local_dir=place / "d", endpoint=running.endpoint)
        )

    async with Downloader() as downloader, anyio.create_task_group() as group:
        group.start_soon(one)
        group.start_soon(one)
    check_complete(place / "d", repo)
    assert [report.status for report in reports] == ["ok", "ok"]
    assert payload(running) == size_of(repo)


async def test_cancelling_one_of_two_leaves_the_other_alone(hub: StartHub, place: Path) -> None:
    repo = model(SIZE)
    running = await hub(repo, settings=Settings(rate_bytes_per_second=16 * MB))

    async def one(scope: anyio.CancelScope) -> None:
        with scope:
            await downloader.download("org/model", local_dir=place / "d", endpoint=running.endpoint)

    leaving, staying = anyio.CancelScope(), anyio.CancelScope()
    async with Downloader() as downloader, anyio.create_task_group() as group:
        group.start_soon(one, leaving)
        group.start_soon(one, staying)
        while payload(running) < 4 * MIB:
            await anyio.sleep(0.01)
        leaving.cancel()
    assert leaving.cancelled_caught
    assert not staying.cancelled_caught
    check_complete(place / "d", repo)
    # Not twice: only what was on its way when idle connections took over the end of a piece.
    assert size_of(repo) <= payload(running) < 1.25 * size_of(repo)


async def test_when_both_are_cancelled_it_stops_and_saves(hub: StartHub, place: Path) -> None:
    repo = model(SIZE)
    running = await hub(repo, settings=Settings(rate_bytes_per_second=16 * MB))
    options = {"local_dir": place / "d", "endpoint": running.endpoint}
    async with Downloader() as downloader:
        tasks = [
            asyncio.ensure_future(downloader.download("org/model", **options))  # type: ignore[arg-type]
            for _ in range(2)
        ]
        while payload(running) < 8 * MIB:
            await anyio.sleep(0.01)
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert all(task.cancelled() for task in tasks)
        running.settings.rate_bytes_per_second = None
        report = await downloader.download("org/model", **options)  # type: ignore[arg-type]
    check_complete(place / "d", repo)
    assert report.bytes.resumed > 0
    assert payload(running) <= size_of(repo) + 16 * MIB


async def test_two_folders_at_once_do_not_mix(hub: StartHub, place: Path) -> None:
    one, other = model(SIZE, "one/model"), model(SIZE + 1, "other/model")
    running = await hub(one, other)
    async with Downloader(connections=4) as downloader, anyio.create_task_group() as group:
        for repo in (one, other):

            async def fetch(repo_id: str = repo.repo_id) -> None:
                await downloader.download(
                    repo_id,
                    local_dir=place / repo_id.replace("/", "-"),
                    endpoint=running.endpoint,
                )

            group.start_soon(fetch)
    check_complete(place / "one-model", one)
    check_complete(place / "other-model", other)
    assert os.listdir(place) != []
