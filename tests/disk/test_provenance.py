from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfdl_async.core.finding import Finding, Found
from hfdl_async.core.localrecords import LocalRecord, encode_local_record, record_name
from hfdl_async.core.model import RemoteFile
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.hashing import hashing_limiter
from hfdl_async.disk.provenance import without_downloads
from tests.disk.faults import COMMIT, descriptors_balanced, pattern, remote

pytestmark = pytest.mark.anyio

WANTED = remote("d/x.bin", pattern(90_000))
THEIRS = pattern(50_000, 2)
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n" % (
    (WANTED.digest.hex if WANTED.digest else "").encode(),
    WANTED.size_bytes,
)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Folder]:
    opened = Calls().open_root(str(tmp_path))
    yield opened
    Calls().close_folder(opened)


def put(root: Folder, data: bytes, *, file: RemoteFile = WANTED) -> Path:
    place = Path(root.path) / file.path
    place.parent.mkdir(exist_ok=True, parents=True)
    place.write_bytes(data)
    return place


def note(root: Folder, etag: str, *, later: float = 0.0) -> None:
    place = Path(root.path) / record_name(WANTED.path)
    place.parent.mkdir(parents=True)
    place.write_bytes(encode_local_record(LocalRecord(COMMIT, etag, time.time() + later)))


async def judged(root: Folder, state: Found = Found.FOREIGN) -> Finding:
    limiter = hashing_limiter()
    with descriptors_balanced():
        found = await without_downloads(
            Calls(),
            root,
            [WANTED],
            {WANTED.path: Finding(state, have_bytes=7)},
            follow=False,
            disk=limiter,
            hashing=limiter,
        )
    return found[WANTED.path]


def sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.mark.parametrize("state", [Found.FOREIGN, Found.CHANGED])
@pytest.mark.parametrize("etag", [sha1(THEIRS), hashlib.sha256(THEIRS).hexdigest()])
async def test_what_a_record_vouches_for_is_older(root: Folder, state: Found, etag: str) -> None:
    put(root, THEIRS)
    note(root, etag)
    assert await judged(root, state) == Finding(Found.OLDER, have_bytes=7)


@pytest.mark.parametrize("state", [Found.ROTTEN, Found.ABSENT, Found.LINK, Found.RIGHT])
async def test_only_what_would_be_somebodys_is_asked_about(root: Folder, state: Found) -> None:
    put(root, THEIRS)
    note(root, sha1(THEIRS))
    assert (await judged(root, state)).state is state


async def test_other_content_than_noted_is_somebodys(root: Folder) -> None:
    put(root, THEIRS)
    note(root, sha1(THEIRS + b"x"))
    assert (await judged(root)).state is Found.FOREIGN


async def test_a_record_of_the_wanted_content_proves_nothing_of_what_is_there(
    root: Folder,
) -> None:
    assert WANTED.digest is not None
    put(root, THEIRS)
    note(root, WANTED.digest.hex)
    assert (await judged(root)).state is Found.FOREIGN


async def test_a_file_newer_than_its_record_is_somebodys(root: Folder) -> None:
    put(root, THEIRS)
    note(root, sha1(THEIRS), later=-60)
    assert (await judged(root)).state is Found.FOREIGN


async def test_an_etag_of_another_kind_says_nothing(root: Folder) -> None:
    put(root, THEIRS)
    note(root, '"0123"')
    assert (await judged(root)).state is Found.FOREIGN


async def test_a_pointer_to_the_wanted_file_keeps_its_place(root: Folder) -> None:
    put(root, POINTER)
    assert (await judged(root)).state is Found.OLDER


@pytest.mark.parametrize(
    "data",
    [
        POINTER.replace(b"size ", b"size 1"),
        POINTER.replace(b"oid sha256:", b"oid sha256:0")[:-1],
        POINTER + b"my notes" * 200,
    ],
)
async def test_a_pointer_to_something_else_is_somebodys(root: Folder, data: bytes) -> None:
    put(root, data)
    assert (await judged(root)).state is Found.FOREIGN


async def test_what_cannot_be_looked_at_is_left_as_it_was(root: Folder, tmp_path: Path) -> None:
    place = put(root, b"")
    place.unlink()
    assert (await judged(root)).state is Found.FOREIGN
    os.symlink(tmp_path / "elsewhere", place)
    (tmp_path / "elsewhere").write_bytes(POINTER)
    assert (await judged(root)).state is Found.FOREIGN
