from __future__ import annotations

import os
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core import packing
from hfdl_async.core.filetable import pack_hashes
from hfdl_async.core.ledger import CELL_BYTES
from hfdl_async.core.model import Digest
from hfdl_async.core.packing import Unpacking, pack, pack_line, stamp_of, unpack, wanted_digest
from hfdl_async.core.state import Receipt, StateRefused, decode_receipt, encode_receipt

COMMIT = "c0ffee" + "0" * 34
GIT, SHA256 = Digest("git-sha1", "1" * 40), Digest("sha256", "2" * 64)
ONE = Receipt("d/a.json", 5, GIT, (), 10**18, 1_795_913_775_360_198_234, 42, COMMIT)

receipts = st.builds(
    Receipt,
    path=st.sampled_from(["a", "a/b.bin", "über/x y", "..", "a/../b", "a//b", ".git/x", "a" * 300]),
    size=st.integers(0, 3 * CELL_BYTES),
    digest=st.sampled_from([None, GIT, SHA256]),
    cells=st.lists(st.just("3" * 64), max_size=4).map(tuple),
    mtime_ns=st.integers(-(2**64), 2**64),
    ctime_ns=st.integers(0, 2**63),
    inode=st.integers(0, 2**70),
    commit=st.just(COMMIT),
)


@given(receipts)
def test_a_receipt_comes_back_as_it_was(receipt: Receipt) -> None:
    assert unpack(receipt.path, pack(receipt)) == receipt


@given(receipts)
def test_a_line_is_packed_as_it_would_be_decoded_or_refused(receipt: Receipt) -> None:
    line = encode_receipt(receipt)[:-1]
    try:
        decoded = decode_receipt(line)
    except StateRefused:
        with pytest.raises(StateRefused):
            pack_line(line)
        return
    path, packed = pack_line(line)
    assert unpack(path, packed) == decoded
    assert packed == pack(decoded)


@pytest.mark.parametrize("digest", [GIT, SHA256])
def test_usual_lines_take_the_short_way(digest: Digest, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(line: bytes) -> Receipt:
        raise AssertionError(line)

    monkeypatch.setattr(packing, "decode_receipt", refuse)
    for cells in ((), ("4" * 64,)):
        receipt = replace(ONE, digest=digest, cells=cells)
        assert unpack(*pack_line(encode_receipt(receipt)[:-1])) == receipt


def test_a_line_with_a_flipped_bit_is_refused() -> None:
    line = encode_receipt(ONE)[:-1]
    for position in range(len(line)):
        torn = line[:position] + bytes([line[position] ^ 1]) + line[position + 1 :]
        with pytest.raises(StateRefused):
            pack_line(torn)


def status(receipt: Receipt) -> os.stat_result:
    times = {8: receipt.mtime_ns // 10**9, 9: receipt.ctime_ns // 10**9}
    plain = [0o100644, receipt.inode, 0, 1, 0, 0, receipt.size, 0, times[8], times[9]]
    exact = [0.0, 0.0, 0.0, 0, receipt.mtime_ns, receipt.ctime_ns]
    return os.stat_result(plain + exact)


@pytest.mark.parametrize("digest", [GIT, SHA256])
def test_a_receipt_begins_with_what_it_covers_and_with_nothing_else(digest: Digest) -> None:
    receipt = replace(ONE, digest=digest)
    found = status(receipt)
    assert (found.st_mtime_ns, found.st_ctime_ns) == (receipt.mtime_ns, receipt.ctime_ns)
    wanted = wanted_digest(pack_hashes(digest, pointer_id="5" * 40, xet_hash="6" * 64))
    assert wanted == wanted_digest(pack_hashes(digest))
    assert wanted is not None
    covered = (stamp_of(found) or b"") + wanted

    def covers(other: Receipt) -> bool:
        packed = pack(other)
        return isinstance(packed, bytes) and packed.startswith(covered)

    assert covers(receipt)
    other = SHA256 if digest == GIT else GIT
    for changed in (
        replace(receipt, size=6),
        replace(receipt, inode=43),
        replace(receipt, mtime_ns=receipt.mtime_ns + 1),
        replace(receipt, ctime_ns=receipt.ctime_ns - 1),
        replace(receipt, digest=replace(digest, hex=digest.hex[:-1] + "0")),
        replace(receipt, digest=other),
        replace(receipt, digest=None),
    ):
        assert not covers(changed), changed


def test_without_a_digest_bytes_alone_cover_nothing() -> None:
    assert wanted_digest(pack_hashes(None)) is None
    assert wanted_digest(pack_hashes(None, masked=True)) is None


def test_a_file_whose_numbers_are_too_large_has_no_stamp() -> None:
    assert stamp_of(status(replace(ONE, inode=2**64))) is None
    assert pack(replace(ONE, inode=2**64)) == replace(ONE, inode=2**64)


def test_many_look_like_their_values() -> None:
    kept = {path: replace(ONE, path=path) for path in ("a", "b")}
    values = Unpacking({path: pack(receipt) for path, receipt in kept.items()})
    assert values == kept
    assert dict(values) == kept
    assert len(values) == 2
    assert "a" in values
    assert "c" not in values


def test_a_packed_receipt_takes_few_bytes_beside_its_name() -> None:
    count = 1000
    lines = [encode_receipt(replace(ONE, path=f"d/{number}"))[:-1] for number in range(count)]
    tracemalloc.start()
    try:
        packed = dict(map(pack_line, lines))
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(packed) == count
    assert used / count < 300  # of which 110 are the receipt's, the rest its name and its place
