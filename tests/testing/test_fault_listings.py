from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from hfdl_async.serving import HostedRepo, Settings
from hfdl_async.testing.faults import (
    Fault,
    FaultKind,
    ForeignLink,
    JsonErrorList,
    LoopingCursor,
    StartHub,
    hostile_names,
    masked,
    without_digests,
    without_field,
    wrong_sizes,
)

pytestmark = pytest.mark.anyio

FILES = {"d/a.txt": b"a", "w.bin": b"weights"}
NAMES = ["../x", "/abs", "C:\\x", "a\\..\\b", "nul\0", "line\nbreak"]


async def tree(
    hub: StartHub, http: aiohttp.ClientSession, kind: FaultKind, page_size: int = 1000
) -> tuple[int, Any, str]:
    running = await hub(HostedRepo.from_files("o/n", FILES), settings=Settings(page_size=page_size))
    running.faults.add(Fault("tree", kind))
    url = f"{running.endpoint}/api/models/o/n/tree/main?recursive=true"
    async with http.get(url) as response:
        return response.status, await response.json(), response.headers.get("Link", "")


async def test_hostile_names_are_listed_exactly(hub: StartHub, http: aiohttp.ClientSession) -> None:
    _, entries, _ = await tree(hub, http, hostile_names(NAMES))
    assert [entry["path"] for entry in entries] == ["d", "d/a.txt", "w.bin", *NAMES]


async def test_fields_are_missing(hub: StartHub, http: aiohttp.ClientSession) -> None:
    _, entries, _ = await tree(hub, http, without_field("size"))
    assert ["size" in entry for entry in entries] == [True, False, False]
    _, entries, _ = await tree(hub, http, without_digests())
    assert entries[2] == {"type": "file", "path": "w.bin", "size": 7}


async def test_hashes_are_masked_and_sizes_wrong(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    _, entries, _ = await tree(hub, http, masked())
    assert entries[2]["lfs"]["oid"] == entries[2]["xetHash"] == "*" * 64
    _, entries, _ = await tree(hub, http, wrong_sizes(2))
    assert [entry["size"] for entry in entries] == [0, 3, 9]


async def test_the_next_page_is_elsewhere(hub: StartHub, http: aiohttp.ClientSession) -> None:
    _, _, link = await tree(hub, http, ForeignLink("https://evil.test"), page_size=1)
    assert link.startswith("<https://evil.test/api/models/o/n/tree/main?")
    assert link.endswith('>; rel="next"')
    _, _, link = await tree(hub, http, ForeignLink())
    assert link == ""


async def test_pages_can_go_round_for_ever(hub: StartHub, http: aiohttp.ClientSession) -> None:
    running = await hub(HostedRepo.from_files("o/n", FILES))
    running.faults.add(Fault("tree", LoopingCursor(running.endpoint)))
    url = f"{running.endpoint}/api/models/o/n/tree/main?recursive=true"
    seen = []
    for _ in range(3):
        async with http.get(url) as response:
            seen.append([entry["path"] for entry in await response.json()])
            url = response.headers["Link"][1:].partition(">")[0]
    assert seen == [["d", "d/a.txt", "w.bin"]] * 3


async def test_errors_come_as_a_list(hub: StartHub, http: aiohttp.ClientSession) -> None:
    status, body, _ = await tree(hub, http, JsonErrorList())
    assert status == 400
    assert body == {"error": ["first complaint", "second complaint"]}
