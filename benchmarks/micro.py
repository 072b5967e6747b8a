"""The pure core by itself: time for each operation at sizes that grow, so that a curve shows.

A cost that does not depend on the size is flat; one that grows tenfold from column to column is
quadratic in all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter_ns

from hfdl_async.core.control.knee import KneeController
from hfdl_async.core.controller import TICK_SECONDS, Sample
from hfdl_async.core.finding import Finding, Found
from hfdl_async.core.ledger import CELL_BYTES, Ledger
from hfdl_async.core.model import KIB, MIB, ByteRange, Digest, Listing, RemoteFile
from hfdl_async.core.options import Options
from hfdl_async.core.pieces import pieces
from hfdl_async.core.planning import Selection, decide, in_order, select
from hfdl_async.net.pages import parse_entries

SIZES = (1_000, 10_000, 100_000)
WRITERS = 16  # connections that write into one file at once
REPEATS = 3  # the least counts: everything else is the machine


def rates(sizes: tuple[int, ...] = SIZES) -> dict[str, dict[str, float]]:
    """Return nanoseconds for each operation, by its name and the number of them."""
    return {
        name: {f"{size:,}": _least(prepare, size) / size for size in sizes}
        for name, prepare in OPERATIONS.items()
    }


def _least(prepare: Callable[[int], Callable[[], object]], size: int) -> float:
    """Return the nanoseconds of the quickest run."""
    times = []
    for _ in range(REPEATS):
        work = prepare(size)
        start = perf_counter_ns()
        work()
        times.append(perf_counter_ns() - start)
    return min(times)


def _ledger_in_order(size: int) -> Callable[[], object]:
    def work() -> Ledger:
        ledger = Ledger(size * MIB)
        for number in range(size):
            ledger = ledger.add(ByteRange(number * MIB, (number + 1) * MIB))
        return ledger

    return work


def _ledger_by_many(size: int) -> Callable[[], object]:
    """As many connections write: each through its own piece, the pieces side by side."""
    per_piece = 2 * CELL_BYTES // MIB
    spans = [
        ByteRange(start * MIB, (start + 1) * MIB)
        for first in range(0, size, WRITERS * per_piece)
        for step in range(per_piece)
        for start in range(first + step, min(first + WRITERS * per_piece, size), per_piece)
    ]

    def work() -> Ledger:
        ledger = Ledger(size * MIB)
        for span in spans:
            ledger = ledger.add(span)
        return ledger

    return work


def _pieces(size: int) -> Callable[[], object]:
    ledger = Ledger(size * 2 * CELL_BYTES)
    return lambda: sum(1 for _ in pieces(ledger))


def _observe(size: int) -> Callable[[], object]:
    samples = [
        Sample(
            number * TICK_SECONDS, TICK_SECONDS, bytes=10 * MIB, busy=8.0, busy_high=8, flowing=8
        )
        for number in range(size)
    ]
    controller = KneeController()
    return lambda: [controller.observe(sample) for sample in samples]


def _page(size: int) -> bytes:
    entries = [
        {"type": "file", "oid": f"{number:040x}", "size": number % 64 * KIB, "path": _path(number)}
        for number in range(size)
    ]
    return json.dumps(entries).encode()


def _parse(size: int) -> Callable[[], object]:
    bodies = [_page(1000) for _ in range(size // 1000)]
    return lambda: [parse_entries(body, "bench/micro").files for body in bodies]


def _select(size: int) -> Callable[[], object]:
    listing = Listing("0" * 40, tuple(parse_entries(_page(size), "bench/micro").files))
    return lambda: select(listing, Selection(), repo="bench/micro")


def _decide(size: int) -> Callable[[], object]:
    files = [
        RemoteFile(_path(number), number % 64 * KIB, Digest("git-sha1", f"{number:040x}"))
        for number in range(size)
    ]
    findings: Mapping[str, Finding] = dict.fromkeys(
        (file.path for file in files), Finding(Found.ABSENT)
    )
    options, place = Options(), Path("x")

    def work() -> object:
        return in_order(decide(files, findings, {}, options, lambda _: place).files)

    return work


def _path(number: int) -> str:
    return f"part-{number // 1000:04}/{number:07}.json"


OPERATIONS: dict[str, Callable[[int], Callable[[], object]]] = {
    "ledger, write in order": _ledger_in_order,
    f"ledger, write by {WRITERS} connections": _ledger_by_many,
    "pieces of a file": _pieces,
    "controller, observe": _observe,
    "listing, parse an entry": _parse,
    "plan, select a file": _select,
    "plan, decide about a file and order it": _decide,
}
