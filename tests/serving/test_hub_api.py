from __future__ import annotations

import re
from typing import Any

import aiohttp
import pytest

from hfdl_async.serving import READER_TOKEN, HostedRepo, Settings
from hfdl_async.testing.faults import StartHub

pytestmark = pytest.mark.anyio

FILES = {f"d{number % 3}/f{number}.txt": b"x" * number for number in range(10)} | {"w.bin": b"w"}


async def get(http: aiohttp.ClientSession, url: str, token: str | None = None) -> Any:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with http.get(url, headers=headers) as response:
        return (response.status, await response.json(), response.headers)


async def test_pages_follow_each_other_by_link_only_until_all_is_listed(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    running = await hub(HostedRepo.from_files("o/n", FILES), settings=Settings(page_size=4))
    url = f"{running.endpoint}/api/models/o/n/tree/main?recursive=true&expand=false"
    paths: list[str] = []
    pages = 0
    while url:
        status, entries, headers = await get(http, url)
        assert status == 200
        assert len(entries) <= 4
        paths += [entry["path"] for entry in entries if entry["type"] == "file"]
        pages += 1
        link = re.fullmatch(r'<(.+)>; rel="next"', headers.get("Link", ""))
        url = link[1] if link else ""
    assert paths == sorted(FILES)
    assert pages == 4


async def test_a_client_may_ask_for_smaller_pages(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    running = await hub(HostedRepo.from_files("o/n", FILES))
    url = f"{running.endpoint}/api/models/o/n/tree/main?limit=2"
    assert len((await get(http, url))[1]) == 2
    assert (await get(http, f"{url}&cursor=nonsense"))[0] == 400


async def test_info_names_the_commit_and_expands_what_is_asked(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    repo = HostedRepo.from_files("o/n", FILES)
    running = await hub(repo)
    url = f"{running.endpoint}/api/models/o/n"
    _, facts, _ = await get(http, url)
    assert (facts["id"], facts["sha"]) == ("o/n", repo.refs["refs/heads/main"])
    assert len(facts["siblings"]) == len(FILES)
    assert set((await get(http, f"{url}/revision/main?expand=sha"))[1]) == {"_id", "id", "sha"}
    status, body, headers = await get(http, f"{url}/revision/none")
    assert (status, headers["X-Error-Code"]) == (404, "RevisionNotFound")
    assert body == {"error": "Invalid rev id: none"}


async def test_the_gate_masks_hashes_in_trees_only(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    repo = HostedRepo.from_files("o/n", {"w.bin": b"w"}, gated="manual")
    running = await hub(repo)
    url = f"{running.endpoint}/api/models/o/n"
    assert (await get(http, url))[1]["gated"] == "manual"
    assert (await get(http, f"{url}/tree/main"))[1][0]["lfs"]["oid"] == "*" * 64
    assert repo.head is not None
    seen = (await get(http, f"{url}/tree/main", READER_TOKEN))[1][0]["lfs"]["oid"]
    assert seen == repo.head.files["w.bin"].etag
    assert (await get(http, f"{url}/auth-check"))[0] == 401


async def test_paths_info_takes_a_form_and_leaves_out_what_is_not_there(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    running = await hub(HostedRepo.from_files("o/n", {"a b": b"1", "d/f": b"2"}))
    url = f"{running.endpoint}/api/models/o/n/paths-info/main"
    async with http.post(url, data={"paths": "a b", "expand": "false"}) as response:
        assert [entry["path"] for entry in await response.json()] == ["a b"]
    form = aiohttp.FormData([("paths", "d"), ("paths", "none")])
    async with http.post(url, data=form) as response:
        assert [entry["type"] for entry in await response.json()] == ["directory"]


async def test_refs_show_requests_only_when_asked(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    repo = HostedRepo.from_files("o/n", {})
    commit = repo.refs["refs/heads/main"]
    repo.tag("v1", commit)
    repo.pull_request(1, commit)
    running = await hub(repo)
    url = f"{running.endpoint}/api/models/o/n/refs"
    _, refs, _ = await get(http, url)
    assert refs["branches"] == [{"name": "main", "ref": "refs/heads/main", "targetCommit": commit}]
    assert [tag["name"] for tag in refs["tags"]] == ["v1"]
    assert "pullRequests" not in refs
    asked = (await get(http, f"{url}?include_prs=1"))[1]["pullRequests"]
    assert [request["ref"] for request in asked] == ["refs/pr/1"]


async def test_the_caller_and_the_agents_are_known(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    running = await hub()
    whoami = f"{running.endpoint}/api/whoami-v2"
    assert (await get(http, whoami))[0] == 401
    assert (await get(http, whoami, READER_TOKEN))[1]["name"] == "reader"
    assert (await get(http, f"{running.endpoint}/api/agent-harnesses"))[1] == {}


async def test_xet_tokens_come_in_headers_and_body(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    running = await hub(HostedRepo.from_files("o/n", {}))
    _, body, headers = await get(http, f"{running.endpoint}/api/models/o/n/xet-read-token/main")
    assert headers["X-Xet-Access-Token"] == body["accessToken"]
    assert headers["X-Xet-Token-Expiration"] == str(body["exp"])
