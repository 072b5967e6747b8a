from __future__ import annotations

import pytest

from hfdl_async.core.filetable import FileTable
from hfdl_async.core.model import ListedFile
from hfdl_async.net.merging import Unit, Units, is_walk, units_of


def table(*paths: str) -> FileTable:
    made = FileTable()
    for path in paths:
        made.add(ListedFile(path, 1, None))
    return made


def walked(*names: str) -> tuple[list[str], list[tuple[int, str]]]:
    """Return files and folders; the name of a folder ends with a slash."""
    files: list[str] = []
    folders: list[tuple[int, str]] = []
    for name in names:
        if name.endswith("/"):
            folders.append((len(files), name[:-1]))
        else:
            files.append(name)
    return files, folders


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("a", "b"),
        ("d/", "d/a", "a"),
        ("d/", "d/e/", "d/e/f", "d/g", "h/", "h/i"),
        ("d/", "d/e/", "d/e/f/", "d/e/f/g", "z"),
        ("d/", "d/a", "e/"),
    ],
)
def test_a_folder_is_followed_by_what_is_in_it(names: tuple[str, ...]) -> None:
    assert is_walk(*walked(*names), "")
    below = [f"top/{name}" for name in names]
    assert is_walk(*walked(*below), "top")


@pytest.mark.parametrize(
    "names",
    [
        ("d/", "e/", "d/a", "e/a"),  # level by level
        ("d/", "a", "d/a"),
        ("d/", "d/a", "a", "d/b"),  # back in a folder that was left
        ("d/", "d/a", "a", "d/", "d/b"),
        ("d/a",),  # a folder that was not named
        ("d/", "d/e/f"),
        ("d/", "e/"),
        ("/", "a"),
    ],
)
def test_any_other_order_is_no_walk(names: tuple[str, ...]) -> None:
    assert not is_walk(*walked(*names), "")


def test_a_walk_of_a_folder_stays_in_it() -> None:
    assert not is_walk(["b/a"], [], "a")
    assert not is_walk(["a"], [], "a")
    assert not is_walk(["ab"], [], "a")


def test_units_are_the_children_in_order() -> None:
    units = units_of(table("s/a", "s/b"), [(0, "s/d"), (1, "s/e"), (2, "s/f")], "s")
    assert units is not None
    assert [unit.path for unit in units] == ["s/d", "s/a", "s/e", "s/b", "s/f"]
    assert [unit.table and unit.table.paths for unit in units] == [
        None, ["s/a"], None, ["s/b"], None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "folders"),
    [
        (["a/b"], []),
        (["a"], [(0, "a")]),
        ([], [(0, "a"), (0, "a")]),
        ([], [(0, "..")]),
        ([], [(0, ".")]),
        ([], [(0, "")]),
        ([], [(0, "a/")]),
    ],
)
def test_what_no_folder_can_hold_makes_no_units(
    files: list[str], folders: list[tuple[int, str]]
) -> None:
    assert units_of(table(*files), folders, "") is None


def some_units() -> Units:
    return Units(
        [
            Unit("d", is_folder=True),
            Unit("e", is_folder=True, table=table("e/1", "e/2")),
            Unit("f", is_folder=False, table=table("f")),
        ]
    )


def test_a_path_is_in_the_unit_that_begins_it() -> None:
    units = some_units()
    assert [units.place(path) for path in ("d/x/y", "e", "f", "g", "dd", "")] == [
        0, 1, 2, None, None, None,
    ]  # fmt: skip
    assert not units.complete_from(0)
    assert units.complete_from(1)
    assert (units.folders_to(1), units.folders_behind(0)) == (2, 1)


def test_a_unit_is_replaced_by_its_children() -> None:
    finer = some_units().replaced(0, [Unit("d/a", is_folder=True), Unit("d/b", is_folder=True)])
    assert [unit.path for unit in finer.all] == ["d/a", "d/b", "e", "f"]
    assert finer.place("d/b/c") == 1


def test_what_the_walk_has_not_reached_comes_from_the_units() -> None:
    merged = some_units().merge(table("d/1", "d/x/2", "e/1"), 1)
    assert merged is not None
    assert merged.paths == ["d/1", "d/x/2", "e/1", "e/2", "f"]
    assert len(merged.sizes) == len(merged.hashes) == 5


@pytest.mark.parametrize(
    "walk",
    [
        ("d/1", "e/2"),  # the folder has another order
        ("d/1", "e/3"),
        ("d/1", "e/1", "e/2", "e/3"),
        ("e/1",),  # a unit is left out
        ("f", "d/1", "e/1"),
        ("d/1", "x", "e/1"),
    ],
)
def test_a_walk_that_says_otherwise_is_believed(walk: tuple[str, ...]) -> None:
    assert some_units().merge(table(*walk), 1) is None


def test_another_size_of_a_file_is_a_contradiction() -> None:
    walk = table("d/1", "e/1")
    walk.sizes[1] = 7
    assert some_units().merge(walk, 1) is None
