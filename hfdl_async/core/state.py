"""What is kept between runs, as bytes: resume records, receipts, the folder's owner, its listing.

A state file is data, not authority. It is read with a fixed schema and limits, names no token and
no path to write to (a receipt's path is only a key to compare with the current listing), and
whatever is off is refused as a whole.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from json.encoder import encode_basestring_ascii as quote
from typing import cast

from hfdl_async.core.filetable import ALGORITHMS, KINDS, content_in, remote_files
from hfdl_async.core.ledger import CELL_BYTES, cell_range
from hfdl_async.core.model import MIB, Algorithm, Digest, RemoteFile, RepoType
from hfdl_async.core.sealed import (
    VERSION,
    StateRefused,
    check_version,
    commit_of,
    hashes_of,
    integer,
    parse,
    path_of,
    rows_of,
    seal,
    seal_text,
    text_of,
    unseal,
)

__all__ = [
    "RECEIPTS_HEAD",
    "Claim",
    "Owner",
    "Receipt",
    "Record",
    "StateRefused",
    "StoredListing",
    "check_receipts_head",
    "decode_listing",
    "decode_owner",
    "decode_receipt",
    "decode_record",
    "encode_listing",
    "encode_owner",
    "encode_receipt",
    "encode_record",
]

MAX_FILE_BYTES = 2**43  # 8 TiB: a million cells
MAX_RECORD_BYTES = 72 * MIB  # a million cells at 64 hex digits each, and change
MAX_REPO_BYTES = 64 * 1024
MAX_LISTING_BYTES = 512 * MIB
MAX_RECEIPTS_BYTES = 1024 * MIB
ROWS_AT_ONCE = 1000
MAX_STAMP = 2**64  # inode numbers and nanoseconds since 1970

_HEX = re.compile(r"[0-9a-f]*")
_DIGITS = {"sha256": 64, "git-sha1": 40}
_REPO_TYPES = ("model", "dataset", "space")


@dataclass(frozen=True, slots=True)
class Claim:
    """The first *length* bytes of *cell* are on disk and have this BLAKE3."""

    cell: int
    length: int
    blake3_hex: str


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of an unfinished file of *size* bytes; claims are in order of their cells."""

    digest: Digest | None
    size: int
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was verified at a final name, and how to tell that nobody touched it since.

    `cells` has the BLAKE3 of every cell, or is empty where none was taken.
    """

    path: str
    size: int
    digest: Digest | None
    cells: tuple[str, ...]
    mtime_ns: int
    ctime_ns: int
    inode: int
    commit: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Which repo a folder belongs to, and the commit it was last filled from."""

    repo_id: str
    repo_type: RepoType
    endpoint: str
    revision: str
    commit: str


@dataclass(frozen=True, slots=True)
class StoredListing:
    """The files of the commit that a folder was last filled from.

    `selected` has the paths of those that somebody asked for.
    """

    commit: str
    files: Sequence[RemoteFile]
    selected: frozenset[str] = frozenset()


def encode_record(record: Record) -> bytes:
    """Return *record* as a document; whole cells cost their 64 hex digits and nothing more."""
    body = {
        "digest": _digest_out(record.digest),
        "size": record.size,
        "runs": _runs(record),
        "hashes": "".join([claim.blake3_hex for claim in record.claims]),
    }
    return seal("record", body)


def decode_record(data: bytes) -> Record:
    """Return the record in *data*.

    Raises:
        StateRefused: it is not one.
    """
    body = unseal("record", data, MAX_RECORD_BYTES, ("digest", "size", "runs", "hashes"))
    size = integer(body["size"], MAX_FILE_BYTES)
    return Record(_digest_in(body["digest"]), size, _claims(body["runs"], body["hashes"], size))


def _runs(record: Record) -> list[list[int]]:
    """Return claims as [first cell, how many, bytes of the last]; all but the last are whole."""
    runs: list[list[int]] = []
    may_grow = False
    for claim in record.claims:
        if may_grow and claim.cell == runs[-1][0] + runs[-1][1]:
            runs[-1][1] += 1
            runs[-1][2] = claim.length
        else:
            runs.append([claim.cell, 1, claim.length])
        may_grow = claim.length == CELL_BYTES
    return runs


def _claims(runs: object, hashes: object, size: int) -> tuple[Claim, ...]:
    text = hashes_of(hashes)
    total = sum(integer(run[1], MAX_FILE_BYTES) for run in rows_of(runs, 3))
    if len(text) != 64 * total:
        raise StateRefused("claims and their hashes differ in number")
    claims: list[Claim] = []
    next_cell = position = 0
    for run in rows_of(runs, 3):
        first, count = integer(run[0], MAX_FILE_BYTES), integer(run[1], MAX_FILE_BYTES, 1)
        last = first + count - 1
        if first < next_cell or last * CELL_BYTES >= size:
            raise StateRefused("a claim overlaps another or lies outside the file")
        last_length = integer(run[2], len(cell_range(last, size)), 1)
        for cell in range(first, last + 1):
            length = last_length if cell == last else CELL_BYTES
            claims.append(Claim(cell, length, text[position : position + 64]))
            position += 64
        next_cell = last + 1
    return tuple(claims)


def encode_owner(owner: Owner) -> bytes:
    """Return *owner* as a document."""
    body = {
        "repo_id": owner.repo_id,
        "repo_type": owner.repo_type,
        "endpoint": owner.endpoint,
        "revision": owner.revision,
        "commit": owner.commit,
    }
    return seal("repo", body)


def decode_owner(data: bytes) -> Owner:
    """Return the owner in *data*.

    Raises:
        StateRefused: it is not one.
    """
    names = ("repo_id", "repo_type", "endpoint", "revision", "commit")
    body = unseal("repo", data, MAX_REPO_BYTES, names)
    repo_type = body["repo_type"]
    if repo_type not in _REPO_TYPES:
        raise StateRefused("unknown repo type")
    texts = [text_of(body[name]) for name in ("repo_id", "endpoint", "revision")]
    return Owner(
        texts[0], cast("RepoType", repo_type), texts[1], texts[2], commit_of(body["commit"])
    )


def encode_listing(listing: StoredListing) -> bytes:
    """Return *listing* as a document.

    There may be a million rows: they are put together by hand, and never all there as texts.
    """
    table = remote_files(listing.files).table
    columns = zip(table.paths, table.sizes, table.hashes, strict=True)
    rows = (
        f"[{quote(path)},{size},{_digest_text_in(hashes)},{int(path in listing.selected)}]"
        for path, size, hashes in columns
    )
    body = bytearray(f'{{"commit":{quote(listing.commit)},"files":['.encode("ascii"))
    while some := ",".join(islice(rows, ROWS_AT_ONCE)):
        body += some.encode("ascii") + b","
    if body.endswith(b","):
        body.pop()
    body += b"]}"
    return seal_text("listing", body)


def _digest_text_in(hashes: bytes) -> str:
    """Return what `_digest_text` does, of a row of a table of files."""
    algorithm = ALGORITHMS.get(hashes[0] & KINDS)
    return "null" if algorithm is None else f'["{algorithm}","{content_in(hashes).hex()}"]'


def _digest_text(digest: Digest | None) -> str:
    """Return what `_digest_out` is as JSON."""
    return "null" if digest is None else f'["{digest.algorithm}","{digest.hex}"]'


def decode_listing(data: bytes) -> StoredListing:
    """Return the listing in *data*.

    Raises:
        StateRefused: it is not one.
    """
    body = unseal("listing", data, MAX_LISTING_BYTES, ("commit", "files"))
    rows = rows_of(body["files"], 4)
    files = tuple(
        RemoteFile(path_of(path), integer(size, MAX_FILE_BYTES), _digest_in(digest))
        for path, size, digest, _ in rows
    )
    selected = frozenset(path_of(row[0]) for row in rows if integer(row[3], 1))
    return StoredListing(commit_of(body["commit"]), files, selected)


# The receipts are a log: a head line, then lines of ["<crc32>",[...]] that stand for themselves.
_LOG_HEAD = re.compile(rb'\["hfdl receipts",([1-9][0-9]{0,5})\]')
RECEIPTS_HEAD = b'["hfdl receipts",%d]\n' % VERSION
_LINE_HEAD_BYTES = len(b'["12345678",')


def check_receipts_head(line: bytes) -> None:
    """Check the first line of a receipts log (without its line end).

    Raises:
        StateRefused: it is not the head of one that this program can read.
    """
    match = _LOG_HEAD.fullmatch(line)
    if match is None:
        raise StateRefused("not a receipts log")
    check_version(int(match[1]))


def encode_receipt(receipt: Receipt) -> bytes:
    """Return *receipt* as one line of the log, line end included.

    It is put together by hand: there is one for each of many small files.
    """
    text = (
        f"[{quote(receipt.path)},{receipt.size},{_digest_text(receipt.digest)},"
        f'"{"".join(receipt.cells)}",{receipt.mtime_ns},{receipt.ctime_ns},{receipt.inode},'
        f"{quote(receipt.commit)}]"
    )
    body = text.encode("ascii")
    return b'["%08x",%b]\n' % (zlib.crc32(body), body)


def decode_receipt(line: bytes) -> Receipt:
    """Return the receipt in *line* (without its line end).

    Raises:
        StateRefused: it is not one, or torn.
    """
    body = line[_LINE_HEAD_BYTES:-1]
    if line[:_LINE_HEAD_BYTES] != b'["%08x",' % zlib.crc32(body) or line[-1:] != b"]":
        raise StateRefused("the checksum of a receipt does not fit")
    row = parse(body)
    if not isinstance(row, list) or len(row) != 8:
        raise StateRefused("not a receipt")
    size, hashes = integer(row[1], MAX_FILE_BYTES), hashes_of(row[3])
    if hashes and len(hashes) != 64 * -(-size // CELL_BYTES):
        raise StateRefused("a receipt has hashes for another number of cells")
    return Receipt(
        path=path_of(row[0]),
        size=size,
        digest=_digest_in(row[2]),
        cells=tuple([hashes[start : start + 64] for start in range(0, len(hashes), 64)]),
        mtime_ns=integer(row[4], MAX_STAMP, -MAX_STAMP),
        ctime_ns=integer(row[5], MAX_STAMP, -MAX_STAMP),
        inode=integer(row[6], 2**128),
        commit=commit_of(row[7]),
    )


def _digest_out(digest: Digest | None) -> list[str] | None:
    return None if digest is None else [digest.algorithm, digest.hex]


def _digest_in(value: object) -> Digest | None:
    if value is None:
        return None
    if isinstance(value, list) and len(value) == 2:
        algorithm, text = value
        if (
            isinstance(algorithm, str)
            and isinstance(text, str)
            and _DIGITS.get(algorithm) == len(text)
            and _HEX.fullmatch(text)
        ):
            return Digest(cast("Algorithm", algorithm), text)
    raise StateRefused("not a digest")
