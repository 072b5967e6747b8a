"""Everything that a hub says about a repo is kept, page by page."""

from __future__ import annotations

import json
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from benchmarks.capture import Captured, ask, capture
from hfdl_async.serving import HostedRepo, HubServer, Settings

pytestmark = pytest.mark.anyio

FILES = {f"part-{number // 4}/{number}.json": b"%d" % number for number in range(10)}


async def captured_from(files: dict[str, bytes], pages: Path, *, content: bool = True) -> Captured:
    repo = HostedRepo.from_files("bench/x", files)

    async with HubServer([repo], settings=Settings(page_size=4)) as hub:

        def work() -> Captured:
            return capture(hub.endpoint, "bench/x", pages, public="http://seen", content=content)

        return await anyio.to_thread.run_sync(work)


async def test_the_pages_are_those_of_the_hub_in_order(tmp_path: Path) -> None:
    captured = await captured_from(dict(FILES), tmp_path)
    whole = [page for page in captured.pages if (page.folder, page.recursive) == ("", "true")]
    assert [len(json.loads((tmp_path / page.name).read_text())) for page in whole] == [4, 4, 4, 1]
    assert [bool(page.link) for page in whole] == [True, True, True, False]
    assert whole[0].link.startswith("<http://seen/api/models/bench/x/tree/main?")
    assert whole[0].cursors == ("",)
    quoted, plain = whole[1].cursors
    assert f"cursor={quoted}>" in whole[0].link
    assert plain == quoted.replace("%3D", "=")


async def test_the_folders_are_listed_by_themselves_too(tmp_path: Path) -> None:
    captured = await captured_from(dict(FILES), tmp_path)
    assert {page.folder for page in captured.pages} == {"", "/part-0", "/part-1", "/part-2"}
    assert {page.recursive for page in captured.pages if page.folder} == {"true"}
    assert len([page for page in captured.pages if page.recursive == "false"]) == 1


async def test_small_files_are_known_by_their_id_and_large_ones_by_their_redirect(
    tmp_path: Path,
) -> None:
    captured = await captured_from({"a.json": b"{}", "m.bin": b"weights"}, tmp_path)
    assert captured.small == {"a.json": "9e26dfeeb6e641a33dae4961196235bdb965b21b"}
    (large,) = captured.large
    assert large.path == "m.bin"
    assert large.target.startswith("/xet-bridge-us/")
    assert large.headers["X-Linked-Size"] == "7"
    assert "http://seen/api/models/bench/x/xet-read-token/" in large.headers["Link"]


async def test_without_content_only_the_listing_is_kept(tmp_path: Path) -> None:
    captured = await captured_from(dict(FILES), tmp_path, content=False)
    assert captured.small == {}
    assert len(captured.pages) == 8


async def test_a_refusal_is_an_answer(tmp_path: Path) -> None:
    async with HubServer([]) as hub:
        status, headers, _ = await anyio.to_thread.run_sync(
            ask, f"{hub.endpoint}/bench/none/resolve/main/x"
        )
    assert status == 401
    assert headers["X-Error-Code"] == "RepoNotFound"
