from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import ResolvedRevision

from hfdl_async.compat.asked import Asked
from hfdl_async.core.model import Action, Digest, Plan, PlannedFile, RemoteFile, RepoRef

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def asked(cache: Path, local_dir: Path | None = None, *, revision: str | None = None) -> Asked:
    return Asked.checked("org/tiny", None, revision, cache, local_dir, False)


def test_arguments_become_what_the_library_makes_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    found = Asked.checked("org/tiny", "dataset", None, "~/cache", "~/a/../b", False)
    assert (found.name, found.revision) == ("datasets/org/tiny", "main")
    assert found.cache_dir == str(tmp_path.resolve() / "cache")
    assert found.local_dir == str(tmp_path.resolve() / "b")
    assert asked(tmp_path, revision="v1").revision == "v1"
    assert asked(tmp_path, revision=ResolvedRevision(COMMIT, "main")).revision == COMMIT


def test_the_engine_is_told_one_destination(tmp_path: Path) -> None:
    cached = asked(tmp_path).options(None, None, tmp_path)
    assert cached["cache_dir"] == str(tmp_path.resolve())
    assert "local_dir" not in cached
    beside = asked(tmp_path, tmp_path / "plain")
    assert "reuse_from" not in beside.options(None, None, tmp_path)  # nothing of it is there
    os.makedirs(beside.stored)
    options = beside.options(None, None, tmp_path)
    assert "cache_dir" not in options
    assert options["reuse_from"] == [beside.stored]
    assert "reuse_from" not in beside.options(None, None, None)


def test_the_cache_has_an_answer_when_a_name_of_the_commit_is_there(tmp_path: Path) -> None:
    named, pinned = asked(tmp_path), asked(tmp_path, revision=COMMIT)
    assert not named.has_snapshot()
    assert not pinned.has_snapshot()
    snapshot = Path(named.stored, "snapshots", COMMIT)
    snapshot.mkdir(parents=True)
    assert pinned.has_snapshot()
    assert not named.has_snapshot()
    refs = Path(named.stored, "refs")
    refs.mkdir()
    (refs / "main").write_text(COMMIT, encoding="ascii")
    assert named.has_snapshot()
    assert not named.has_file("a/b.txt")
    (snapshot / "a").mkdir()
    (snapshot / "a/b.txt").write_bytes(b"x")
    assert named.has_file("a/b.txt")
    assert pinned.has_file("a/b.txt")


def test_a_folder_has_an_answer_when_it_is_there(tmp_path: Path) -> None:
    plain = asked(tmp_path, tmp_path / "plain")
    assert not plain.has_snapshot()
    (tmp_path / "plain").mkdir()
    assert plain.has_snapshot()
    assert not plain.has_file("a.txt")
    (tmp_path / "plain/a.txt").write_bytes(b"x")
    assert plain.has_file("a.txt")


@pytest.mark.parametrize("force", [False, True])
def test_a_plan_is_shown_in_the_librarys_form(tmp_path: Path, force: bool) -> None:
    digest = Digest("git-sha1", COMMIT)
    file = RemoteFile("nested/a.txt", 3, digest)
    planned = (
        PlannedFile(file, Action.REUSE),
        PlannedFile(file, Action.COPY, copy_of=os.path.abspath("elsewhere")),
        PlannedFile(file, Action.COPY, copy_of="twin.txt"),
        PlannedFile(file, Action.FETCH),
    )
    plan = Plan(RepoRef("org/tiny"), COMMIT, tmp_path / "snapshot", planned, 10**9)
    shown = replace(asked(tmp_path), force=force).previews(plan)
    assert [one.is_cached for one in shown] == [True, True, False, False]
    assert [one.will_download for one in shown] == [force, force, True, True]
    assert {one.local_path for one in shown} == {str(tmp_path / "snapshot/nested/a.txt")}
    assert {(one.commit_hash, one.file_size, one.filename) for one in shown} == {
        (COMMIT, 3, "nested/a.txt")
    }


def test_a_file_in_the_way_counts_as_there_and_to_be_fetched(tmp_path: Path) -> None:
    plain = asked(tmp_path, tmp_path)
    (tmp_path / "a.txt").write_bytes(b"mine")
    file = PlannedFile(RemoteFile("a.txt", 3, Digest("git-sha1", COMMIT)), Action.FETCH)
    plan = Plan(RepoRef("org/tiny"), COMMIT, tmp_path, (file,), 10**9)
    [shown] = plain.previews(plan)
    assert shown.is_cached
    assert shown.will_download
