from __future__ import annotations

import json
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.hubcache import (
    CACHEDIR_TAG,
    blob_name,
    decode_tree,
    digest_of_blob,
    encode_tree,
    is_repo_folder,
    pointer_name,
    pointer_target,
    ref_name,
    repo_folder_name,
    tree_name,
)
from hfdl_async.core.model import Digest, ListedFile, Listing, RemoteFile, RepoType

COMMIT = "c" * 40
GIT, SHA256 = Digest("git-sha1", "1" * 40), Digest("sha256", "2" * 64)
LISTING = Listing(
    COMMIT,
    (
        ListedFile("b/ü.bin", 300, SHA256, pointer_id="3" * 40, xet_hash="4" * 64),
        ListedFile("a.json", 10, GIT),
    ),
)
TREE = {
    "format_version": 1,
    "files": {
        "a.json": {"size": 10, "blob_id": "1" * 40},
        "b/ü.bin": {
            "size": 300,
            "blob_id": "3" * 40,
            "lfs_sha256": "2" * 64,
            "lfs_size": 300,
            "xet_hash": "4" * 64,
        },
    },
}


@pytest.mark.parametrize(
    ("repo_id", "repo_type", "expected"),
    [
        ("gpt2", "model", "models--gpt2"),
        ("org/name", "dataset", "datasets--org--name"),
        ("org/name", "space", "spaces--org--name"),
    ],
)
def test_each_repo_has_a_folder_of_its_own(
    repo_id: str, repo_type: RepoType, expected: str
) -> None:
    assert repo_folder_name(repo_id, repo_type) == expected
    assert is_repo_folder(expected)


def test_other_folders_of_a_cache_are_no_repos() -> None:
    assert not any(map(is_repo_folder, ("blobs", ".locks", "version.txt", "kernels--x")))


@pytest.mark.parametrize("path", ["a", "a/b", "a/b/c.txt"])
def test_a_pointer_leads_to_its_blob_from_any_depth(path: str) -> None:
    file = RemoteFile(path, 1, GIT)
    pointer = pointer_name(file, COMMIT)
    assert pointer == f"snapshots/{COMMIT}/{path}"
    target = posixpath.join(posixpath.dirname(pointer), pointer_target(file))
    assert posixpath.normpath(target) == blob_name(file) == f"blobs/{'1' * 40}"


@pytest.mark.parametrize("revision", ["main", "refs/pr/1", "feature/x", "v1.0", "ü"])
def test_a_revision_has_its_ref(revision: str) -> None:
    assert ref_name(revision) == f"refs/{revision}"


@pytest.mark.parametrize(
    "revision", ["", "..", "a/../b", "../../x", "/etc/passwd", "a//b", "a/", "x\0", "a" * 300]
)
def test_a_revision_that_is_no_name_has_none(revision: str) -> None:
    assert ref_name(revision) is None


def test_the_name_of_a_blob_is_its_digest() -> None:
    assert digest_of_blob("1" * 40) == GIT
    assert digest_of_blob("2" * 64) == SHA256
    for name in ("x" * 40, "A" * 40, "1" * 39, "1" * 41, f"{'1' * 40}.incomplete", "1" * 64 + "\n"):
        assert digest_of_blob(name) is None


def test_a_listing_is_kept_as_the_library_keeps_it() -> None:
    data = encode_tree(LISTING)
    assert data == json.dumps(TREE, indent=1).encode()
    assert data.isascii()


def test_a_listing_comes_back() -> None:
    data = encode_tree(LISTING)
    assert data is not None
    back = decode_tree(data, COMMIT)
    assert back is not None
    assert back.commit == COMMIT
    assert set(back.files) == set(LISTING.files)


@pytest.mark.parametrize(
    "file",
    [
        ListedFile("x", None, GIT),
        ListedFile("x", 1, None),
        ListedFile("x", 1, SHA256),  # the id of its pointer is unknown
    ],
)
def test_a_listing_with_a_gap_is_not_kept(file: ListedFile) -> None:
    assert encode_tree(Listing(COMMIT, (*LISTING.files, file))) is None


A = {"size": 1, "blob_id": "1" * 40}
LARGE = {**A, "lfs_sha256": "2" * 64, "lfs_size": 7}
BAD: dict[str, object] = {
    "another version": {**TREE, "format_version": 2},
    "no version": {"files": {}},
    "no files": {"format_version": 1},
    "a list": [],
    "files that are a list": {"format_version": 1, "files": []},
    "an entry that is no object": {"format_version": 1, "files": {"a": 5}},
    **{
        name: {"format_version": 1, "files": {path: entry}}
        for name, path, entry in [
            ("a hostile name", "../a", A),
            ("an absolute name", "/a", A),
            ("no size", "a", {"blob_id": "1" * 40}),
            ("a size that is text", "a", {**A, "size": "1"}),
            ("a size that is a truth", "a", {**A, "size": True}),
            ("a negative size", "a", {**A, "size": -1}),
            ("no blob", "a", {"size": 1}),
            ("a blob that is no hash", "a", {**A, "blob_id": "../../x"}),
            ("a large file without its size", "a", {**A, "lfs_sha256": "2" * 64}),
            ("a digest that is no hash", "a", {**LARGE, "lfs_sha256": "2"}),
            ("a masked hash", "a", {**A, "xet_hash": "****"}),
            ("a hash that is a number", "a", {**A, "xet_hash": 5}),
        ]
    },
}


@pytest.mark.parametrize("case", BAD)
def test_a_listing_that_cannot_be_used_is_ignored_as_a_whole(case: str) -> None:
    assert decode_tree(json.dumps(BAD[case]).encode(), COMMIT) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_a_listing_or_none(data: bytes) -> None:
    assert decode_tree(data, COMMIT) is None


def test_every_cut_of_a_listing_is_none() -> None:
    data = encode_tree(LISTING)
    assert data is not None
    assert all(decode_tree(data[:size], COMMIT) is None for size in range(len(data)))
    assert decode_tree(b"[" * 100_000, COMMIT) is None


def test_the_size_of_a_large_file_is_that_of_its_content() -> None:
    data = json.dumps({"format_version": 1, "files": {"a": LARGE}}).encode()
    listing = decode_tree(data, COMMIT)
    assert listing is not None
    assert listing.files == (ListedFile("a", 7, SHA256, pointer_id="1" * 40),)


def test_the_cache_is_marked_as_one() -> None:
    assert CACHEDIR_TAG.startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
    assert tree_name(COMMIT) == f"trees/{COMMIT}.json"


def test_a_number_in_place_of_an_entry_is_no_file() -> None:
    entry = {"size": 1, "blob_id": "1" * 40}
    for files in ({"a": 0}, {"a": entry, "b": 0}, {"a": 0, "b": entry}, {"a": 1, "b": entry}):
        data = json.dumps({"format_version": 1, "files": files}).encode()
        assert decode_tree(data, COMMIT) is None
    data = json.dumps({"format_version": 1, "files": {"blob_id": entry}}).encode()
    listing = decode_tree(data, COMMIT)
    assert listing is not None
    assert [file.path for file in listing.files] == ["blob_id"]
