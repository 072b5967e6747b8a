from __future__ import annotations

import os
from pathlib import Path

import pytest

from hfdl_async.core.model import RepoRef
from hfdl_async.core.options import Options
from hfdl_async.destination import Destination, choose, find_cache
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.sharedcache import SharedCache
from tests.disk.caches import CONTENTS, file_of

REPO = RepoRef("org/name", "dataset")


def chosen(tmp_path: Path, **asked: object) -> Destination:
    options = Options.parse(asked)
    return choose(REPO, tmp_path / "folder", find_cache(options), options)


def test_files_go_into_a_folder_unless_the_cache_is_asked_for(tmp_path: Path) -> None:
    place = chosen(tmp_path)
    assert isinstance(place, LocalDir)
    assert place.path == tmp_path / "folder"


def test_the_cache_has_a_folder_for_each_repo(tmp_path: Path) -> None:
    place = chosen(tmp_path, cache_dir=tmp_path / "hub")
    assert isinstance(place, SharedCache)
    place.pin("c" * 40)
    assert place.path == tmp_path / "hub" / "datasets--org--name" / "snapshots" / ("c" * 40)


def test_the_cache_is_where_the_libraries_look_for_it() -> None:
    from huggingface_hub import constants

    assert find_cache(Options.parse({"cache": True})) == Path(constants.HF_HUB_CACHE)
    assert find_cache(Options.parse({})) is None
    assert find_cache(Options.parse({"cache": False})) is None


def test_a_folder_for_the_cache_may_be_relative_or_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for cache in ({"cache_dir": "hub"}, {"cache": True, "cache_dir": "hub"}):
        assert find_cache(Options.parse(cache)) == tmp_path / "hub"
    if os.name != "nt":
        found = find_cache(Options.parse({"cache_dir": "~/hub"}))
        assert found == tmp_path / "home" / "hub"


@pytest.mark.parametrize(("value", "links"), [("1", False), ("0", True), (None, True)])
def test_links_are_made_unless_the_environment_forbids_them(
    value: str | None, links: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("HF_HUB_DISABLE_SYMLINKS", value)
    place = chosen(tmp_path, cache_dir=tmp_path)
    place.pin("c" * 40)
    path, data = next(iter(CONTENTS.items()))
    assert ("blobs" in place.place_of(file_of(path, data)).parts) == links


@pytest.mark.anyio
@pytest.mark.parametrize("allowed", [True, False])
async def test_links_on_the_way_are_followed_in_both_kinds_when_allowed(
    allowed: bool, tmp_path: Path
) -> None:
    from hfdl_async.errors import UnsafeError

    (tmp_path / "real").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a").symlink_to(tmp_path / "real")
    (tmp_path / "hub" / "datasets--org--name").mkdir(parents=True)
    (tmp_path / "hub" / "datasets--org--name" / "blobs").symlink_to(tmp_path / "real")
    asked = {"allow": ["symlinks"]} if allowed else {}
    for place in (chosen(tmp_path, **asked), chosen(tmp_path, cache_dir=tmp_path / "hub", **asked)):
        place.pin("c" * 40)
        if allowed:
            await place.survey([file_of("a/x", b"x")])
        else:
            with pytest.raises(UnsafeError, match="link"):
                await place.survey([file_of("a/x", b"x")])
