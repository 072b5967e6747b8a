from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.localrecords import (
    MAX_POINTER_BYTES,
    LocalRecord,
    clashes_with_records,
    decode_lfs_pointer,
    decode_local_record,
    encode_local_record,
    record_name,
)
from hfdl_async.core.model import Digest

COMMIT, SHA1, SHA256 = "c" * 40, "a" * 40, "b" * 64
RECORD = LocalRecord(COMMIT, SHA256, 1712656091.123)
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{SHA256}\nsize 12345\n"


def test_a_record_is_three_lines() -> None:
    data = encode_local_record(RECORD)
    assert data == f"{COMMIT}\n{SHA256}\n1712656091.123\n".encode()
    assert decode_local_record(data) == RECORD
    assert decode_local_record(data.rstrip()) == RECORD


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{COMMIT}\n{SHA256}\n",
        f"{COMMIT}\n{SHA256}\nyesterday\n",
        f"{COMMIT}\n{SHA256}\nnan\n",
        f"{COMMIT}\n{SHA256}\ninf\n",
        f"{COMMIT}\n\n1\n",
        f"main\n{SHA256}\n1\n",
        f"{COMMIT}\n{SHA256}\u00e9\n1\n",
    ],
)
def test_what_is_no_record_is_none(text: str) -> None:
    assert decode_local_record(text.encode()) is None


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reading(data: bytes) -> None:
    decode_local_record(data)
    decode_lfs_pointer(data)


def test_an_etag_is_a_blob_id_or_the_hash_of_the_content() -> None:
    assert RECORD.digest == Digest("sha256", SHA256)
    assert LocalRecord(COMMIT, SHA1, 0).digest == Digest("git-sha1", SHA1)
    assert LocalRecord(COMMIT, "W/something", 0).digest is None


def test_a_record_covers_a_file_that_is_at_most_a_second_newer() -> None:
    record = LocalRecord(COMMIT, SHA1, 1000.0)
    assert record.covers(1_000_000_000_000)
    assert record.covers(1_001_000_000_000)
    assert not record.covers(1_001_500_000_000)


def test_a_record_lies_at_the_path_of_its_file() -> None:
    assert record_name("a/b.bin") == ".cache/huggingface/download/a/b.bin.metadata"


@pytest.mark.parametrize(
    ("path", "clashes"),
    [
        (".cache", True),
        (".cache/huggingface", True),
        (".cache/huggingface/download/x.metadata", True),
        (".CACHE/HuggingFace/x", True),  # one folder on many file systems
        (".cache/other", False),
        (".cache/huggingface2/x", False),
        (".cached", False),
        ("sub/.cache/huggingface/x", False),
    ],
)
def test_a_repo_may_have_files_where_records_lie(path: str, clashes: bool) -> None:
    assert clashes_with_records(["README.md", path]) is clashes


def test_a_pointer_says_whose_place_it_keeps() -> None:
    assert decode_lfs_pointer(POINTER.encode()) == (Digest("sha256", SHA256), 12345)
    extended = POINTER.replace("oid", f"ext-0-foo sha256:{SHA1}\noid")
    assert decode_lfs_pointer(extended.encode()) == (Digest("sha256", SHA256), 12345)


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"oid sha256:{SHA256}\nsize 12345\n",
        POINTER.replace("git-lfs", "example"),
        POINTER.replace(SHA256, SHA1),
        POINTER.replace("12345", "-1"),
        POINTER.replace("12345", "9" * 30),
        POINTER + "size 5\n",
        POINTER + "#" * MAX_POINTER_BYTES,
    ],
)
def test_what_is_no_pointer_is_none(text: str) -> None:
    assert decode_lfs_pointer(text.encode()) is None
