from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from hfdl_async.core.model import Digest, RemoteFile
from hfdl_async.core.state import Claim, Record, encode_record
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.partopen import open_part, part_key, part_names, sweep
from hfdl_async.errors import StorageError
from tests.disk.faults import COMMIT, remote

DATA = b"data" * 1000
FILE = remote("x", DATA)
KEY = part_key(FILE, COMMIT)
NAMES = part_names(KEY)
CLAIM = Claim(0, 100, blake3(DATA[:100]).hexdigest())
GOOD = encode_record(Record(FILE.digest, FILE.size_bytes, (CLAIM,)))


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Folder]:
    opened = Calls().open_root(str(tmp_path))
    yield opened
    Calls().close_folder(opened)


def opened(parts: Folder) -> tuple[tuple[Claim, ...], list[str], int]:
    """Open the part; return claims, notes and the size of the part."""
    notes: list[str] = []
    part = open_part(Calls(), parts, FILE, KEY, notes.append)
    size = os.fstat(part.fd).st_size
    os.close(part.fd)
    return part.claims, notes, size


def test_one_content_has_one_part_whatever_it_is_called() -> None:
    assert part_key(remote("a", DATA), "a" * 40) == part_key(remote("b", DATA), "b" * 40)
    assert part_key(remote("a", DATA, git=True), COMMIT) != part_key(remote("a", DATA), COMMIT)


def test_without_a_digest_only_the_same_path_of_the_same_commit_will_do() -> None:
    file = RemoteFile("../../x\ud800", 5, None)
    keys = {
        part_key(file, "a" * 40),
        part_key(file, "b" * 40),
        part_key(RemoteFile("y", 5, None), "a" * 40),
    }
    assert len(keys) == 3
    assert not any("/" in key for key in keys)


def test_a_new_part_has_its_size_and_no_claims(parts: Folder) -> None:
    assert opened(parts) == ((), [], len(DATA))


def test_a_part_without_a_record_has_no_claims(parts: Folder, tmp_path: Path) -> None:
    (tmp_path / NAMES.part).write_bytes(DATA)
    assert opened(parts) == ((), [], len(DATA))


def test_a_record_without_its_part_is_removed(parts: Folder, tmp_path: Path) -> None:
    (tmp_path / NAMES.record).write_bytes(GOOD)
    assert opened(parts) == ((), [], len(DATA))
    assert not (tmp_path / NAMES.record).exists()


@pytest.mark.parametrize("size", [0, 50, len(DATA), len(DATA) + 1000])
def test_a_part_gets_its_size_again(size: int, parts: Folder, tmp_path: Path) -> None:
    (tmp_path / NAMES.part).write_bytes(bytes(size))
    (tmp_path / NAMES.record).write_bytes(GOOD)
    assert opened(parts) == ((CLAIM,), [], len(DATA))


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{}",
        GOOD[:-5],
        GOOD.replace(b"record", b"recore"),
        encode_record(Record(FILE.digest, FILE.size_bytes - 1, (CLAIM,))),
        encode_record(Record(Digest("sha256", "0" * 64), FILE.size_bytes, (CLAIM,))),
        encode_record(Record(None, FILE.size_bytes, (CLAIM,))),
    ],
)
def test_a_record_that_cannot_be_used_is_kept_aside_and_said(
    bad: bytes, parts: Folder, tmp_path: Path
) -> None:
    (tmp_path / NAMES.part).write_bytes(DATA)
    (tmp_path / NAMES.record).write_bytes(bad)
    claims, notes, _ = opened(parts)
    assert claims == ()
    assert len(notes) == 1
    assert (tmp_path / f"{NAMES.record}.bad").read_bytes() == bad


def test_a_newer_record_is_left_alone(parts: Folder, tmp_path: Path) -> None:
    newer = GOOD.replace(b'"version":1', b'"version":2')
    (tmp_path / NAMES.part).write_bytes(DATA)
    (tmp_path / NAMES.record).write_bytes(newer)
    with pytest.raises(StorageError, match="newer"):
        opened(parts)
    assert (tmp_path / NAMES.record).read_bytes() == newer


@pytest.mark.parametrize("kind", ["fifo", "folder", "link"])
def test_what_is_no_file_makes_room(kind: str, parts: Folder, tmp_path: Path) -> None:
    for name in (NAMES.part, NAMES.record):
        if kind == "fifo":
            os.mkfifo(tmp_path / name)
        elif kind == "folder":
            (tmp_path / name).mkdir()
        else:
            (tmp_path / name).symlink_to("nowhere")
    claims, notes, size = opened(parts)
    assert (claims, size) == ((), len(DATA))
    assert len(notes) == 1


def test_a_sweep_keeps_what_is_needed_and_what_is_set_aside(parts: Folder, tmp_path: Path) -> None:
    for name in ("a.part", "a.json", "b.part", "b.json", "c.tmp", "a.json.bad", "d.json"):
        (tmp_path / name).write_bytes(b"")
    assert sweep(Calls(), parts, {"a", "d"}) == 4, "a record without its part goes as well"
    assert sorted(os.listdir(tmp_path)) == ["a.json", "a.json.bad", "a.part"]
    sweep(Calls(), parts, set())
    assert os.listdir(tmp_path) == []
