from __future__ import annotations

from pathlib import Path

from hfdl_async.core.names import CACHE_STATE_FOLDER, STATE_FOLDER
from hfdl_async.disk.home import STATE_FOLDERS, Home


def test_a_folder_keeps_its_state_to_its_owner() -> None:
    home = Home.of_folder(Path("/d/name"))
    assert (home.root, home.state_name, home.mode) == ("/d/name", STATE_FOLDER, 0o700)


def test_a_cache_may_be_shared_by_a_group() -> None:
    home = Home.of_cache(Path("/hub/models--org--name"))
    assert (home.state_name, home.mode) == (CACHE_STATE_FOLDER, 0o777)


def test_both_kinds_of_state_are_known_to_those_who_look_for_them() -> None:
    homes = (Home.of_folder(Path("/d")), Home.of_cache(Path("/d")))
    assert {home.state_name for home in homes} == set(STATE_FOLDERS)
