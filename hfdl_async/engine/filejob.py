"""One file on its way: opened, fetched in pieces, hashed behind the frontier; ends at *verified*.

Theory of operation. Workers write pieces in any order. `part.ledger` says what is on disk; its
prefix is the frontier. One follower per file hashes up to the frontier while later pieces still
arrive, so that the digest is nearly done when the last byte comes. If the digest is wrong the job
starts a second and last round: everything is forgotten and fetched over fresh connections. An
*epoch* counts the rounds; a worker that holds a piece of an earlier epoch drops it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

import anyio

from hfdl_async.core.ledger import Ledger
from hfdl_async.core.model import MIB, ByteRange, PlannedFile, ResumeFacts
from hfdl_async.core.pieces import pieces
from hfdl_async.core.progress import ActiveFile, ConnectionView
from hfdl_async.engine.line import Flow
from hfdl_async.engine.ports import Part, Sink
from hfdl_async.engine.wakeup import Wakeup
from hfdl_async.errors import HfdlError, IntegrityError

HASH_STRIDE_BYTES = 4 * MIB  # not worth a thread hop for less, but at the end of the file
NOTHING_RESUMED = ResumeFacts()
CATCH_UP_BYTES = 64 * MIB  # one hop when behind: a busy loop is slow to send the next one


class FileJob:
    """The state of one file; every change is synchronous, every wait is named."""

    def __init__(self, item: PlannedFile, *, small: bool) -> None:
        self.item = item
        self.file = item.file  # as the pinned commit has it
        self.small = small
        self.whole = False  # one stream from the first byte: the server ignores ranges
        self.fresh = False  # second round: only connections that carried nothing before
        self.ended = False
        self.followed = False  # somebody sees to the end of it: a follower, or the last worker
        self.epoch = 0
        self.workers = 0  # that have a piece of it
        self.resumed = NOTHING_RESUMED
        self.untaken: deque[ByteRange] = deque()
        self._part: Part | None = None
        self._flows: set[Flow] = set()
        self._grown = Wakeup()
        self._quiet = Wakeup()
        self._sealed = False
        self._worthless = False
        # Made by the first who needs one: a file in memory has nothing to save and nothing to read.
        self._saving_lock: anyio.Lock | None = None
        self._reading_lock: anyio.Lock | None = None

    @property
    def _saving(self) -> anyio.Lock:
        """A checkpoint and what ends the part exclude each other."""
        if self._saving_lock is None:
            self._saving_lock = anyio.Lock(fast_acquire=True)
        return self._saving_lock

    @property
    def _reading(self) -> anyio.Lock:
        """Likewise the follower's reads and a reset."""
        if self._reading_lock is None:
            self._reading_lock = anyio.Lock(fast_acquire=True)
        return self._reading_lock

    @property
    def part(self) -> Part:
        """The open part."""
        assert self._part is not None, "a job is opened before it is fetched"
        return self._part

    @property
    def is_open(self) -> bool:
        """Whether there is a part."""
        return self._part is not None

    @property
    def ledger(self) -> Ledger:
        """What the part holds."""
        return self.part.ledger

    @property
    def connections(self) -> int:
        """How many requests are under way for this file."""
        return len(self._flows)

    async def open(self, sink: Sink) -> ResumeFacts:
        """Open the part and prove what an earlier run left.

        Raises:
            StorageError: it cannot be made.
        """
        self._part = await sink.open(self.item)
        self.resumed = await self._part.prove()
        self._cut_into_pieces()
        return self.resumed

    def _cut_into_pieces(self) -> None:
        if self.whole:
            self.untaken = deque([ByteRange(0, self.file.size_bytes)])
        else:
            self.untaken = deque(pieces(self.ledger, big=not self.small))

    @property
    def unclaimed_bytes(self) -> int:
        """Written bytes that a kill would lose; none once the file is on its way to its name."""
        return 0 if self._sealed or self._part is None else self._part.unclaimed_bytes

    async def save(self) -> None:
        """Checkpoint the part, unless it is sealed.

        Raises:
            StorageError: the disk refused; the last good checkpoint still holds.
        """
        async with self._saving:
            if self.unclaimed_bytes:
                await self.part.checkpoint()

    async def seal(self) -> None:
        """Let no checkpoint touch the verified part from now on; the last one may end the job."""
        self._sealed = True
        if self._saving_lock is not None and self._saving_lock.locked():
            async with self._saving:
                pass

    async def put_away(self, *, keep: bool) -> None:
        """End all requests and close the part; *keep* saves what it has, else it is removed.

        Raises:
            StorageError: it could not be saved or removed.
        """
        self.ended = True
        self._worthless |= not keep
        self.untaken.clear()
        await self.stop("the file was given up")
        self._grown.wake()
        async with self._reading, self._saving:
            # Cancelled in here, the part stays ours: the end of the run tries again.
            if self._part is None:
                return
            await self._let_go(self._part)
            self._part = None

    async def _let_go(self, part: Part) -> None:
        if self._worthless:
            await part.discard()
            return
        try:
            if part.unclaimed_bytes:
                await part.checkpoint(last=True)
        except HfdlError:
            self._part = None
            await part.close()
            raise
        await part.close()

    def gap(self, span: ByteRange) -> ByteRange | None:
        """Return what is first missing inside *span*, or None when nothing is."""
        ledger = self.part.ledger
        if not ledger.spans:  # most files are small: they lack everything, or nothing
            return span or None
        if ledger.complete:
            return None
        return ledger.first_missing_in(span)

    def enter(self, flow: Flow) -> None:
        """Register a request that works for this file."""
        self._flows.add(flow)

    def leave(self, flow: Flow) -> None:
        """Take a request off; its last write has ended."""
        self._flows.discard(flow)
        if not self._flows:
            self._quiet.wake()

    def grew(self) -> None:
        """Wake the follower when the frontier has moved far enough to be worth a thread hop."""
        if self._worth_hashing():
            self._grown.wake()

    def _worth_hashing(self) -> bool:
        frontier, hashed = self.ledger.prefix, self.part.hashed_bytes
        return frontier - hashed >= HASH_STRIDE_BYTES or frontier == self.file.size_bytes

    async def stop(self, reason: str) -> None:
        """End all requests of this file and wait until none writes any more."""
        for flow in list(self._flows):
            flow.cut(reason)
        while self._flows:
            await self._quiet.wait()

    async def close(self) -> None:
        """Let go of the part as it is: there is no time left to save what it has.

        Raises:
            StorageError: it could not be closed or removed.
        """
        part, self._part = self._part, None
        if part is not None:
            await (part.discard() if self._worthless else part.close())

    async def start_over(self, *, whole: bool = False, fresh: bool = False) -> int:
        """Forget every byte and begin a new epoch, once no request of the old one writes.

        Returns how many of the bytes were those of an earlier run.
        """
        self.epoch += 1
        self.whole, self.fresh = self.whole or whole, self.fresh or fresh
        self.untaken.clear()
        await self.stop("the file starts over")
        async with self._reading:
            if self.ended:
                return 0
            await self.part.reset()
            self._sealed = False
            forgotten, self.resumed = self.resumed.proven_bytes, NOTHING_RESUMED
            self._cut_into_pieces()
            return forgotten

    async def verify(self, on_wrong: Callable[[str, int], None]) -> None:
        """Hash behind the frontier to the end of the file and compare with the Hub's digest.

        A first mismatch starts the second round; *on_wrong* is told what was found and how many
        bytes of an earlier run were forgotten, so that the pieces are scheduled again. The bytes
        then come over fresh connections. Returns early when the job has ended.

        Raises:
            IntegrityError: the second round is wrong as well.
            StorageError: reading back failed.
        """
        while True:
            await self._follow()
            if self.ended:
                return
            found, expected = self.part.digest(), self.file.digest
            if found == expected:
                return
            message = (
                f"{self.file.path}: the content has {expected and expected.algorithm} "
                f"{found and found.hex}, the Hub published {expected and expected.hex}"
            )
            if self.fresh:
                raise IntegrityError(
                    f"{message}, twice over fresh connections",
                    hint="something between here and the Hub alters the content; "
                    "try another network or --endpoint",
                )
            on_wrong(message, await self.start_over(fresh=True))

    async def _follow(self) -> None:
        while not self.ended and self.part.hashed_bytes < self.file.size_bytes:
            if not self._worth_hashing():
                await self._grown.wait()
            async with self._reading:
                if self.ended:
                    return
                stop = min(self.ledger.prefix, self.part.hashed_bytes + CATCH_UP_BYTES)
                if stop > self.part.hashed_bytes:
                    await self.part.hash_to(stop)

    def view(self) -> ActiveFile:
        """Return what a display shows of this file."""
        return ActiveFile(
            path=self.file.path,
            size_bytes=self.file.size_bytes,
            done_bytes=self.ledger.covered if self._part else 0,
            verified_bytes=self.part.hashed_bytes if self._part else 0,
            connections=len(self._flows),
        )

    def view_flows(self, now_seconds: float) -> Iterator[ConnectionView]:
        """Yield what is shown of each of its requests, in the order of their offsets."""
        known = ((flow.span, flow) for flow in self._flows if flow.span is not None)
        for span, flow in sorted(known, key=lambda pair: pair[0]):
            yield ConnectionView(
                path=self.file.path,
                start=span.start,
                stop=span.stop,
                rate_bytes_per_second=flow.pace.rate(now_seconds),
                age_seconds=now_seconds - flow.pace.started_at,
                state=flow.state,
            )
