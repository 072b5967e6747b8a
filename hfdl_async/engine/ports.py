"""What the engine asks of the world. Everything that fits these shapes can be plugged in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from hfdl_async.core.ledger import Ledger
from hfdl_async.core.model import (
    ByteRange,
    Chunk,
    Digest,
    PlannedFile,
    RemoteFile,
    RequestCounts,
    ResumeFacts,
)
from hfdl_async.errors import HfdlError


class Clock(Protocol):
    """Time and waiting, so that tests can own both."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        ...

    def time(self) -> float:
        """Return UNIX seconds, for display only."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Source(Protocol):
    """Where bytes come from."""

    def open(
        self, file: RemoteFile, span: ByteRange, *, whole: bool = False, fresh: bool = False
    ) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """Ask for *span* of *file*; iterate over what arrives, in whatever order it arrives.

        The iterator ends after the last byte of *span*, or earlier when the peer stopped early.
        Every chunk lies inside *span*. One without bytes is a request: the source has no memory
        left to receive into, and whoever gathers chunks writes and releases them now.

        `whole` accepts (and asks for) the file as one stream from its first byte: the mode for
        servers that ignore ranges; *span* must then be the whole file. `fresh` uses connections
        that carried nothing before.

        Raises:
            RangeIgnoredError: the server sends whole files only.
            RateLimitedError, ServerError, LostConnectionError, ProtocolError, LinkRefusedError:
                worth another try, see `core.retry`.
            AccessError, NotFoundError, IntegrityError, UnsafeError, NetworkError: final.
        """
        ...

    def requests(self) -> RequestCounts:
        """Return how many requests were made so far."""
        ...

    @property
    def contacted(self) -> bool:
        """Whether the hub has answered anything at all in this run."""
        ...

    def note_silence(self, file: RemoteFile) -> None:
        """Note that a request for *file* was called off because nothing came any more.

        Of those that are called off only these have failed: the next one repeats one.
        """
        ...

    def describe_hold(self) -> str:
        """Return why nothing is sent just now ("waiting 38 s for …"), or an empty string."""
        ...

    def quota(self) -> tuple[int, float] | None:
        """Return how many files may be asked for still, and the seconds until that count is full.

        None where the server does not say.
        """
        ...


class Part(Protocol):
    """One unfinished file. Not two writes to the same cell at once; everything else may overlap.

    The order of calls: `prove`, then `write` and `checkpoint` and `hash_to` as bytes arrive, then
    `digest`, then the sink publishes it, or `close`. Cancellation never cuts `close` and `discard`
    short, and both do nothing to a part that is closed or published already.
    """

    @property
    def file(self) -> RemoteFile:
        """The file this will become."""
        ...

    @property
    def ledger(self) -> Ledger:
        """Bytes whose write has ended, or that were proven."""
        ...

    @property
    def hashes_inline(self) -> bool:
        """Whether nobody needs to follow with `hash_to`: all of it is held in memory.

        `digest` then takes as long as hashing does, and is called in a thread.
        """
        ...

    @property
    def unclaimed_bytes(self) -> int:
        """Written bytes that a kill would lose."""
        ...

    async def prove(self) -> ResumeFacts:
        """Re-read every claim of an earlier run; those that hold enter the ledger."""
        ...

    async def write(self, offset: int, pieces: Sequence[bytes | bytearray | memoryview]) -> None:
        """Write *pieces* one behind the other at *offset*; afterwards the ledger has them.

        Raises:
            StorageError: the disk refused; what the ledger said before still holds.
        """
        ...

    async def checkpoint(self, *, last: bool = False) -> None:
        """Make what the ledger holds now survive a kill: sync the data, then save the claims.

        The *last* time nobody writes any more, and the end of the part may be given up for the rest
        of it: on a full disk there may be no room left for the claims themselves.
        """
        ...

    async def hash_to(self, stop: int) -> None:
        """Bring the whole-file digest forward to *stop*, or to the prefix if that is less."""
        ...

    @property
    def hashed_bytes(self) -> int:
        """How far the digest has come."""
        ...

    def digest(self) -> Digest | None:
        """Return the digest of the whole content, or None where the file publishes none."""
        ...

    async def reset(self) -> None:
        """Forget all bytes and claims: the next byte is the first."""
        ...

    async def discard(self) -> None:
        """Close and remove the part and its record."""
        ...

    async def close(self) -> None:
        """Let go of it; what was checkpointed stays."""
        ...


class Sink(Protocol):
    """Where verified files go."""

    @property
    def path(self) -> Path:
        """The folder a reader opens."""
        ...

    async def open(self, item: PlannedFile) -> Part:
        """Return the part for *item*, with the claims of an earlier run if there are any.

        Raises:
            StorageError: it cannot be made (no space, read-only, something in the way).
        """
        ...

    async def publish(self, parts: Sequence[Part]) -> Mapping[str, HfdlError | None]:
        """Give verified parts their final names, durably and together; closes the parts.

        The answer has every part's path: None where the file and its receipt are in place.
        """
        ...

    async def copy(self, item: PlannedFile, report: Callable[[int], None]) -> None:
        """Place the content that *item*.copy_of names at *item*'s final name, proven on the way.

        *report* is called with bytes as they are placed, from any thread.

        Raises:
            IntegrityError: what was found there is not that content (nothing was placed).
            StorageError: the disk refused.
        """
        ...
