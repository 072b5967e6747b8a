from __future__ import annotations

import asyncio

import aiohttp
import anyio
import pytest
from yarl import URL

from hfdl_async.serving import (
    READER_TOKEN,
    STRANGER_TOKEN,
    GeneratedContent,
    HostedFile,
    HostedRepo,
    HubServer,
    Settings,
)
from hfdl_async.serving.content import read_all
from hfdl_async.testing.faults import StartHub

pytestmark = pytest.mark.anyio


async def test_both_origins_answer_and_every_request_is_logged(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    repo = HostedRepo.from_files("o/n", {"w.bin": b"weights", "c.json": b"{}"})
    running = await hub(repo)
    for path, data in (("w.bin", b"weights"), ("c.json", b"{}")):
        async with http.get(f"{running.endpoint}/o/n/resolve/main/{path}") as response:
            assert await response.read() == data
    assert [(entry.origin, entry.kind, entry.path, entry.status) for entry in running.log] == [
        ("hub", "resolve", "w.bin", 302),
        ("data", "data", "w.bin", 200),
        ("hub", "resolve", "c.json", 307),
        ("hub", "cache", "c.json", 200),
    ]
    assert running.log.of("data")[0].bytes_sent == 7
    assert running.log.of("cache")[0].target.startswith("/api/resolve-cache/models/o/n/")
    assert running.endpoint != running.data_origin


async def test_every_hub_answer_carries_the_limits_of_its_bucket(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    running = await hub(
        HostedRepo.from_files("o/n", {"f": b""}), settings=Settings(resolver_quota=2)
    )
    answers = []
    for _ in range(3):
        async with http.get(
            f"{running.endpoint}/o/n/resolve/main/none", headers={"Accept": "*/*"}
        ) as response:
            answers.append((response.status, response.headers["RateLimit"].partition(";t=")[0]))
    assert answers == [
        (404, '"resolvers";r=1'),
        (404, '"resolvers";r=0'),
        (429, '"resolvers";r=0'),
    ]
    async with http.get(f"{running.endpoint}/api/models/o/n") as response:
        assert response.status == 200
        assert response.headers["RateLimit"].startswith('"api";r=')


async def test_a_rate_for_all_holds_over_several_connections(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    content = GeneratedContent("s", 60_000)
    repo = HostedRepo.from_files("o/n", {"w.bin": content})
    running = await hub(repo, settings=Settings(rate_bytes_per_second=1_000_000))
    url = URL(running.links.sign(repo, head_file(repo, "w.bin"), 60), encoded=True)
    begin = anyio.current_time()

    async def fetch() -> None:
        async with http.get(url) as response:
            assert await response.read() == read_all(content)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(fetch)
    assert anyio.current_time() - begin >= 0.17
    assert running.log.peak_in_flight["data"] == 3


async def test_a_rate_per_connection_and_latency_apply(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    repo = HostedRepo.from_files("o/n", {"w.bin": bytes(20_000)})
    settings = Settings(rate_per_connection=1_000_000, latency_seconds=0.02)
    running = await hub(repo, settings=settings)
    url = URL(running.links.sign(repo, head_file(repo, "w.bin"), 60), encoded=True)
    begin = anyio.current_time()
    async with http.get(url) as response:
        await response.read()
    assert anyio.current_time() - begin >= 0.04


async def test_personas_see_what_they_may(hub: StartHub, http: aiohttp.ClientSession) -> None:
    running = await hub(HostedRepo.from_files("o/n", {"f": b"x"}, private=True))
    statuses = []
    for token in (None, STRANGER_TOKEN, READER_TOKEN, "hf_unknown"):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        url = f"{running.endpoint}/o/n/resolve/main/f"
        async with http.get(url, headers=headers, allow_redirects=False) as response:
            statuses.append(response.status)
    assert statuses == [401, 404, 200, 401]


async def test_an_old_id_is_redirected_relatively(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    running = await hub(HostedRepo.from_files("new/n", {"f": b"x"}, renamed_from=("old/n",)))
    for path in ("/old/n/resolve/main/f?download=true", "/api/models/old/n/tree/main"):
        async with http.get(running.endpoint + path, allow_redirects=False) as response:
            assert response.status == 307
            assert response.headers["Location"] == path.replace("old/n", "new/n")


async def test_what_is_no_route_is_404(hub: StartHub, http: aiohttp.ClientSession) -> None:
    running = await hub()
    async with http.get(f"{running.endpoint}/o/n/blob/main/f") as response:
        assert response.status == 404


async def test_it_closes_at_once_though_clients_are_waiting() -> None:
    repo = HostedRepo.from_files("o/n", {"f.txt": b"x"})
    tasks_before = asyncio.all_tasks()
    async with (
        HubServer([repo], settings=Settings(latency_seconds=3600)) as server,
        anyio.create_task_group() as group,
    ):

        async def wait_for_an_answer() -> None:
            async with aiohttp.ClientSession() as http:
                with pytest.raises(aiohttp.ClientError):
                    await http.get(f"{server.endpoint}/o/n/resolve/main/f.txt")

        group.start_soon(wait_for_an_answer)
        while not server.log.in_flight["hub"]:
            await anyio.sleep(0.001)
        await server.aclose()
    assert asyncio.all_tasks() == tasks_before


def head_file(repo: HostedRepo, path: str) -> HostedFile:
    assert repo.head is not None
    return repo.head.files[path]
