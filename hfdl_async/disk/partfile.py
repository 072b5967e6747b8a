"""One unfinished file on disk: bytes at their own offsets, and claims that are never too large.

The digest of the whole file takes its bytes in order. A write that begins where it stands feeds it
from memory, in another thread beside the write; what came out of order is read back later from the
page cache (`hash_to`).

How a claim is made: take down what is hashed (only bytes whose write has ended), sync the data,
then replace the record. Whatever is written meanwhile is not in that claim. After a failed sync
nothing written since the last good claim is believed any more, because the system may have
dropped those pages and would report success the next time.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

import anyio
from anyio import to_thread

from hfdl_async.core.ledger import CELL_BYTES, Ledger
from hfdl_async.core.model import MIB, ByteRange, Digest, RemoteFile, ResumeFacts
from hfdl_async.core.state import Claim, Record, encode_record
from hfdl_async.disk import handover
from hfdl_async.disk.calls import Buffer, Calls, Folder, allocated_bytes
from hfdl_async.disk.cells import Cells
from hfdl_async.disk.descriptor import Descriptor
from hfdl_async.disk.hashing import SLICE_BYTES, Hasher, new_hasher, read_slice
from hfdl_async.disk.pagecache import PageCache
from hfdl_async.disk.partopen import OpenedPart, remove_part
from hfdl_async.disk.reserving import Reserve
from hfdl_async.disk.settled import Settled, identity_of
from hfdl_async.disk.statefiles import write_state
from hfdl_async.disk.trouble import explain, is_for_want_of_room, translate, translated
from hfdl_async.errors import HfdlError, StorageError

PROVE_CLAIMS = SLICE_BYTES // CELL_BYTES  # per hop
FEED_BYTES = MIB  # from memory into the digest: not worth a hop for less
ROOM_BYTES = MIB  # for the record of a part on a full disk; that of 100 GB has 0.8 MB
NEAR_BYTES = 8 * MIB  # what one write catches up with before it feeds the digest


class PartFile:
    """An unfinished file; fits `engine.ports.Part`. Made by `LocalDir.open`."""

    def __init__(
        self,
        calls: Calls,
        parts: Folder,
        file: RemoteFile,
        opened: OpenedPart,
        *,
        subject: str,
        disk: anyio.CapacityLimiter,
        hashing: anyio.CapacityLimiter,
        cached: PageCache | None = None,
    ) -> None:
        self.on_end: Callable[[], None] | None = None  # once it is closed without being published
        self._calls = calls
        self._parts = parts
        self._file = file
        self._names = opened.names
        self._path = subject
        self._descriptor = Descriptor(calls, opened.fd, self._path)
        self._reserve = opened.reserve
        self._disk, self._hashing = disk, hashing
        self._cached = cached or PageCache(calls)
        self._unproven = opened.claims
        self._saved: tuple[Claim, ...] = ()  # claims that are on disk and hold
        self._has_record = opened.saved
        self._saving, self._hashing_turn = anyio.Lock(), anyio.Lock(fast_acquire=True)
        self._closed = False
        self._start_over()

    def _start_over(self) -> None:
        self._ledger = Ledger(self._file.size_bytes)
        self._cells = Cells(self._file.size_bytes)
        self._unclaimed = 0
        self._done_with = 0  # until there everything was synced and hashed
        self._broken: HfdlError | None = None
        self._forget_digest()

    def _forget_digest(self) -> None:
        self._hashed = self._hashed_ahead = 0  # ahead: what a thread may be reading right now
        self._hasher: Hasher | None = None
        if self._file.digest is not None:
            self._hasher = new_hasher(self._file.digest.algorithm, self._file.size_bytes)

    @property
    def file(self) -> RemoteFile:
        """The file this will become."""
        return self._file

    @property
    def ledger(self) -> Ledger:
        """Bytes whose write has ended, or that were proven."""
        return self._ledger

    @property
    def hashes_inline(self) -> bool:
        """Whether `write` hashes as well."""
        return False

    @property
    def unclaimed_bytes(self) -> int:
        """Written bytes that a kill would lose."""
        return 0 if self._closed else self._unclaimed

    @property
    def hashed_bytes(self) -> int:
        """How far the digest has come."""
        return self._hashed

    @property
    def has_claims(self) -> bool:
        """Whether there is something to prove."""
        return bool(self._unproven)

    def clone_from(self, source: int) -> bool:
        """Share the blocks of the open file *source*; return False where that cannot be."""
        with translated(self._path), self._descriptor.use() as fd:
            return self._calls.clone(source, fd)

    def copy_from(self, source: int, offset: int, length: int) -> None:
        """Copy bytes of the open file *source* to the same place here. In a thread."""
        with translated(self._path, needed=length), self._descriptor.use() as fd:
            self._calls.copy_range(source, fd, offset, length)

    def expect(self, claims: Sequence[Claim]) -> None:
        """Let `prove` look at *claims*, which no record holds yet."""
        self._unproven = tuple(claims)

    async def prove(self) -> ResumeFacts:
        """Re-read every claim of an earlier run; those that hold enter the ledger.

        Raises:
            StorageError: the part cannot be read.
        """
        claims = self._unproven
        proven: list[Claim] = []
        for start in range(0, len(claims), PROVE_CLAIMS):
            batch = claims[start : start + PROVE_CLAIMS]
            proven += await to_thread.run_sync(self._prove, batch, limiter=self._hashing)
        spans = [_span(claim) for claim in proven]
        self._ledger = Ledger.of(self._file.size_bytes, spans)
        self._unproven, self._saved = (), tuple(proven)
        covered = self._ledger.covered
        return ResumeFacts(covered, sum(claim.length for claim in claims) - covered)

    def _prove(self, claims: Sequence[Claim]) -> list[Claim]:
        with translated(self._path), self._descriptor.use() as fd:
            read = partial(read_slice, self._calls, fd)
            return [claim for claim in claims if self._cells.prove(claim, read)]

    async def write(self, offset: int, pieces: Sequence[Buffer]) -> None:
        """Write *pieces* one behind the other at *offset*; afterwards the ledger has them.

        Raises:
            StorageError: the disk refused; what the ledger said before still holds.
        """
        self._raise_if_broken()
        span = ByteRange(offset, offset + sum(map(len, pieces)))
        if span.stop > self._file.size_bytes:
            raise ValueError(f"{self._path}: {span} is outside the file")
        hasher = self._hasher_for(span)
        if hasher is None:
            await handover.in_thread(self._write, span, pieces, limiter=self._disk)
            self._raise_if_broken()  # a sync failed meanwhile: these bytes may be gone
            if span.start < self._hashed_ahead:
                self._forget_digest()
            self._took(span)
        else:
            async with self._hashing_turn:
                await self._write_and_hash(span, pieces, hasher)
            self._raise_if_broken()

    def _took(self, span: ByteRange) -> None:
        self._ledger = self._ledger.add(span)
        self._unclaimed += len(span)

    def _hasher_for(self, span: ByteRange) -> Hasher | None:
        """Return what is to be fed while *span* is written: it moves the frontier, or nearly does.

        Nothing for a few bytes: they would cost a hop each, and later come many to a hop.
        """
        at_frontier = self._hashed <= span.start == self._ledger.prefix
        near = span.start - self._hashed <= NEAR_BYTES and len(span) >= FEED_BYTES
        return self._hasher if at_frontier and near and not self._hashing_turn.locked() else None

    async def _write_and_hash(
        self, span: ByteRange, pieces: Sequence[Buffer], hasher: Hasher
    ) -> None:
        """Write *pieces* and feed *hasher* from the same memory, side by side."""
        feeding = handover.begin(
            self._feed, hasher, self._hashed, span.start, pieces, limiter=self._hashing
        )
        if feeding is not None:
            self._hashed_ahead = span.stop
        fed = written = False
        try:
            await handover.in_thread(self._write, span, pieces, limiter=self._disk)
            written = True
        finally:
            try:
                fed = feeding is not None and await handover.end(feeding)
            finally:
                if self._hasher is hasher and fed and written:
                    self._hashed = span.stop
                elif self._hasher is hasher and feeding is not None:
                    self._forget_digest()  # it has seen what is not there
                if written and self._broken is None:
                    self._took(span)

    def _feed(self, hasher: Hasher, start: int, stop: int, pieces: Sequence[Buffer]) -> bool:
        """Take what lies before *pieces* from the file; return False where somebody cut it."""
        if self._hash(hasher.update, start, stop) < stop:
            return False
        for piece in pieces:
            hasher.update(piece)
        return True

    def _write(self, span: ByteRange, pieces: Sequence[Buffer]) -> None:
        with translated(self._path), self._descriptor.use() as fd:
            try:
                self._reserve.before_write(fd, span)
                self._cells.before_write(span)
                self._calls.write_at(fd, pieces, span.start)
            except OSError as error:
                raise explain(error, self._path, needed=self._lacking(fd)) from error
            self._cells.after_write(span, pieces)

    def _lacking(self, fd: int) -> int:
        """Return how many more bytes of disk the part needs."""
        here = self._ledger.covered
        with suppress(OSError):
            here = max(here, allocated_bytes(os.fstat(fd)))  # not all file systems count at once
        return max(0, self._file.size_bytes - here)

    def _raise_if_broken(self) -> None:
        if self._broken is not None:
            raise self._broken

    async def checkpoint(self, *, last: bool = False) -> None:
        """Make what the ledger holds now survive a kill: sync the data, then save the claims.

        The *last* time nobody writes any more: where there is no room for the record, the end of
        the part is given up for it.

        Raises:
            StorageError: the claims of before still stand. After a failed sync the ledger has
                fallen back to them, and the part takes nothing more until it is reset or reopened.
        """
        async with self._saving:
            if self._closed or self._unproven:  # claims not looked at yet must not be replaced
                return
            self._raise_if_broken()
            covered = self._unclaimed
            try:
                save = self._save_at_any_cost if last else self._save
                await to_thread.run_sync(save, self._ledger, limiter=self._disk)
            finally:
                if self._broken is not None:
                    self._fall_back()
            self._unclaimed -= covered

    def _save(self, written: Ledger) -> None:
        with translated(self._path), self._descriptor.use() as fd:
            claims = self._cells.claims(written, partial(read_slice, self._calls, fd))
            self._sync(fd)
            record = Record(self._file.digest, self._file.size_bytes, claims)
            write_state(self._calls, self._parts, self._names.record, encode_record(record))
            self._saved, self._has_record = claims, True
            through = min(self._hashed, written.prefix)
            self._be_done(fd, through - through % CELL_BYTES)

    def _save_at_any_cost(self, written: Ledger) -> None:
        try:
            self._save(written)
        except StorageError as error:
            if self._broken or not written.spans or not is_for_want_of_room(error):
                raise
            self._ledger = self._make_room(written)
            self._save(self._ledger)

    def _make_room(self, written: Ledger) -> Ledger:
        """Cut what was reserved behind the last written byte, and some of what was written.

        But nothing of what is claimed: there may be no room even so.
        """
        end = written.spans[-1].stop
        claimed = max((_span(claim).stop for claim in self._saved), default=0)
        cut = ByteRange(min(max(claimed, end - ROOM_BYTES), end), end)
        self._cells.before_write(cut)
        if self._hashed > cut.start:
            self._forget_digest()
        with translated(self._path), self._descriptor.use() as fd:
            self._calls.set_size(fd, cut.start)
        return written.up_to(cut.start)

    def _be_done(self, fd: int, stop: int) -> None:
        start, self._done_with = self._done_with, max(self._done_with, stop)
        if start < stop:
            self._cached.done_with(fd, start, stop)

    def _sync(self, fd: int) -> None:
        try:
            self._calls.sync_data(fd)
        except OSError as error:
            self._broken = translate(error, self._path)
            raise

    def _fall_back(self) -> None:
        spans = [_span(claim) for claim in self._saved]
        self._ledger = Ledger.of(self._file.size_bytes, spans)
        self._cells.keep_only(self._saved)
        self._unclaimed = 0
        self._forget_digest()

    async def hash_to(self, stop: int) -> None:
        """Bring the whole-file digest forward to *stop*, or to the prefix if that is less."""
        async with self._hashing_turn:
            stop = min(stop, self._ledger.prefix)  # a failed sync may have taken bytes back
            while self._hasher is not None and self._hashed < stop:
                hasher, start = self._hasher, self._hashed
                upto = self._hashed_ahead = min(start + SLICE_BYTES, stop)
                reached = await handover.in_thread(
                    self._hash, hasher.update, start, upto, limiter=self._hashing
                )
                if hasher is not self._hasher:  # written over meanwhile: it starts from the front
                    stop = min(stop, self._ledger.prefix)
                    continue
                self._hashed = reached
                if reached < upto:  # somebody cut the part: what was hashed is all there is,
                    self._hashed = self._file.size_bytes  # and its digest is the wrong one
                    return
            if self._hasher is None:
                self._hashed = max(self._hashed, stop)

    def _hash(self, feed: Callable[[memoryview], None], start: int, stop: int) -> int:
        with translated(self._path), self._descriptor.use() as fd:
            return read_slice(self._calls, fd, start, stop, feed)

    def digest(self) -> Digest | None:
        """Return the digest of the whole content, or None where the file publishes none."""
        if self._file.digest is None or self._hasher is None:
            return None
        return Digest(self._file.digest.algorithm, self._hasher.hexdigest())

    async def reset(self) -> None:
        """Forget all bytes and claims: the next byte is the first.

        The bytes go to a fresh file: another writer may still hold the old one.
        """
        async with self._saving, self._hashing_turn:
            await to_thread.run_sync(self._renew, limiter=self._disk)
            self._unproven, self._saved, self._has_record = (), (), False
            self._start_over()

    def _renew(self) -> None:
        with translated(self._path, needed=self._file.size_bytes):
            self._descriptor.close()
            remove_part(self._calls, self._parts, self._names)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
            fd = self._calls.open_file(self._parts, self._names.part, flags)
            self._descriptor = Descriptor(self._calls, fd, self._path)
            self._reserve = Reserve(self._calls, self._file.size_bytes)
            self._reserve.begin(fd)

    async def discard(self) -> None:
        """Close and remove the part and its record."""
        await self._let_go(remove=True)

    async def close(self) -> None:
        """Let go of it; what was checkpointed stays, a part without a claim does not."""
        await self._let_go(remove=not self._has_record)

    async def _let_go(self, *, remove: bool) -> None:
        already, self._closed = self._closed, True
        with anyio.CancelScope(shield=True):  # one close and at most two unlinks
            async with self._saving:
                if already:
                    return
                try:
                    await to_thread.run_sync(self._end, remove, limiter=self._disk)
                finally:
                    if self.on_end is not None:
                        self.on_end()

    def _end(self, remove: bool) -> None:
        with translated(self._path):
            try:
                self._descriptor.close()
            finally:
                if remove:
                    remove_part(self._calls, self._parts, self._names)

    async def stop_saving(self) -> None:
        """Let no further checkpoint begin and the running one end: `settle` comes next."""
        self._closed = True
        async with self._saving:
            pass

    def settle(self) -> Settled:
        """Make the whole content durable and close it, ready for its final name. In a thread.

        Raises:
            StorageError: the sync failed, or the name no longer leads to the file that was written.
        """
        try:
            with translated(self._path), self._descriptor.use() as fd:
                self._cells.claims(self._ledger, partial(read_slice, self._calls, fd))
                self._calls.sync_data(fd)
                self._be_done(fd, self._file.size_bytes)
                settled = Settled(
                    self._file,
                    self._parts,
                    self._names.part,
                    identity_of(os.fstat(fd)),
                    self._cells.whole(),
                    self._names.record,
                )
        finally:
            with translated(self._path):
                self._descriptor.close()
        return settled


def _span(claim: Claim) -> ByteRange:
    start = claim.cell * CELL_BYTES
    return ByteRange(start, start + claim.length)
