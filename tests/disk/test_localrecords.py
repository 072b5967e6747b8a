from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hfdl_async.core.localrecords import LocalRecord, decode_local_record, encode_local_record
from hfdl_async.core.model import Digest, ListedFile, Listing
from hfdl_async.core.state import Receipt
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.localrecords import forget_records, read_record, write_records, write_tree
from tests.disk.faults import COMMIT, FaultyCalls, descriptors_balanced

ONE = Receipt("a.bin", 5, Digest("sha256", "a" * 64), (), 1, 2, 3, "0" * 40)
TWO = replace(ONE, path="d/e/b.txt", digest=Digest("git-sha1", "b" * 40))
BARE = replace(ONE, path="bare", digest=None)
LISTING = Listing(COMMIT, (ListedFile("d/e/b.txt", 5, TWO.digest),))
RECORDS = ".cache/huggingface/download"


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Folder]:
    opened = Calls().open_root(str(tmp_path))
    yield opened
    Calls().close_folder(opened)


def names_below(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}


def test_each_file_with_a_digest_gets_a_record(root: Folder, tmp_path: Path) -> None:
    before = time.time()
    with descriptors_balanced():
        write_records(Calls(), root, [TWO, BARE, ONE], COMMIT)
    assert names_below(tmp_path / ".cache") == {
        "huggingface/CACHEDIR.TAG",
        "huggingface/.gitignore",
        "huggingface/download/a.bin.metadata",
        "huggingface/download/d/e/b.txt.metadata",
    }
    for receipt in (ONE, TWO):
        record = read_record(Calls(), root, receipt.path)
        assert record is not None
        assert (record.commit, record.digest) == (COMMIT, receipt.digest)
        assert before <= record.timestamp <= time.time()


def test_a_record_is_never_older_than_its_file(root: Folder) -> None:
    future = int((time.time() + 3600) * 10**9)
    write_records(Calls(), root, [replace(ONE, mtime_ns=future)], COMMIT)
    record = read_record(Calls(), root, "a.bin")
    assert record is not None
    assert record.covers(future)


def test_what_is_right_already_is_not_written_again(root: Folder, tmp_path: Path) -> None:
    write_records(Calls(), root, [ONE, TWO], COMMIT)
    before = {path: path.stat() for path in (tmp_path / ".cache").rglob("*") if path.is_file()}
    calls = FaultyCalls()
    write_records(calls, root, [ONE, TWO], COMMIT)
    assert {path: path.stat() for path in before} == before
    assert not {"write", "unlink", "sync", "sync_folder"} & set(calls.made)


@pytest.mark.parametrize(
    "old",
    [
        encode_local_record(LocalRecord("0" * 40, "a" * 64, 5e9)),
        encode_local_record(LocalRecord(COMMIT, "f" * 64, 5e9)),
        encode_local_record(LocalRecord(COMMIT, "a" * 64, -5.0)),
        b"torn",
    ],
    ids=["commit", "etag", "time", "torn"],
)
def test_what_differs_is_replaced_and_not_written_through(
    old: bytes, root: Folder, tmp_path: Path
) -> None:
    place = tmp_path / RECORDS / "a.bin.metadata"
    place.parent.mkdir(parents=True)
    (tmp_path / "second name").write_bytes(old)
    os.link(tmp_path / "second name", place)
    write_records(Calls(), root, [ONE], COMMIT)
    record = decode_local_record(place.read_bytes())
    assert record is not None
    assert (record.commit, record.digest) == (COMMIT, ONE.digest)
    assert record.covers(ONE.mtime_ns)
    assert (tmp_path / "second name").read_bytes() == old


@pytest.mark.parametrize("link", [".cache", ".cache/huggingface", RECORDS, f"{RECORDS}/d"])
def test_no_link_is_followed_on_the_way(link: str, root: Folder, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "e").mkdir(parents=True)
    place = tmp_path / link
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(outside)
    (outside / "b.txt.metadata").write_bytes(encode_local_record(LocalRecord(COMMIT, "b", 5e9)))
    with pytest.raises(OSError, match=str(place)):
        write_records(Calls(), root, [TWO], COMMIT)
    assert names_below(outside) == {"b.txt.metadata"}
    assert read_record(Calls(), root, "d/b.txt") is None


def test_a_record_that_is_a_link_is_replaced_itself(root: Folder, tmp_path: Path) -> None:
    place = tmp_path / RECORDS / "a.bin.metadata"
    place.parent.mkdir(parents=True)
    (tmp_path / "precious").write_bytes(b"precious")
    place.symlink_to(tmp_path / "precious")
    assert read_record(Calls(), root, "a.bin") is None
    write_records(Calls(), root, [ONE], COMMIT)
    assert not place.is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"


def test_nothing_is_synced(root: Folder) -> None:
    calls = FaultyCalls()
    write_records(calls, root, [ONE, TWO], COMMIT)
    write_tree(calls, root, LISTING)
    assert "write" in calls.made
    assert not {"sync", "sync_folder"} & set(calls.made)


def test_a_name_too_long_for_a_record_is_passed_over(root: Folder) -> None:
    long = replace(ONE, path="x" * 250)
    write_records(Calls(), root, [long, replace(ONE, path="y")], COMMIT)
    assert read_record(Calls(), root, "x" * 250) is None
    assert read_record(Calls(), root, "y") is not None


def test_the_whole_listing_is_kept_once(root: Folder, tmp_path: Path) -> None:
    write_tree(Calls(), root, LISTING)
    place = tmp_path / ".cache/huggingface/trees" / f"{COMMIT}.json"
    assert json.loads(place.read_bytes()) == {
        "format_version": 1, "files": {"d/e/b.txt": {"size": 5, "blob_id": "b" * 40}}
    }  # fmt: skip
    before = place.stat()
    write_tree(Calls(), root, Listing(COMMIT, ()))
    assert place.stat() == before


def test_a_listing_that_lacks_something_is_not_kept(root: Folder, tmp_path: Path) -> None:
    write_tree(Calls(), root, Listing(COMMIT, (ListedFile("a", None, TWO.digest),)))
    assert names_below(tmp_path) == set()


def test_a_listing_that_cannot_be_written_leaves_nothing(root: Folder, tmp_path: Path) -> None:
    for only in ("write", "rename"):
        calls = FaultyCalls(only=(only,), fail_at=1, error=errno.EIO)
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            write_tree(calls, root, LISTING)
        assert names_below(tmp_path) == set()


def test_records_of_what_is_gone_can_be_forgotten(root: Folder, tmp_path: Path) -> None:
    write_records(Calls(), root, [ONE, TWO], COMMIT)
    forget_records(Calls(), root, ["d/e/b.txt", "never/there"])
    assert read_record(Calls(), root, "d/e/b.txt") is None
    assert read_record(Calls(), root, "a.bin") is not None
