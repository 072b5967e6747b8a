from __future__ import annotations

import json

from hfdl_async.serving import listing
from hfdl_async.serving.repos import HostedRepo

REPO = HostedRepo.from_files("o/n", {"a/b/c.txt": b"1", "a/d.bin": b"2", "e.txt": b"3"})


def paths(under: str = "", *, recursive: bool = True) -> list[str] | None:
    assert REPO.head is not None
    found = listing.entries(REPO.head, under=under, recursive=recursive, masked=False, expand=False)
    return None if found is None else [json.loads(entry)["path"] for entry in found]


def test_folders_stand_among_the_files_even_in_a_recursive_listing() -> None:
    assert paths() == ["a", "a/b", "a/b/c.txt", "a/d.bin", "e.txt"]


def test_a_flat_listing_has_the_children_only() -> None:
    assert paths(recursive=False) == ["a", "e.txt"]
    assert paths("a", recursive=False) == ["a/b", "a/d.bin"]
    assert paths("a/b") == ["a/b/c.txt"]


def test_a_folder_that_is_not_there_is_none_and_an_empty_repo_is_empty() -> None:
    assert paths("x") is None
    empty = HostedRepo.from_files("o/empty", {}).head
    assert empty is not None
    assert listing.entries(empty, under="", recursive=True, masked=False, expand=False) == []


def test_masked_entries_keep_sizes_but_no_hash_of_large_files() -> None:
    assert REPO.head is not None
    file = REPO.head.files["a/d.bin"]
    entry = listing.file_entry(file, masked=True)
    assert entry["lfs"] == {"oid": "*" * 64, "size": 1, "pointerSize": file.lfs.pointer_size}  # type: ignore[union-attr]
    assert entry["xetHash"] == "*" * 64
    assert "lfs" not in listing.file_entry(REPO.head.files["e.txt"], masked=True)


def test_info_follows_what_the_repo_says_of_itself() -> None:
    repo = HostedRepo.from_files("o/n", {"f.bin": b"2"})
    assert repo.head is not None
    assert json.loads(listing.info(repo, repo.head, blobs=False))["gated"] is False
    repo.gated = "auto"
    facts = json.loads(listing.info(repo, repo.head, blobs=True))
    assert facts["gated"] == "auto"
    assert facts["siblings"][0]["lfs"]["sha256"] == repo.head.files["f.bin"].etag


def test_cursors_come_back_and_others_are_refused() -> None:
    cursor = listing.cursor_at(1000, '{"path": "a", "oid": "b"}')
    assert listing.offset_of(cursor) == 1000
    assert "1000" not in cursor
    assert listing.offset_of("%%%") is None
    assert listing.offset_of("YWJj") is None
