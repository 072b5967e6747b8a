"""A receipt in one string of bytes: there may be a million, and hardly one is ever read as a value.

As objects a hundred thousand receipts take 50 MB and a second to make. Packed they take 11 MB, and
whether one covers a file is a comparison of bytes: what was seen of the file in the order of
`_STAMP`, then the digest that is wanted, is what the packed receipt begins with. Behind it come the
commit and the hashes of the cells.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator, Mapping
from struct import Struct, error

from hfdl_async.core.filetable import KINDS, SHA1, SHA256, content_in, digest_in, pack_hashes
from hfdl_async.core.ledger import CELL_BYTES
from hfdl_async.core.names import PLAIN_NAME
from hfdl_async.core.state import Receipt, decode_receipt

Packed = bytes | Receipt
"""A packed receipt, or the value where a number is too large for that."""

_STAMP = Struct("<qQqq")  # size, inode, modification and change time in nanoseconds
_HASH_BYTES = 32
_COMMIT_BYTES = 20
_SHA1_MARK, _SHA256_MARK = bytes([SHA1]), bytes([SHA256])

# How nearly all lines look: a plain name, no number out of the ordinary. What this takes the rules
# of `decode_receipt` take, too, and it takes a quarter of the time.
_NUMBER = rb"(0|[1-9][0-9]{0,17}|[1-8][0-9]{18})"  # below 2**63, and as JSON writes it
_USUAL_LINE = re.compile(
    rb'\["([0-9a-f]{8})",\["(' + PLAIN_NAME.encode("ascii") + rb')",(0|[1-9][0-9]{0,11}),'
    rb'\["(?:git-sha1","([0-9a-f]{40})|sha256","([0-9a-f]{64}))"\],"((?:[0-9a-f]{64})*)",'
    + 3 * (_NUMBER + rb",")
    + rb'"([0-9a-f]{40})"\]\]'
)
_LINE_HEAD_BYTES = len(b'["12345678",')


def stamp_of(found: os.stat_result) -> bytes | None:
    """Return what a packed receipt of the very file *found* begins with; None: it cannot be packed.

    P27: size, inode and both times, or it is not the file that was verified.
    """
    try:
        return _STAMP.pack(found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
    except error:
        return None


def wanted_digest(hashes: bytes) -> bytes | None:
    """Return what follows the stamp in the receipt of a file with *hashes*; None without digest."""
    mark = hashes[0] & KINDS
    if mark not in (SHA1, SHA256):
        return None
    return hashes if hashes[0] == mark else bytes([mark]) + content_in(hashes)


def pack(receipt: Receipt) -> Packed:
    """Return *receipt* packed, where that is possible."""
    try:
        stamp = _STAMP.pack(receipt.size, receipt.inode, receipt.mtime_ns, receipt.ctime_ns)
    except error:
        return receipt
    cells = bytes.fromhex("".join(receipt.cells))
    return stamp + pack_hashes(receipt.digest) + bytes.fromhex(receipt.commit) + cells


def unpack(path: str, packed: Packed) -> Receipt:
    """Return the receipt of the file *path* that was *packed*."""
    if not isinstance(packed, bytes):
        return packed
    size, inode, mtime_ns, ctime_ns = _STAMP.unpack_from(packed)
    hashes = packed[_STAMP.size :]
    commit = 1 + len(content_in(hashes))
    cells = commit + _COMMIT_BYTES
    return Receipt(
        path=path,
        size=size,
        digest=digest_in(hashes),
        cells=tuple(
            hashes[start : start + _HASH_BYTES].hex()
            for start in range(cells, len(hashes), _HASH_BYTES)
        ),
        mtime_ns=mtime_ns,
        ctime_ns=ctime_ns,
        inode=inode,
        commit=hashes[commit:cells].hex(),
    )


def pack_line(line: bytes) -> tuple[str, Packed]:
    """Return the path and the receipt in *line* of the log (without its line end).

    Raises:
        StateRefused: it is not one, or torn.
    """
    usual = _USUAL_LINE.fullmatch(line)
    if usual is not None:
        check, path, size, sha1, sha256, cells, mtime_ns, ctime_ns, inode, commit = usual.groups()
        whole = int(check, 16) == zlib.crc32(line[_LINE_HEAD_BYTES:-1])
        if whole and (not cells or len(cells) == 64 * -(-int(size) // CELL_BYTES)):
            stamp = _STAMP.pack(int(size), int(inode), int(mtime_ns), int(ctime_ns))
            hashes = bytes.fromhex(((sha1 or sha256) + commit + cells).decode("ascii"))
            return path.decode("ascii"), stamp + (_SHA1_MARK if sha1 else _SHA256_MARK) + hashes
    receipt = decode_receipt(line)
    return receipt.path, pack(receipt)


class Unpacking(Mapping[str, Receipt]):
    """Packed receipts, by path, as the values that they stand for."""

    __slots__ = ("_packed",)

    def __init__(self, packed: Mapping[str, Packed]) -> None:
        self._packed = packed

    def __getitem__(self, path: str) -> Receipt:
        return unpack(path, self._packed[path])

    def __contains__(self, path: object) -> bool:
        return path in self._packed

    def __iter__(self) -> Iterator[str]:
        return iter(self._packed)

    def __len__(self) -> int:
        return len(self._packed)
