from __future__ import annotations

import os
from pathlib import Path

import pytest

from hfdl_async.core.model import Problem, RepoRef
from hfdl_async.core.options import Options
from hfdl_async.errors import DownloadError, HfdlError, StorageError, UnsafeError
from hfdl_async.refusing import (
    MOST_NAMES_SHOWN,
    other_folder_command,
    raise_problems,
    shorten,
)

FOLDER = Path("/d/name")


def problems(kind: str, count: int) -> list[Problem]:
    return [Problem(f"{kind}-{number}", kind, "why") for number in range(count)]


def test_no_problem_is_no_error() -> None:
    raise_problems([], FOLDER)


@pytest.mark.parametrize(("kind", "error"), [("unsafe", UnsafeError), ("storage", StorageError)])
def test_problems_of_one_kind_are_one_error_that_names_them_all(
    kind: str, error: type[HfdlError]
) -> None:
    with pytest.raises(error, match=f"3 refused: {kind}-0: why; {kind}-1: why; {kind}-2") as caught:
        raise_problems(problems(kind, 3), FOLDER)
    assert str(FOLDER) in caught.value.message
    assert caught.value.hint


def test_problems_of_several_kinds_are_told_together() -> None:
    with pytest.raises(DownloadError) as caught:
        raise_problems(problems("unsafe", 1) + problems("storage", 1), FOLDER)
    assert [type(error) for error in caught.value.errors] == [UnsafeError, StorageError]


def test_long_lists_are_cut_and_counted() -> None:
    names = [str(number) for number in range(MOST_NAMES_SHOWN + 2)]
    assert shorten(names[:2]) == "0, 1"
    assert shorten(names).endswith(f"{MOST_NAMES_SHOWN - 1} and 2 more")
    with pytest.raises(UnsafeError, match=r"and 2 more$"):
        raise_problems(problems("unsafe", len(names)), FOLDER)


@pytest.mark.skipif(os.name == "nt", reason="quoted for another shell")
def test_the_command_repeats_what_was_asked_for_with_a_folder_of_its_own() -> None:
    repo = RepoRef("org/name", "dataset", "v1")
    options = Options.parse(
        {"include": ["*.json", "a b"], "safe_only": True, "endpoint": "http://m"}
    )
    assert other_folder_command(repo, ["x.txt"], options, FOLDER) == (
        "hfdl datasets/org/name x.txt --revision v1 --include '*.json' --include 'a b' "
        "--safe-only --endpoint http://m --local-dir /d/org--name"
    )
    again = other_folder_command(RepoRef("org/name"), [], Options(), Path("/d/org--name"))
    assert again == "hfdl org/name --local-dir /d/org--name-2"
