"""A sink that keeps a log, over a store that survives what a kill survives."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from anyio.lowlevel import checkpoint

from hfdl_async.core.ledger import Ledger, cell_of, split_at_cells
from hfdl_async.core.model import ByteRange, Digest, PlannedFile, RemoteFile, ResumeFacts
from hfdl_async.engine.ports import Part
from hfdl_async.errors import HfdlError, IntegrityError, StorageError


def sha256_of(content: bytes) -> Digest:
    """Return the digest the Hub publishes of a large file."""
    return Digest("sha256", hashlib.sha256(content).hexdigest())


def remote_file(path: str, content: bytes) -> RemoteFile:
    """Return *content* as a listing would name it."""
    return RemoteFile(path, len(content), sha256_of(content))


@dataclass(slots=True)
class Kept:
    """What of one part survives a kill: its bytes and its claims, each with its digest."""

    data: bytearray
    claims: dict[ByteRange, str] = field(default_factory=dict)


@dataclass(slots=True)
class MemoryStore:
    """What survives a kill. Parts are found again by content, as on disk."""

    files: dict[str, bytes] = field(default_factory=dict)
    parts: dict[str, Kept] = field(default_factory=dict)

    def keep(self, file: RemoteFile, content: bytes, spans: Iterable[ByteRange]) -> None:
        """Leave an unfinished part behind that claims *spans* of *content*."""
        data = bytearray(len(content))
        for span in spans:
            data[span.start : span.stop] = content[span.start : span.stop]
        claims = {span: _mark(data, span) for span in spans}
        self.parts[_key(file)] = Kept(data, claims)

    def kept(self, file: RemoteFile) -> Ledger:
        """Return what the claims of *file*'s part cover."""
        kept = self.parts.get(_key(file))
        return Ledger.of(file.size_bytes, kept.claims if kept else ())


def _key(file: RemoteFile) -> str:
    return file.content_key or file.path


def _mark(data: bytearray, span: ByteRange) -> str:
    return hashlib.sha256(memoryview(data)[span.start : span.stop]).hexdigest()


@dataclass(slots=True)
class _Trouble:
    operation: str
    path: str | None
    error: HfdlError
    after: int
    times: int

    def strikes(self, operation: str, path: str) -> bool:
        if operation != self.operation or self.path not in (None, path):
            return False
        self.after -= 1
        if self.after >= 0 or self.times <= 0:
            return False
        self.times -= 1
        return True


class MemorySink:
    """A sink over a `MemoryStore`; fits `engine.ports.Sink`.

    A second sink over the same store is what a new process finds after a kill. `log` has every
    change in order, such as "write a 0..4", "checkpoint a" or "publish a b"; `parts` has every part
    that was ever opened, `open_parts` those that are open now.
    """

    def __init__(
        self,
        store: MemoryStore | None = None,
        *,
        hashes_inline: bool = False,
        elsewhere: Mapping[str, bytes] | None = None,
        one_writer_a_cell: bool = False,
    ) -> None:
        self.store = store or MemoryStore()
        self.one_writer_a_cell = one_writer_a_cell
        self.log: list[str] = []
        self.parts: list[MemoryPart] = []
        self.open_parts: set[MemoryPart] = set()
        self._hashes_inline = hashes_inline
        self._elsewhere = dict(elsewhere or {})
        self._troubles: list[_Trouble] = []

    def trouble(
        self,
        operation: str,
        path: str | None = None,
        *,
        error: HfdlError | None = None,
        after: int = 0,
        times: int = 1,
    ) -> None:
        """Refuse *operation* (open, prove, write, checkpoint, hash, reset, publish, copy).

        The first *after* calls still go well, then *times* of them raise *error*.
        """
        error = error or StorageError(f"{path or operation}: an I/O error")
        self._troubles.append(_Trouble(operation, path, error, after, times))

    async def step(self, operation: str, path: str) -> None:
        """Take the turn that a real disk call takes; raise the trouble that was asked for."""
        await checkpoint()
        for trouble in self._troubles:
            if trouble.strikes(operation, path):
                raise trouble.error

    @property
    def path(self) -> Path:
        """A folder that does not exist."""
        return Path("/in-memory")

    @property
    def files(self) -> dict[str, bytes]:
        """What stands at final names."""
        return self.store.files

    async def open(self, item: PlannedFile) -> Part:
        """Return the part of *item*, with the claims of an earlier sink over the same store."""
        await self.step("open", item.file.path)
        self.log.append(f"open {item.file.path}")
        part = MemoryPart(self, item.file, hashes_inline=self._hashes_inline)
        self.parts.append(part)
        self.open_parts.add(part)
        return part

    async def publish(self, parts: Sequence[Part]) -> Mapping[str, HfdlError | None]:
        """Give verified parts their final names; wrong content is a bug of the caller."""
        outcomes: dict[str, HfdlError | None] = {}
        self.log.append("publish " + " ".join(part.file.path for part in parts))
        for part in parts:
            assert isinstance(part, MemoryPart)
            assert not part.closed, f"{part.file.path}: published after it was closed"
            path, outcomes[part.file.path] = part.file.path, None
            try:
                await self.step("publish", path)
            except StorageError as error:
                outcomes[path] = error
            else:
                content = bytes(part.data)
                wanted = part.file.digest
                assert part.ledger.complete, f"{path}: published with gaps"
                assert wanted is None or _digest(wanted, content) == wanted, f"{path}: wrong bytes"
                self.store.files[path] = content
                self.store.parts.pop(_key(part.file), None)
            await part.close()
        return outcomes

    async def copy(self, item: PlannedFile, report: Callable[[int], None]) -> None:
        """Copy from a final name, or from what *elsewhere* holds under an absolute path."""
        await self.step("copy", item.file.path)
        origin = item.copy_of or ""
        content = self.store.files.get(origin, self._elsewhere.get(origin, b""))
        report(len(content))
        await checkpoint()
        wanted = item.file.digest
        if wanted is not None and _digest(wanted, content) != wanted:
            raise IntegrityError(f"{item.file.path}: {origin} holds something else")
        self.log.append(f"copy {item.file.path} from {origin}")
        self.store.files[item.file.path] = content


def _digest(like: Digest, content: bytes | bytearray | memoryview) -> Digest:
    if like.algorithm == "sha256":
        return Digest("sha256", hashlib.sha256(content).hexdigest())
    head = b"blob %d\0" % len(content)
    return Digest("git-sha1", hashlib.sha1(head + content, usedforsecurity=False).hexdigest())


class MemoryPart:
    """One unfinished file in memory; fits `engine.ports.Part`."""

    def __init__(self, sink: MemorySink, file: RemoteFile, *, hashes_inline: bool) -> None:
        self._sink = sink
        self._store = sink.store
        self._file = file
        self._inline = hashes_inline
        kept = self._store.parts.get(_key(file))
        self.data = bytearray(kept.data) if kept else bytearray(file.size_bytes)
        self._ledger = Ledger(file.size_bytes)
        self._claimed = Ledger(file.size_bytes)
        self._hashed = 0
        self._cells_in_work: set[int] = set()
        self.closed = False

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
        """Whether `write` brings `hashed_bytes` forward."""
        return self._inline

    @property
    def unclaimed_bytes(self) -> int:
        """Written bytes that a new sink would not find."""
        return 0 if self.closed else self._ledger.covered - self._claimed.covered

    @property
    def hashed_bytes(self) -> int:
        """How far the digest has come."""
        return self._hashed

    async def prove(self) -> ResumeFacts:
        """Compare every claim with what was kept."""
        await self._step("prove")
        kept = self._store.parts.get(_key(self._file))
        claims = dict(kept.claims) if kept else {}
        good = [span for span, mark in claims.items() if _mark(self.data, span) == mark]
        self._ledger = self._claimed = Ledger.of(self._file.size_bytes, good)
        if kept:
            kept.claims = {span: claims[span] for span in good}
        if self._inline:
            self._hashed = self._ledger.prefix
        return ResumeFacts(sum(map(len, good)), sum(map(len, claims)) - sum(map(len, good)))

    async def write(self, offset: int, pieces: Sequence[bytes | bytearray | memoryview]) -> None:
        """Write *pieces* one behind the other at *offset*."""
        span = ByteRange(offset, offset + sum(map(len, pieces)))
        cells = {cell_of(part.start) for part in split_at_cells(span)}
        if self._sink.one_writer_a_cell:
            assert not cells & self._cells_in_work, f"{self._file.path}: two writes to one cell"
        self._cells_in_work |= cells
        try:
            await self._step("write")
        finally:
            self._cells_in_work -= cells
        if span.stop > self._file.size_bytes:
            raise ValueError(f"{self._file.path}: {span} is outside the file")
        self.data[span.start : span.stop] = b"".join(pieces)
        self._sink.log.append(f"write {self._file.path} {span.start}..{span.stop}")
        self._ledger = self._ledger.add(span)
        if self._inline:
            self._hashed = self._ledger.prefix

    async def checkpoint(self, *, last: bool = False) -> None:
        """Let a new sink over the same store find what the ledger holds now."""
        claim = self._ledger
        await self._step("checkpoint")
        self._sink.log.append(f"checkpoint {self._file.path}")
        spans = [cell for span in claim.spans for cell in split_at_cells(span)]
        data = bytearray(len(self.data))
        for span in spans:
            data[span.start : span.stop] = self.data[span.start : span.stop]
        kept = Kept(data, {span: _mark(data, span) for span in spans})
        self._store.parts[_key(self._file)] = kept
        self._claimed = claim

    async def hash_to(self, stop: int) -> None:
        """Bring the digest forward to *stop*, or to the prefix if that is less."""
        await self._step("hash")
        self._hashed = max(self._hashed, min(stop, self._ledger.prefix))

    def digest(self) -> Digest | None:
        """Return the digest of the bytes so far, or None where the file publishes none."""
        wanted = self._file.digest
        return wanted and _digest(wanted, memoryview(self.data)[: self._hashed])

    async def reset(self) -> None:
        """Forget all bytes and claims."""
        await self._step("reset")
        self._sink.log.append(f"reset {self._file.path}")
        self._forget()

    def _forget(self) -> None:
        self._store.parts.pop(_key(self._file), None)
        self.data = bytearray(self._file.size_bytes)
        self._ledger = self._claimed = Ledger(self._file.size_bytes)
        self._hashed = 0

    async def discard(self) -> None:
        """Close the part and forget it."""
        if not self.closed:
            self._sink.log.append(f"discard {self._file.path}")
            self._forget()
            await self.close()

    async def close(self) -> None:
        """Let go of it; what was checkpointed stays."""
        self.closed = True
        self._sink.open_parts.discard(self)

    async def _step(self, operation: str) -> None:
        assert not self.closed, f"{self._file.path}: {operation} after the part was closed"
        await self._sink.step(operation, self._file.path)
        assert not self.closed, f"{self._file.path}: closed during {operation}"
