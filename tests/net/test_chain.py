from __future__ import annotations

import pytest

from hfdl_async.errors import (
    LostConnectionError,
    NetworkError,
    NotFoundError,
    ProtocolError,
    UnsafeError,
)
from hfdl_async.net import chain as chains
from hfdl_async.net.chain import Chain
from tests.net.trees import MemoryHub

pytestmark = pytest.mark.anyio
PATHS = [f"d/{number}" for number in range(7)]


async def test_pages_are_put_together_in_order() -> None:
    hub = MemoryHub(PATHS)
    chain = Chain(hub.tree)
    counts: list[int] = []
    await chain.read(lambda: counts.append(len(chain.table)))
    assert chain.table.paths == PATHS
    assert chain.folders == [(0, "d")]
    assert counts == [1, 3, 5, 7]
    assert (chain.pages, chain.seconds, chain.children) == (4, 4.0, 1)
    assert len(hub.asked) == 4


async def test_the_next_page_is_asked_for_while_the_present_one_is_parsed() -> None:
    hub = MemoryHub(PATHS)
    chain = Chain(hub.tree)
    asked: list[int] = []
    await chain.read(lambda: asked.append(len(hub.asked)))
    assert asked == [2, 3, 4, 4]


async def test_a_flat_listing_is_not_asked_for_ahead() -> None:
    hub = MemoryHub(["a", "b", "c"])
    await Chain(hub.tree, recursive=False).turn()
    assert hub.asked == [("", False)]


async def test_a_page_that_failed_ahead_is_tried_again_in_its_turn() -> None:
    hub = MemoryHub(PATHS)
    hub.failures[2] = LostConnectionError("gone")
    chain = Chain(hub.tree)
    await chain.read(lambda: None)
    assert chain.table.paths == PATHS
    assert len(hub.asked) == 5


async def test_a_page_that_cannot_be_parsed_is_the_error_and_not_what_comes_after_it() -> None:
    hub = MemoryHub(PATHS)
    hub.altered = lambda _, __, entries: [*entries[:2], "3", *entries[3:]]
    hub.failures[3] = NotFoundError("of the page after it")
    with pytest.raises(ProtocolError, match="the listing has 3 for an entry"):
        await Chain(hub.tree).read(lambda: None)


async def test_a_name_on_two_pages_is_refused() -> None:
    hub = MemoryHub(PATHS)
    hub.altered = lambda _, __, entries: [*entries, entries[1]]
    with pytest.raises(UnsafeError, match="names d/0 twice"):
        await Chain(hub.tree).read(lambda: None)


async def test_a_listing_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chains, "MAX_PAGES", 2)
    with pytest.raises(NetworkError, match=r"does not end \(3 files on 2 pages\)"):
        await Chain(MemoryHub(PATHS).tree).read(lambda: None)


async def test_a_folder_whose_name_is_no_text_is_refused() -> None:
    with pytest.raises(UnsafeError, match="not valid Unicode"):
        Chain(MemoryHub(PATHS).tree, "\udc80")


async def test_a_folder_is_one_segment_of_the_address() -> None:
    hub = MemoryHub(["a b/c?/d", "x"])
    chain = Chain(hub.tree, "a b/c?")
    assert "/a%20b%2Fc%3F?recursive=true" in hub.tree.url("a b/c?", recursive=True).exact
    await chain.read(lambda: None)
    assert chain.table.paths == ["a b/c?/d"]
