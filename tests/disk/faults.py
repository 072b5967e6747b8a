"""What the tests of the disk share: calls that fail on command, a repo to store, a short way in."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from hfdl_async.core.model import (
    Action,
    ByteRange,
    Digest,
    ListedFile,
    Listing,
    PlannedFile,
    RemoteFile,
    RepoRef,
)
from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.core.state import decode_record
from hfdl_async.destination import Destination
from hfdl_async.disk.calls import Calls
from hfdl_async.disk.memorypart import MemoryPart
from hfdl_async.disk.native import Features
from hfdl_async.disk.partfile import PartFile
from hfdl_async.disk.store import Store
from hfdl_async.errors import HfdlError

T = TypeVar("T")
COMMIT = "c" * 40
REPO = RepoRef("org/model")
CHANGING = frozenset(
    ["mkdir", "open", "rename", "unlink", "link", "symlink", "write", "sync", "sync_folder"]
) | {"truncate", "allocate", "clone", "close"}


class FaultyCalls(Calls):
    """Counts the calls that change the disk, and makes the Nth fail, or every write short.

    Syncs are counted and otherwise left out: no test here pulls the plug.
    """

    def __init__(
        self,
        *,
        fail_at: int = 0,
        error: int = errno.ENOSPC,
        only: Collection[str] = CHANGING,
        for_ever: bool = False,
        torn: bool = False,
        short: bool = False,
        features: Features | None = None,
    ) -> None:
        super().__init__(features)
        self.fail_at, self.error, self.only = fail_at, error, only
        self.for_ever, self.torn, self.short = for_ever, torn, short
        self.made: list[str] = []
        self.count = 0

    def system(self, name: str, call: Callable[..., T], *arguments: object) -> T:
        if name in self.only:
            self.count += 1
            if self.count == self.fail_at or (self.for_ever and 0 < self.fail_at < self.count):
                if name == "write" and self.torn:
                    super().system(name, call, *shortened(arguments))
                if name == "close":
                    super().system(name, call, *arguments)  # the number is free all the same
                raise OSError(self.error, os.strerror(self.error))
        self.made.append(name)
        if name in ("sync", "sync_folder"):
            return None  # type: ignore[return-value]
        if name == "write" and self.short:
            arguments = shortened(arguments)
        return super().system(name, call, *arguments)


def shortened(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments of a write for about half of it."""
    fd, data, *rest = arguments
    if isinstance(data, list):
        return (fd, [data[0][: (len(data[0]) + 1) // 2]], *rest)
    if isinstance(data, int):  # copying between descriptors: source, target, length, offset
        return (fd, data, (rest[0] + 1) // 2, *rest[1:])
    return (fd, data[: (len(data) + 1) // 2], *rest)


def pattern(size: int, seed: int = 0) -> bytes:
    """Return *size* bytes that look random and are the same each time; no two cells are equal."""
    block = b"".join(hashlib.sha256(b"%d %d" % (seed, i)).digest() for i in range(2048))[:65_521]
    return (block * (size // len(block) + 1))[:size]


def remote(path: str, data: bytes, *, git: bool = False) -> RemoteFile:
    """Return *data* as a listing has it."""
    if git:
        digest = Digest("git-sha1", hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest())
    else:
        digest = Digest("sha256", hashlib.sha256(data).hexdigest())
    return RemoteFile(path, len(data), digest)


def listing(contents: dict[str, bytes], commit: str = COMMIT) -> Listing:
    """Return the listing of a repo with these files."""
    files = [remote(path, data) for path, data in contents.items()]
    return Listing(commit, tuple(ListedFile(f.path, f.size_bytes, f.digest) for f in files))


def planned(file: RemoteFile) -> PlannedFile:
    """Return *file* to be fetched."""
    return PlannedFile(file, Action.FETCH)


async def begin(folder: Destination, contents: dict[str, bytes], commit: str = COMMIT) -> None:
    """Make *folder* ready for a repo with these files."""
    await folder.begin(REPO, listing(contents, commit), [])


async def fetch(
    folder: Store, path: str, data: bytes, *, checkpoint: bool = False
) -> PartFile | MemoryPart:
    """Do what the engine does with one file, up to *verified*."""
    file = remote(path, data)
    part = await folder.open(planned(file))
    await part.prove()
    for gap in list(part.ledger.missing()):
        middle = (gap.start + gap.stop) // 2
        for span in (ByteRange(gap.start, middle), ByteRange(middle, gap.stop)):
            await part.write(span.start, [data[span.start : span.stop]])
            if checkpoint:
                await part.checkpoint()
    await part.hash_to(file.size_bytes)
    assert part.digest() == file.digest
    return part


async def store(
    folder: Store, contents: dict[str, bytes], *, checkpoint: bool = False
) -> dict[str, HfdlError | None]:
    """Fetch and publish files as one group."""
    parts = [
        await fetch(folder, path, data, checkpoint=checkpoint) for path, data in contents.items()
    ]
    return dict(await folder.publish(parts))


def final_names(root: Path) -> dict[str, bytes]:
    """Return what a reader of the folder sees."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and STATE_FOLDER not in path.relative_to(root).parts
    }


def assert_claims_hold(root: Path, state_name: str = STATE_FOLDER) -> int:
    """Check every claim on disk against the bytes of its part; return how many bytes they are."""
    from blake3 import blake3

    from hfdl_async.core.ledger import CELL_BYTES

    total = 0
    parts = root / state_name / "parts"
    for record in parts.glob("*.json") if parts.exists() else ():
        part = record.with_suffix(".part")
        data = part.read_bytes() if part.exists() else None
        for claim in decode_record(record.read_bytes()).claims:
            if data is None:
                continue
            start = claim.cell * CELL_BYTES
            held = data[start : start + claim.length]
            assert blake3(held).hexdigest() == claim.blake3_hex
            total += claim.length
    return total


@contextmanager
def descriptors_balanced() -> Iterator[None]:
    """Check that the block leaves no file open."""
    before = _files_open()
    yield
    assert _files_open() <= before


def _files_open() -> int:
    """Return how many descriptors lead to files.

    Not to sockets: a server in this process closes its own a little later.
    """
    if not os.path.isdir("/proc/self/fd"):
        return 0
    count = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # the one that lists is gone again
            count += not os.readlink(f"/proc/self/fd/{name}").startswith(("socket:", "anon_inode:"))
    return count


ALTERNATIVES = {
    "everything": Features.here(),
    "no pwrite": Features(positioned=False, vectored=False),
    "no pwritev": Features(vectored=False),
    "no dir_fd": Features(folder_descriptors=False),
    "no folder sync": Features(folder_sync=False),
    "no fallocate": Features(allocate=False, reserve=False),
    "no fallocate of a range": Features(reserve=False),
    "no clone": Features(clone=False),
    "no copy_file_range": Features(clone=False, copy_range=False),
    "nothing": Features(*[False] * len(Features.__slots__)),
}
