from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.ledger import CELL_BYTES
from hfdl_async.core.model import Digest, RemoteFile, RepoType
from hfdl_async.core.state import (
    Claim,
    Owner,
    Receipt,
    Record,
    StateRefused,
    StoredListing,
    check_receipts_head,
    decode_listing,
    decode_owner,
    decode_receipt,
    decode_record,
    encode_listing,
    encode_owner,
    encode_receipt,
    encode_record,
)

COMMIT = "c" * 40
SHA256 = Digest("sha256", "a" * 64)
GIT = Digest("git-sha1", "b" * 40)

hexes = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
digests = st.one_of(
    st.none(),
    hexes.map(lambda text: Digest("sha256", text)),
    hexes.map(lambda text: Digest("git-sha1", text[:40])),
)


@st.composite
def records(draw: st.DrawFn) -> Record:
    size = draw(st.integers(0, 12 * CELL_BYTES))
    cells = draw(st.sets(st.integers(0, 12)))
    claims = []
    for cell in sorted(cells):
        whole = min(CELL_BYTES, size - cell * CELL_BYTES)
        if whole > 0:
            length = draw(st.one_of(st.just(whole), st.integers(1, whole)))
            claims.append(Claim(cell, length, draw(hexes)))
    return Record(draw(digests), size, tuple(claims))


def sealed(kind: str, body: object, version: int = 1) -> bytes:
    """Return what somebody would write who knows the checksum."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = b'{"format":"hfdl %b","version":%d,"checksum":"%b","body":'
    checksum = blake3(text).hexdigest().encode()
    return head % (kind.encode(), version, checksum) + text + b"}\n"


@given(records())
def test_a_record_comes_back_as_it_was(record: Record) -> None:
    data = encode_record(record)
    assert decode_record(data) == record
    assert json.loads(data)["format"] == "hfdl record"


def test_a_record_of_100_gb_is_small() -> None:
    claims = tuple(Claim(cell, CELL_BYTES, f"{cell:064x}") for cell in range(12_800))
    record = Record(SHA256, 12_800 * CELL_BYTES, claims)
    data = encode_record(record)
    assert decode_record(data) == record
    assert len(data) < 1_000_000


SOUND: dict[str, object] = {
    "digest": ["sha256", "a" * 64],
    "size": 3 * CELL_BYTES,
    "runs": [[0, 2, 5]],
    "hashes": "0" * 128,
}


def test_the_sound_body_is_sound() -> None:
    assert len(decode_record(sealed("record", SOUND)).claims) == 2


@pytest.mark.parametrize("change", [
    {"size": -1}, {"size": 2**60}, {"size": True}, {"size": "5"}, {"size": None}, {"size": 1.5},
    {"digest": ["md5", "a" * 32]}, {"digest": ["sha256", "A" * 64]}, {"digest": ["sha256",
    "a" * 40]},
    {"digest": "sha256"}, {"digest": ["sha256"]}, {"digest": [["sha256"], "a" * 64]},
    {"digest": ["sha256", 5]},
    {"runs": {}}, {"runs": [[0, 2]]}, {"runs": [[0, 2, 5, 5]]}, {"runs": ["abc"]},
    {"runs": [[-1, 2, 5]]},
    {"runs": [[0, 0, 5], [0, 2, 5]]}, {"runs": [[0, 1, 5], [0, 1, 6]]},
    {"runs": [[1, 1, 5], [0, 1, 6]]},
    {"runs": [[2, 2, 5]]}, {"runs": [[0, 2, 0]]}, {"runs": [[0, 2, CELL_BYTES + 1]]},
    {"runs": [[0, 2**40, 5]]},
    {"runs": [[3, 1, 5]], "hashes": "0" * 64}, {"runs": [[0, 1, 5]]},
    {"hashes": "0" * 127}, {"hashes": "0" * 64}, {"hashes": "G" * 128}, {"hashes": "\uff10" * 128},
    {"hashes": 5},
    {"path": "/etc/passwd"}, {"url": "https://example.org"}, {"token": "hf_x"},
])  # fmt: skip
def test_refuses_a_record_with(change: dict[str, object]) -> None:
    with pytest.raises(StateRefused) as refused:
        decode_record(sealed("record", {**SOUND, **change}))
    assert not refused.value.newer


@pytest.mark.parametrize("field", SOUND)
def test_refuses_a_record_without(field: str) -> None:
    body = {name: value for name, value in SOUND.items() if name != field}
    with pytest.raises(StateRefused):
        decode_record(sealed("record", body))


@pytest.mark.parametrize("text", [
    b"", b"null", b"[]", b'""', b"{", b"NaN", b'{"size":NaN}', b'{"size":Infinity}',
    b'{"size":1,"size":1}',
    b'{"size":' + b"9" * 5000 + b"}", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe",
    b'{"size":1e999}',
], ids=range(14))  # fmt: skip
def test_refuses_json_that_we_do_not_write(text: bytes) -> None:
    with pytest.raises(StateRefused):
        decode_record(sealed("record", text))


def test_a_newer_version_is_told_apart_from_damage() -> None:
    with pytest.raises(StateRefused) as refused:
        decode_record(sealed("record", {"whatever": 1}, version=2))
    assert refused.value.newer
    with pytest.raises(StateRefused) as refused:
        check_receipts_head(b'["hfdl receipts",2]')
    assert refused.value.newer


def test_one_kind_is_not_taken_for_another() -> None:
    with pytest.raises(StateRefused):
        decode_owner(encode_record(Record(None, 0)))


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    for decode in (decode_record, decode_owner, decode_listing, decode_receipt):
        with pytest.raises(StateRefused):
            decode(data)


@given(records(), st.data())
def test_a_record_with_any_byte_changed_is_refused(record: Record, data: st.DataObject) -> None:
    whole = bytearray(encode_record(record))
    position = data.draw(st.integers(0, len(whole) - 1))
    whole[position] ^= data.draw(st.integers(1, 255))
    with pytest.raises(StateRefused):
        decode_record(bytes(whole))


@given(records(), st.data())
def test_a_record_that_was_cut_is_refused(record: Record, data: st.DataObject) -> None:
    whole = encode_record(record)
    with pytest.raises(StateRefused):
        decode_record(whole[: data.draw(st.integers(0, len(whole) - 1))])


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)  # fmt: skip


@given(st.sampled_from(sorted(SOUND)), JSON)
def test_a_hostile_body_is_refused_or_sound(field: str, value: object) -> None:
    try:
        record = decode_record(sealed("record", {**SOUND, field: value}))
    except StateRefused:
        return
    end = 0
    for claim in record.claims:
        assert end <= claim.cell * CELL_BYTES
        end = claim.cell * CELL_BYTES + claim.length
        assert 0 < claim.length <= CELL_BYTES
    assert end <= record.size


receipts = st.builds(
    Receipt,
    path=st.sampled_from(["a", "a/b.bin", "über/x y"]),
    size=st.integers(1, CELL_BYTES),
    digest=digests,
    cells=st.lists(hexes, max_size=1).map(tuple),
    mtime_ns=st.integers(-(2**60), 2**63),
    ctime_ns=st.integers(-(2**60), 2**63),
    inode=st.integers(0, 2**64 - 1),
    commit=st.just(COMMIT),
)


@given(receipts)
def test_a_receipt_comes_back_as_it_was(receipt: Receipt) -> None:
    line = encode_receipt(receipt)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode_receipt(line[:-1]) == receipt
    assert isinstance(json.loads(line), list)


@given(receipts, st.data())
def test_a_torn_receipt_is_refused(receipt: Receipt, data: st.DataObject) -> None:
    line = encode_receipt(receipt)[:-1]
    with pytest.raises(StateRefused):
        decode_receipt(line[: data.draw(st.integers(0, len(line) - 1))])


@pytest.mark.parametrize(
    "path", ["../x", "/etc/passwd", "a\\b", ".git/x", "\ud800", "", "x" * 9000]
)
def test_a_receipt_or_listing_cannot_name_a_place_outside(path: str) -> None:
    bad = Receipt(path, 0, GIT, (), 0, 0, 0, COMMIT)
    with pytest.raises(StateRefused):
        decode_receipt(encode_receipt(bad)[:-1])
    with pytest.raises(StateRefused):
        decode_listing(encode_listing(StoredListing(COMMIT, (RemoteFile(path, 0, GIT),))))


def test_owner_and_listing_come_back_as_they_were() -> None:
    owner = Owner("org/name", "dataset", "https://huggingface.co", "refs/pr/1", COMMIT)
    assert decode_owner(encode_owner(owner)) == owner
    files = (RemoteFile("a", 0, GIT), RemoteFile("b/é", 2**40, SHA256), RemoteFile("c", 1, None))
    listing = StoredListing(COMMIT, files)
    assert decode_listing(encode_listing(listing)) == listing


@pytest.mark.parametrize(
    "break_it",
    [
        lambda owner: Owner("", owner[1], owner[2], owner[3], owner[4]),
        lambda owner: Owner(owner[0], cast("RepoType", "bucket"), owner[2], owner[3], owner[4]),
        lambda owner: Owner(owner[0], owner[1], owner[2], owner[3], "main"),
        lambda owner: Owner("x" * 10_000, owner[1], owner[2], owner[3], owner[4]),
    ],
)
def test_an_owner_that_cannot_be_is_refused(break_it: Callable[[tuple[str, ...]], Owner]) -> None:
    sound = ("org/name", "model", "https://huggingface.co", "main", COMMIT)
    with pytest.raises(StateRefused):
        decode_owner(encode_owner(break_it(sound)))


@pytest.mark.parametrize("size", [CELL_BYTES + 1, 3 * CELL_BYTES])
def test_a_receipt_has_a_hash_for_each_cell_or_none(size: int) -> None:
    wrong = Receipt("a", size, SHA256, ("0" * 64,), 0, 0, 0, COMMIT)
    with pytest.raises(StateRefused):
        decode_receipt(encode_receipt(wrong)[:-1])
