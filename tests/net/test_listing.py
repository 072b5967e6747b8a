from __future__ import annotations

from collections.abc import Sequence

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.filetable import ListedFiles, paths_of
from hfdl_async.errors import (
    AccessError,
    HfdlError,
    LostConnectionError,
    NotFoundError,
    UnsafeError,
)
from hfdl_async.net.chain import Chain
from hfdl_async.net.listing import (
    FREE_TRIES,
    LANES,
    MAX_FOLDERS,
    MAX_LEVELS,
    list_commit,
)
from tests.net.trees import MemoryHub

pytestmark = pytest.mark.anyio


def folders(count: int, files: int, prefix: str = "") -> list[str]:
    return [f"{prefix}d{number:03}/{file:04}" for number in range(count) for file in range(files)]


async def listed(hub: MemoryHub, *, throttled: bool = False) -> list[str]:
    counts: list[int] = []
    listing = await list_commit(hub.tree, counts.append, lambda: throttled)
    assert counts == sorted(counts)
    assert counts[-1] == len(listing.files)
    return list(paths_of(listing.files))


def rounds(hub: MemoryHub) -> int:
    """Return how many requests the chain of the whole repo made: they come one after the other."""
    return hub.asked.count(("", True))


async def test_folders_of_a_slow_hub_are_listed_side_by_side() -> None:
    paths = folders(16, 100)
    hub = MemoryHub(paths, page_size=20, turns=5)
    assert await listed(hub) == paths
    pages = len(hub.entries("", recursive=True)) // hub.page_size
    assert rounds(hub) <= pages / 5
    assert hub.at_once == LANES + 1
    assert len(hub.asked) <= pages + 16 + 5 + 1  # a page more per folder, where they met, one look


@pytest.mark.parametrize(
    ("paths", "page_size", "seconds"),
    [
        (folders(16, 100), 20, 0.01),  # quick
        (folders(16, 4), 40, 1.0),  # short
        (folders(50, 3), 60, 1.0),  # small folders
        ([f"{number:03}" for number in range(50)], 5, 1.0),  # no folders
    ],
)
async def test_otherwise_nothing_but_the_chain_is_asked(
    paths: list[str], page_size: int, seconds: float
) -> None:
    hub = MemoryHub(paths, page_size=page_size, seconds=seconds)
    assert await listed(hub) == paths
    assert set(hub.asked) == {("", True)}
    assert len(hub.asked) == -(-len(hub.entries("", recursive=True)) // page_size)


async def test_a_hub_that_was_overburdened_is_asked_one_page_after_the_other() -> None:
    hub = MemoryHub(folders(16, 100), page_size=20)
    await listed(hub, throttled=True)
    assert set(hub.asked) == {("", True)}


async def test_a_single_folder_is_looked_into() -> None:
    paths = folders(10, 100, "data/train/")
    hub = MemoryHub(paths, page_size=12, turns=3)
    assert await listed(hub) == paths
    assert hub.asked.count(("data", False)) == 1
    assert rounds(hub) < 85 / 3


async def test_a_large_folder_among_small_ones_is_divided_in_its_turn() -> None:
    paths = [*folders(1, 80, "test/"), *folders(9, 80, "train/")]
    hub = MemoryHub(paths, page_size=10, turns=3)
    assert await listed(hub) == paths
    assert ("train", False) in hub.asked
    assert ("train/d008", True) in hub.asked


async def test_many_tiny_folders_behind_a_large_one_cost_little() -> None:
    tiny = [f"e{number:03}/f" for number in range(MAX_FOLDERS - 1)]
    hub = MemoryHub([*folders(1, 2000), *tiny], page_size=200, turns=3)
    assert await listed(hub) == [*folders(1, 2000), *tiny]
    wasted = [folder for folder, recursive in hub.asked if folder and recursive]
    assert len(wasted) <= FREE_TRIES + LANES


async def test_too_many_folders_to_name_on_one_page_are_left_to_the_chain() -> None:
    hub = MemoryHub(folders(20, 100), page_size=10, turns=3)
    await listed(hub)
    assert hub.asked.count(("", False)) == 1
    assert {folder for folder, _ in hub.asked} == {""}


@pytest.mark.parametrize("error", [NotFoundError("no"), AccessError("no"), UnsafeError("no")])
@pytest.mark.parametrize("folder", ["d005", "d009"])
async def test_a_folder_that_is_refused_leaves_it_to_the_chain(
    folder: str, error: HfdlError
) -> None:
    paths = folders(10, 100)
    hub = MemoryHub(paths, page_size=12, turns=3)
    hub.errors[folder] = error
    assert await listed(hub) == paths
    assert rounds(hub) == -(-1010 // 12)


@pytest.mark.parametrize("which", [3, 6, 20])
async def test_an_error_of_the_chain_is_the_error_and_no_group_of_errors(which: int) -> None:
    hub = MemoryHub(folders(10, 100), page_size=12, turns=3)
    hub.errors["d009"] = NotFoundError("of a folder")
    for number in range(which, 200):
        hub.failures[number] = AccessError("of the chain")
    with pytest.raises(AccessError, match="of the chain"):
        await listed(hub)


async def test_a_passing_failure_of_a_folder_is_tried_again() -> None:
    paths = folders(10, 100)
    hub = MemoryHub(paths, page_size=12, turns=3)
    hub.failures.update({number: LostConnectionError("gone") for number in (8, 13, 17)})
    assert await listed(hub) == paths
    assert rounds(hub) < 85 / 3


def other_order(folder: str, recursive: bool, entries: list[str]) -> list[str]:
    return entries if recursive else entries[::-1]


def other_folder(folder: str, recursive: bool, entries: list[str]) -> list[str]:
    return [entry.replace(folder, "zz") for entry in entries] if folder else entries


def other_sizes(folder: str, recursive: bool, entries: list[str]) -> list[str]:
    return [entry.replace('"size": 1', '"size": 2') for entry in entries] if folder else entries


def no_folders(folder: str, recursive: bool, entries: list[str]) -> list[str]:
    return [entry for entry in entries if "directory" not in entry] if recursive else entries


def by_level(folder: str, recursive: bool, entries: list[str]) -> list[str]:
    return sorted(entries, key=lambda entry: "directory" not in entry)


def swapped(folder: str, recursive: bool, entries: list[str]) -> list[str]:
    return [*entries[1::-1], *entries[2:]] if folder else entries


@pytest.mark.parametrize(
    "oddity",
    [other_order, other_folder, other_sizes, no_folders, by_level, swapped],
)
async def test_where_anything_is_odd_the_chain_alone_counts(oddity: object) -> None:
    hub = MemoryHub(folders(10, 100), page_size=12, turns=3)
    hub.altered = oddity  # type: ignore[assignment]
    assert await listed(hub) == await by_chain(hub)
    assert hub.asked.count(("", True)) == 2 * -(-len(hub.entries("", recursive=True)) // 12)


async def test_being_cancelled_leaves_nothing_under_way() -> None:
    hub = MemoryHub(folders(16, 100), page_size=20, turns=5)
    with anyio.CancelScope() as scope:

        def stop(count: int) -> None:
            if hub.at_once > LANES:
                scope.cancel()

        await list_commit(hub.tree, stop)
    assert scope.cancelled_caught
    assert hub.under_way == 0


async def by_chain(hub: MemoryHub) -> list[str]:
    chain = Chain(hub.tree)
    await chain.read(lambda: None)
    return list(chain.table.paths)


names = st.sampled_from(["a", "b", "b.c", "b-", "\u00e9", "z 1"])
some_paths = st.lists(names, min_size=1, max_size=4).map("/".join)


def is_tree(paths: Sequence[str]) -> bool:
    """Return whether no file is also a folder."""
    inner = {path.rsplit("/", n)[0] for path in paths for n in range(1, path.count("/") + 1)}
    return inner.isdisjoint(paths)


@given(
    st.sets(some_paths, min_size=12, max_size=150)
    .map(lambda paths: [f"{path}/{n}" for path in sorted(paths) for n in range(len(path))])
    .filter(is_tree),
    st.integers(2, 9),
    st.integers(0, 4),
)
def test_the_files_and_their_order_are_those_of_the_chain(
    paths: list[str], page_size: int, turns: int
) -> None:
    async def compare() -> None:
        hub = MemoryHub(paths, page_size=page_size, turns=turns)
        files = (await list_commit(hub.tree, lambda _: None)).files
        asked = len(hub.asked)
        chain = Chain(hub.tree)
        await chain.read(lambda: None)
        assert files == ListedFiles(chain.table)
        assert asked <= 2 * chain.pages + FREE_TRIES + 2 * LANES * (1 + MAX_LEVELS)

    anyio.run(compare)
