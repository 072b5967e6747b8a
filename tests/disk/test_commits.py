from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hfdl_async.core.hubcache import CACHEDIR_TAG, encode_tree
from hfdl_async.core.model import Digest, ListedFile, Listing
from hfdl_async.disk import commits
from hfdl_async.disk.calls import Calls
from hfdl_async.disk.folder import Folders, open_for_writing
from hfdl_async.disk.home import Home
from hfdl_async.errors import StorageError
from tests.disk.faults import COMMIT, FaultyCalls, descriptors_balanced

GIT = Digest("git-sha1", "1" * 40)
LISTING = Listing(COMMIT, (ListedFile("a/b", 3, GIT), ListedFile("c", 0, GIT)))
REF, TREE = COMMIT.encode(), encode_tree(LISTING)


@contextmanager
def folders_at(root: Path) -> Iterator[Folders]:
    """Give the open folders of a repo."""
    with descriptors_balanced():
        folders = open_for_writing(Calls(), Home.of_cache(root), lambda _sentence: None)
        try:
            yield folders
        finally:
            folders.close(Calls())


def finish(folders: Folders, revision: str, *, listed: bool = False) -> list[str]:
    """Write what is not written yet; return the names."""
    documents = commits.unwritten(Calls(), folders.root, revision, LISTING, listed=listed)
    commits.write(Calls(), folders, documents)
    return [path for path, _ in documents]


def test_a_commit_is_noted_with_the_ref_last_and_without_a_line_end(tmp_path: Path) -> None:
    with folders_at(tmp_path) as folders:
        assert finish(folders, "main") == [f"trees/{COMMIT}.json", "refs/main"]
        assert (tmp_path / "refs/main").read_bytes() == REF
        assert (tmp_path / f"trees/{COMMIT}.json").read_bytes() == TREE
        tree = commits.read_tree(Calls(), folders.root, COMMIT)
        assert tree is not None
        assert set(tree.files) == set(LISTING.files)
        assert commits.read_ref(Calls(), folders.root, "main") == COMMIT
        assert finish(folders, "main", listed=True) == []


@pytest.mark.parametrize("revision", ["refs/pr/1", "feature/x"])
def test_a_revision_may_have_slashes(revision: str, tmp_path: Path) -> None:
    with folders_at(tmp_path) as folders:
        finish(folders, revision)
        assert (tmp_path / "refs" / revision).read_bytes() == REF
        assert commits.read_ref(Calls(), folders.root, revision) == COMMIT


@pytest.mark.parametrize("revision", [COMMIT, "..", "../../x", "/x", "a/../b"])
def test_a_commit_and_what_is_no_name_have_no_ref(revision: str, tmp_path: Path) -> None:
    with folders_at(tmp_path / "r") as folders:
        assert finish(folders, revision) == [f"trees/{COMMIT}.json"]
        assert commits.read_ref(Calls(), folders.root, revision) is None
    assert os.listdir(tmp_path) == ["r"]


def test_a_ref_is_replaced_only_when_it_says_something_else(tmp_path: Path) -> None:
    with folders_at(tmp_path) as folders:
        finish(folders, "main")
        before = (tmp_path / "refs/main").stat().st_ino
        finish(folders, "main")
        assert (tmp_path / "refs/main").stat().st_ino == before
        for other in (b"d" * 40, REF + b"\n", b"", b"\xff" * 40):
            (tmp_path / "refs/main").write_bytes(other)
            finish(folders, "main")
            assert (tmp_path / "refs/main").read_bytes() == REF


def test_what_is_no_ref_is_none(tmp_path: Path) -> None:
    (tmp_path / "refs").mkdir()
    (tmp_path / "outside").write_bytes(REF)
    (tmp_path / "refs/short").write_bytes(b"c" * 39)
    (tmp_path / "refs/long").write_bytes(b"c" * 5000)
    (tmp_path / "refs/link").symlink_to(tmp_path / "outside")
    (tmp_path / "refs/line").write_bytes(REF + b"\n")
    with folders_at(tmp_path) as folders:
        for name in ("short", "long", "link", "missing", "short/deeper"):
            assert commits.read_ref(Calls(), folders.root, name) is None
        assert commits.read_ref(Calls(), folders.root, "line") == COMMIT
    assert commits.read_ref(Calls(), None, "main") is None
    assert commits.read_tree(Calls(), None, COMMIT) is None


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a")])
def test_a_ref_in_the_way_of_another_is_a_storage_error(
    first: str, second: str, tmp_path: Path
) -> None:
    with folders_at(tmp_path) as folders:
        finish(folders, first)
        with pytest.raises(StorageError, match="refs/a"):
            finish(folders, second)
        assert commits.read_ref(Calls(), folders.root, first) == COMMIT
        assert commits.read_ref(Calls(), folders.root, second) is None
        assert os.listdir(folders.parts.path) == []


def test_a_listing_that_cannot_be_used_is_replaced(tmp_path: Path) -> None:
    tree = tmp_path / f"trees/{COMMIT}.json"
    tree.parent.mkdir()
    assert TREE is not None
    tree.write_bytes(TREE[:-3])
    with folders_at(tmp_path) as folders:
        assert commits.read_tree(Calls(), folders.root, COMMIT) is None
        finish(folders, "main")
        assert commits.read_tree(Calls(), folders.root, COMMIT) is not None


@pytest.mark.parametrize("only", ["write", "sync", "rename"])
def test_what_fails_leaves_nothing_where_readers_look(only: str, tmp_path: Path) -> None:
    with folders_at(tmp_path) as folders:
        documents = commits.unwritten(Calls(), folders.root, "main", LISTING, listed=False)
        for number in (1, 2):
            calls = FaultyCalls(fail_at=number, error=errno.ENOSPC, only=(only,))
            with pytest.raises(StorageError):
                commits.write(calls, folders, documents)
            assert os.listdir(tmp_path / "trees") == ([f"{COMMIT}.json"] if number > 1 else [])
            assert not (tmp_path / "refs").exists() or os.listdir(tmp_path / "refs") == []
            assert os.listdir(folders.parts.path) == []


def test_the_files_of_a_snapshot_are_known_by_their_links(tmp_path: Path) -> None:
    snapshot = tmp_path / "snapshots" / COMMIT
    (snapshot / "deep").mkdir(parents=True)
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / ("1" * 40)).write_bytes(b"abc")
    (snapshot / "deep/linked").symlink_to(f"../../../blobs/{'1' * 40}")
    (snapshot / "gone").symlink_to(f"../../blobs/{'2' * 64}")
    (snapshot / "odd").symlink_to("../../blobs/odd")
    (snapshot / "plain").write_bytes(b"abcd")
    (snapshot / "folder").symlink_to("deep")
    assert {file.path: (file.size_bytes, file.digest) for file in commits.files_in(snapshot)} == {
        "deep/linked": (3, GIT),
        "gone": (None, Digest("sha256", "2" * 64)),
        "odd": (None, None),
        "plain": (4, None),
    }
    assert list(commits.files_in(tmp_path / "nowhere")) == []


def test_the_cache_is_marked_once(tmp_path: Path) -> None:
    with folders_at(tmp_path / "repo") as folders:
        commits.write_tag(Calls(), tmp_path, folders)
        assert (tmp_path / "CACHEDIR.TAG").read_bytes() == CACHEDIR_TAG
        (tmp_path / "CACHEDIR.TAG").write_bytes(b"theirs")
        commits.write_tag(Calls(), tmp_path, folders)
        assert (tmp_path / "CACHEDIR.TAG").read_bytes() == b"theirs"
    assert sorted(os.listdir(tmp_path)) == ["CACHEDIR.TAG", "repo"]


@pytest.mark.parametrize("only", ["open", "write", "rename"])
def test_a_cache_that_cannot_be_marked_is_as_good_without(only: str, tmp_path: Path) -> None:
    with folders_at(tmp_path / "repo") as folders:
        calls = FaultyCalls(fail_at=1, for_ever=True, error=errno.EACCES, only=(only,))
        commits.write_tag(calls, tmp_path, folders)
        assert os.listdir(folders.parts.path) == []
    assert os.listdir(tmp_path) == ["repo"]
