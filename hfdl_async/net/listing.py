"""All files below a folder: by its chain of pages, and side by side where that is slow.

Theory of operation. Each page of a recursive listing says where the next one is, so they cannot be
asked for side by side; but folders can. Where pages are slow and many, the chain goes on from the
front while up to `LANES` others list folders from the back, each in the same way. When the chain
arrives in a folder from which on everything is known, `net.merging` puts the parts together. The
chain decides: where it ends first, or anything about the folders is odd or fails, it alone counts,
errors included. So nothing is known later than without the others, and hardly a page is asked for
twice but those of the folder where they meet.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import anyio
import anyio.abc

from hfdl_async.core.filetable import FileTable, ListedFiles
from hfdl_async.core.model import Listing
from hfdl_async.errors import HfdlError, NetworkError, ProtocolError
from hfdl_async.net.chain import MAX_FILES, Chain, Tree
from hfdl_async.net.merging import Unit, Units, is_walk, units_of

LANES = 7  # and the chain: eight requests at once, as for everything else that is asked of an API
PAGES_BEFORE = 4  # a listing shorter than that is not worth a request more
PAGES_PER_FOLDER = 4  # its last page is half empty: at most one request more for four
SLOW_PAGE_SECONDS = 0.04  # a Hub across the street takes less, and parsing about a tenth of it
MAX_FOLDERS = 128
MAX_LEVELS = 4  # flat listings that are asked for to find enough folders
FREE_TRIES = 8  # folders that may turn out small before it is judged whether they pay


class Shared:
    """What all listings of one commit share: the places of the lanes, and what they brought."""

    def __init__(self, tree: Tree, throttled: Callable[[], bool]) -> None:
        self.tree = tree
        self.throttled = throttled
        self.places = anyio.Semaphore(LANES)
        self.requests = 0
        self.files = 0

    def count(self, files: int) -> None:
        """Note a page of a lane with so many files."""
        self.requests += 1
        self.files += files
        if self.files > MAX_FILES:
            raise NetworkError("the listings of the folders do not end")


async def list_commit(
    tree: Tree, heard: Callable[[int], None], throttled: Callable[[], bool] = lambda: False
) -> Listing:
    """Return every file of a commit in the order of its listing.

    Args:
        tree: the commit, and how to ask for pages.
        heard: told how many files are known, after each page.
        throttled: whether the Hub was overburdened in this run.

    Raises:
        HfdlError: as `Chain.read`.
    """
    told = 0

    def tell() -> None:
        nonlocal told
        told = max(told, whole.known())  # what two have listed counts once, so it may shrink
        heard(told)

    whole = FolderListing(Shared(tree, throttled), "", tell)
    return Listing(tree.commit, ListedFiles(await whole.run()))


class FolderListing:
    """The listing of one folder; the root has the empty name."""

    def __init__(self, shared: Shared, folder: str, heard: Callable[[], None]) -> None:
        self.chain = Chain(shared.tree, folder)
        self._shared = shared
        self._folder = folder
        self._heard = heard
        self._counted = 0
        self._looked = False
        self._units: Units | None = None
        self._side: anyio.abc.TaskGroup | None = None
        self._under_way: dict[str, FolderListing] = {}
        self._merged: FileTable | None = None

    def known(self) -> int:
        """Return how many different files were listed so far, at least."""
        if self._merged is not None:
            return len(self._merged)
        count, place = len(self.chain.table), self._place()
        if self._units is None or place is None:
            return count
        for unit in self._units.all[place + 1 :]:
            if unit.table is not None:
                count += len(unit.table)
            elif unit.path in self._under_way:
                count += self._under_way[unit.path].known()
        return count

    def _place(self) -> int | None:
        """Return in which unit the chain is."""
        paths = self.chain.table.paths
        return self._units.place(paths[-1]) if self._units and paths else None

    async def run(self) -> FileTable:
        """Return all files below the folder; raises as `Chain.read`."""
        failure: HfdlError | None = None
        async with anyio.create_task_group() as group:
            try:
                await self.chain.read(partial(self._turned, group))
            except HfdlError as error:
                failure = error
            group.cancel_scope.cancel()
        if self._merged is not None:
            return self._merged
        if failure is not None:
            raise failure
        if self._folder and not self._is_walk():
            raise ProtocolError(f"{self._folder}: the listing names what is not in it")
        return self.chain.table

    def _is_walk(self) -> bool:
        return is_walk(self.chain.table.paths, self.chain.folders, self._folder)

    def _turned(self, group: anyio.abc.TaskGroup) -> None:
        """Go on from a page of the chain."""
        if self._folder:
            new = len(self.chain.table) - self._counted
            self._counted += new
            self._shared.count(new)
        self._heard()
        if self.chain.ended:
            return
        if self._units is not None:
            self._meet(group)
        elif not self._looked and self._pays() and self._is_walk():
            self._looked = True
            group.start_soon(self._side_by_side, group)

    def _pays(self) -> bool:
        chain = self.chain
        return (
            chain.children > 0
            and chain.pages >= max(PAGES_BEFORE, PAGES_PER_FOLDER * chain.children)
            and chain.seconds >= SLOW_PAGE_SECONDS * chain.pages
            and len(chain.table) > 0
            and self._shared.places.value > 0
            and not self._shared.throttled()
        )

    async def _side_by_side(self, group: anyio.abc.TaskGroup) -> None:
        try:
            self._units = await self._look()
        except HfdlError:
            return  # the chain will tell, if it meets the same
        async with anyio.create_task_group() as side:
            self._side = side
            for _ in range(LANES):
                side.start_soon(self._lane, group)

    async def _look(self) -> Units | None:
        """Return what is in this folder, level by level where the chain is, if that is enough."""
        units: Units | None = None
        folder, place = self._folder, 0
        for _ in range(MAX_LEVELS):
            level = Chain(self._shared.tree, folder, recursive=False)
            await level.turn()
            children = units_of(level.table, level.folders, folder)
            if not level.ended or children is None:
                break
            finer = Units(children) if units is None else units.replaced(place, children)
            here = finer.place(self.chain.table.paths[-1])
            if here is None or not self._pays_in(finer, here):
                break
            units, place = finer, here
            if not units.all[place].is_folder or units.folders_behind(place) >= LANES:
                break
            folder = units.all[place].path
        return units

    def _pays_in(self, units: Units, place: int) -> bool:
        begun = units.folders_to(place)
        behind = units.folders_behind(place)
        return PAGES_PER_FOLDER * begun <= self.chain.pages and behind <= MAX_FOLDERS

    async def _lane(self, group: anyio.abc.TaskGroup) -> None:
        """List folders from the back, one after the other."""
        try:
            while True:
                async with self._shared.places:
                    unit = self._take()
                    if unit is None:
                        return
                    one = FolderListing(self._shared, unit.path, self._heard)
                    self._under_way[unit.path] = one
                    unit.table = await one.run()
                    del self._under_way[unit.path]
                self._meet(group)
        except HfdlError:
            self._go_alone()  # it will be told by the chain, if the chain meets it, too

    def _take(self) -> Unit | None:
        """Return the last folder that nobody has; None: the rest is for the chain."""
        place = self._place()
        if self._units is None or place is None or self._is_waste():
            return None
        for unit in reversed(self._units.all[place + 1 :]):
            if unit.is_folder and not unit.taken:
                unit.taken = True
                return unit
        return None

    def _is_waste(self) -> bool:
        """Return whether the pages of the lanes are not half as full as those of the chain."""
        shared, chain = self._shared, self.chain
        if shared.requests < FREE_TRIES:
            return False
        return 2 * shared.files * chain.pages < shared.requests * len(chain.table)

    def _meet(self, group: anyio.abc.TaskGroup) -> None:
        """End the listing if everything is known from where the chain is."""
        place = self._place()
        if self._units is None:
            return
        if place is None:
            self._go_alone()
        elif self._units.complete_from(place):
            merged = self._units.merge(self.chain.table, place) if self._is_walk() else None
            if merged is None:
                self._go_alone()
            else:
                self._merged = merged
                self._heard()
                group.cancel_scope.cancel()

    def _go_alone(self) -> None:
        self._units = None
        if self._side is not None:
            self._side.cancel_scope.cancel()
