from __future__ import annotations

from collections.abc import Callable

from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.ledger import CELL_BYTES, Ledger
from hfdl_async.core.model import ByteRange
from hfdl_async.core.state import Claim
from hfdl_async.disk.cells import Cells
from tests.disk.faults import pattern

SIZE = 2 * CELL_BYTES + 1000
DATA = pattern(SIZE)


def reader(data: bytes | bytearray) -> Callable[[int, int, Callable[[memoryview], None]], int]:
    def read(start: int, stop: int, feed: Callable[[memoryview], None]) -> int:
        piece = memoryview(bytes(data[start:stop]))
        if piece:
            feed(piece)
        return start + len(piece)

    return read


def assert_true(claims: tuple[Claim, ...], data: bytes | bytearray) -> None:
    for claim in claims:
        start = claim.cell * CELL_BYTES
        assert blake3(data[start : start + claim.length]).hexdigest() == claim.blake3_hex


@given(
    st.lists(
        st.tuples(st.integers(0, SIZE - 1), st.integers(1, CELL_BYTES // 2), st.integers(0, 1)),
        max_size=6,
    )
)
def test_claims_are_true_in_whatever_order_bytes_come(writes: list[tuple[int, int, int]]) -> None:
    cells, disk, written = Cells(SIZE), bytearray(SIZE), Ledger(SIZE)
    for start, length, seed in writes:
        span = ByteRange(start, min(start + length, SIZE))
        piece = DATA[span.start : span.stop] if seed == 0 else bytes(len(span))
        middle = len(piece) // 3
        cells.before_write(span)
        disk[span.start : span.stop] = piece
        cells.after_write(span, [piece[:middle], piece[middle:]])
        written = written.add(span)
        claims = cells.claims(written, reader(disk))
        assert_true(claims, disk)
    covered = {claim.cell: claim.length for claim in cells.claims(written, reader(disk))}
    for cell in range(3):
        rest = [gap.start for gap in written.missing() if gap.stop > cell * CELL_BYTES]
        first_gap = min([max(gap, cell * CELL_BYTES) for gap in rest], default=SIZE)
        stop = min((cell + 1) * CELL_BYTES, SIZE)
        assert covered.get(cell, 0) == min(first_gap, stop) - cell * CELL_BYTES


def test_a_write_in_order_is_not_read_back() -> None:
    def nothing(_start: int, _stop: int, _feed: Callable[[memoryview], None]) -> int:
        raise AssertionError("read back")

    cells = Cells(SIZE)
    for start in range(0, SIZE, CELL_BYTES // 2):
        span = ByteRange(start, min(start + CELL_BYTES // 2, SIZE))
        cells.before_write(span)
        cells.after_write(span, [DATA[span.start : span.stop]])
    claims = cells.claims(Ledger(SIZE, (ByteRange(0, SIZE),)), nothing)
    assert_true(claims, DATA)
    assert cells.whole() == tuple(claim.blake3_hex for claim in claims)


def test_a_claim_that_does_not_hold_is_not_kept() -> None:
    cells = Cells(SIZE)
    good = Claim(0, 1000, blake3(DATA[:1000]).hexdigest())
    assert cells.prove(good, reader(DATA))
    assert not cells.prove(Claim(1, 1000, good.blake3_hex), reader(DATA))
    assert not cells.prove(Claim(2, 1000, good.blake3_hex), reader(DATA[: 2 * CELL_BYTES]))
    claims = cells.claims(Ledger(SIZE, (ByteRange(0, 1000),)), reader(DATA))
    assert claims == (good,)


def test_a_proven_prefix_is_continued() -> None:
    cells = Cells(SIZE)
    cells.prove(Claim(0, 1000, blake3(DATA[:1000]).hexdigest()), reader(DATA))
    span = ByteRange(1000, 5000)
    cells.before_write(span)
    cells.after_write(span, [DATA[1000:5000]])
    (claim,) = cells.claims(Ledger(SIZE, (ByteRange(0, 5000),)), reader(b""))
    assert claim == Claim(0, 5000, blake3(DATA[:5000]).hexdigest())


def test_only_what_was_saved_is_kept_after_a_failure() -> None:
    cells = Cells(SIZE)
    saved = Claim(0, 1000, blake3(DATA[:1000]).hexdigest())
    cells.prove(saved, reader(DATA))
    cells.after_write(ByteRange(CELL_BYTES, CELL_BYTES + 10), [DATA[:10]])
    cells.keep_only([saved])
    damaged = bytearray(DATA)
    damaged[CELL_BYTES] ^= 1
    written = Ledger(SIZE, (ByteRange(0, 1000), ByteRange(CELL_BYTES, CELL_BYTES + 10)))
    assert_true(cells.claims(written, reader(damaged)), damaged)
