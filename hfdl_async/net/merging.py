"""Folders that were listed by themselves, put where the one long listing would have them.

Theory of operation. The Hub's recursive listing is a walk: a folder is named, then all that is in
it, then the next one; `is_walk` proves that of what came so far. A flat listing of the same folder
names its children in the same order: the units. So when the walk stands in one unit, whatever
comes before that unit is complete, and the rest is that unit and those behind it. Once each of them
was listed by itself, the walk has nothing to add. Every assumption is checked against what the
walk did say; where one fails, the walk alone counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hfdl_async.core.filetable import FileTable

Folders = Sequence[tuple[int, str]]  # each with the number of files that were named before it


@dataclass(slots=True)
class Unit:
    """A child of a folder; `table` holds what is in it once that is known."""

    path: str
    is_folder: bool
    table: FileTable | None = None
    taken: bool = False


def parent_of(path: str) -> str:
    """Return the folder that *path* is in, empty for the root."""
    return path.rpartition("/")[0]


def is_walk(paths: Sequence[str], folders: Folders, under: str) -> bool:
    """Return whether files and folders came as a walk of *under*: none left out, none twice."""
    open_folders, seen, filled = [under], {under}, True
    row = 0
    for before, folder in (*folders, (len(paths), None)):
        for path in paths[row:before]:
            parent = path.rpartition("/")[0]
            while filled and parent != open_folders[-1] and len(open_folders) > 1:
                open_folders.pop()
            if parent != open_folders[-1]:
                return False
            filled = True
        row = before
        if folder is None:
            break
        while filled and parent_of(folder) != open_folders[-1] and len(open_folders) > 1:
            open_folders.pop()
        if parent_of(folder) != open_folders[-1] or folder in seen or folder.endswith("/"):
            return False
        open_folders.append(folder)
        seen.add(folder)
        filled = False  # Git knows no empty folder: what is in it comes next
    return True


def units_of(table: FileTable, folders: Folders, under: str) -> list[Unit] | None:
    """Return the children of *under* in the order of its flat listing; None: they are not that."""
    units = list[Unit]()
    row = 0
    for before, name in (*folders, (len(table), None)):
        for number in range(row, before):
            path = table.paths[number]
            units.append(Unit(path, is_folder=False, table=_row_of(table, number)))
        row = before
        if name is not None:
            units.append(Unit(name, is_folder=True))
    names = {unit.path for unit in units}
    proper = all(_is_child(name, under) for name in names)
    return units if proper and len(names) == len(units) else None


def _is_child(path: str, folder: str) -> bool:
    return parent_of(path) == folder and path.rpartition("/")[2] not in {"", ".", ".."}


def _row_of(table: FileTable, row: int) -> FileTable:
    single = FileTable()
    single.paths.append(table.paths[row])
    single.sizes.append(table.sizes[row])
    single.hashes.append(table.hashes[row])
    return single


class Units:
    """The children of a folder, some of them replaced by their own children, in order."""

    def __init__(self, units: Iterable[Unit]) -> None:
        self.all = list(units)
        self._places = {unit.path: place for place, unit in enumerate(self.all)}

    def place(self, path: str) -> int | None:
        """Return which unit *path* is or is in."""
        while path:
            place = self._places.get(path)
            if place is not None:
                return place
            path = parent_of(path)
        return None

    def replaced(self, place: int, children: Iterable[Unit]) -> Units:
        """Return the units with the children of one instead of it."""
        return Units([*self.all[:place], *children, *self.all[place + 1 :]])

    def folders_to(self, place: int) -> int:
        """Return how many folders there are up to that unit, itself included."""
        return sum(unit.is_folder for unit in self.all[: place + 1])

    def folders_behind(self, place: int) -> int:
        """Return how many folders there are behind that unit."""
        return sum(unit.is_folder for unit in self.all[place + 1 :])

    def complete_from(self, place: int) -> bool:
        """Return whether that unit and all behind it are known."""
        return all(unit.table is not None for unit in self.all[place:])

    def merge(self, walk: FileTable, place: int) -> FileTable | None:
        """Return what *walk*, now in the unit at *place*, will end as; None: it contradicts.

        All units from there on are known.
        """
        border = self._border(walk.paths, place)
        if border is None:
            return None
        rest = FileTable()
        for unit in self.all[place:]:
            assert unit.table is not None
            rest.extend(unit.table)
        said = len(walk) - border
        same = (
            rest.paths[:said] == walk.paths[border:]
            and rest.sizes[:said] == walk.sizes[border:]
            and rest.hashes[:said] == walk.hashes[border:]
        )
        if not same:
            return None
        whole = walk.where([True] * border)
        whole.extend(rest)
        return whole

    def _border(self, paths: Sequence[str], place: int) -> int | None:
        """Return how many of *paths* come before a unit; None: the units are in another order."""
        now, prefix = -1, ""
        for row, path in enumerate(paths):
            if prefix and path.startswith(prefix):
                continue
            if self.place(path) != now + 1:
                return None
            now += 1
            if now == place:
                return row
            unit = self.all[now]
            prefix = f"{unit.path}/" if unit.is_folder else ""
        return None
