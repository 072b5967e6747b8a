"""Taking over the good cells of a damaged file of ours, so that only the bad ones are fetched."""

from __future__ import annotations

import os

import anyio
from anyio import to_thread

from hfdl_async.core.ledger import cell_range
from hfdl_async.core.state import Claim, Receipt
from hfdl_async.disk.calls import Calls
from hfdl_async.disk.hashing import SLICE_BYTES
from hfdl_async.disk.partfile import PartFile
from hfdl_async.disk.trouble import translated


async def seed(
    calls: Calls,
    part: PartFile,
    damaged: str,
    receipt: Receipt,
    limiter: anyio.CapacityLimiter,
    *,
    follow: bool = False,
) -> None:
    """Fill *part* from the file *damaged* and claim what *receipt* says of each cell.

    The claims are not believed: `prove` drops those of damaged cells. Does nothing where the
    receipt is of another content or has no cells. *follow*: *damaged* may be a link.

    Raises:
        StorageError: the disk refused.
    """
    file = part.file
    if receipt.digest != file.digest or receipt.size != file.size_bytes or not receipt.cells:
        return

    def open_it() -> int | None:
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)
        flags |= 0 if follow else getattr(os, "O_NOFOLLOW", 0)
        with translated(damaged):
            fd = os.open(damaged, flags | getattr(os, "O_BINARY", 0))
        if os.fstat(fd).st_size == file.size_bytes:
            return fd
        os.close(fd)
        return None

    source = await to_thread.run_sync(open_it, limiter=limiter)
    if source is None:
        return
    try:
        if not await to_thread.run_sync(part.clone_from, source, limiter=limiter):
            for start in range(0, file.size_bytes, SLICE_BYTES):
                length = min(SLICE_BYTES, file.size_bytes - start)
                await to_thread.run_sync(part.copy_from, source, start, length, limiter=limiter)
    finally:
        os.close(source)
    part.expect(
        [
            Claim(cell, len(cell_range(cell, file.size_bytes)), blake3_hex)
            for cell, blake3_hex in enumerate(receipt.cells)
        ]
    )
