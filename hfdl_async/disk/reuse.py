"""Finding content that is wanted elsewhere on this machine. Changes nothing."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import anyio
from anyio import to_thread

from hfdl_async.core.hubcache import is_repo_folder
from hfdl_async.core.model import Digest, RemoteFile
from hfdl_async.core.state import Receipt
from hfdl_async.disk.calls import Calls
from hfdl_async.disk.crew import for_each
from hfdl_async.disk.folder import open_for_reading
from hfdl_async.disk.home import STATE_FOLDERS, Home
from hfdl_async.disk.reading import Progress, read_content
from hfdl_async.disk.receipts import Receipts, fits
from hfdl_async.errors import StorageError

LOOK_FILES = 2000  # looked at in one hop: some 20 ms

Sizes = dict[int, dict[Digest, str]]
"""What is looked for: size, then digest, then content key."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may hold wanted content; *receipt* is one that fits."""

    path: Path
    size: int
    receipt: Receipt | None


def wanted(files: Iterable[RemoteFile]) -> Sizes:
    """Return *files* as something to look for; those without a digest cannot be found."""
    sizes: Sizes = {}
    for file in files:
        if file.digest is not None and file.content_key is not None and file.size_bytes:
            sizes.setdefault(file.size_bytes, {})[file.digest] = file.content_key
    return sizes


def candidates(calls: Calls, folder: Path, sizes: Sizes) -> Iterator[Candidate | None]:
    """Yield for each file below *folder* the candidate that it is, each file once, or None.

    Links to files are followed (a shared cache is made of them), links to folders are not.
    """
    seen: set[tuple[int, int]] = set()
    receipts: dict[Home, Receipts] = {}
    for path, home in _walk(folder):
        try:
            status = os.stat(path)
        except OSError:
            yield None  # gone, or a link to nowhere
            continue
        identity = (status.st_dev, status.st_ino)
        if not stat.S_ISREG(status.st_mode) or status.st_size not in sizes or identity in seen:
            yield None
            continue
        seen.add(identity)
        if home not in receipts:
            receipts[home] = _receipts_of(calls, home)
        # By way of a link it is the receipt of what the link leads to, if that lies here as well.
        key = os.path.relpath(os.path.realpath(path), os.path.realpath(home.root))
        key = key.replace(os.sep, "/")
        receipt = receipts[home].by_path.get(key)
        known = receipt if receipt is not None and fits(receipt, status) else None
        yield Candidate(Path(os.path.realpath(path)), status.st_size, known)


def _walk(folder: Path) -> Iterator[tuple[str, Home]]:
    """Yield every file below *folder* and the nearest home of a download that holds it."""
    homes: dict[str, Home] = {}
    for path, folders, names in os.walk(folder):
        homes[path] = homes.get(os.path.dirname(path), Home.of_folder(folder))
        for state_name in STATE_FOLDERS:
            if state_name in folders:
                homes[path] = Home(path, state_name)
                folders.remove(state_name)
        for name in names:
            yield os.path.join(path, name), homes[path]


def find_in_cache(
    cache: Path, files: Iterable[RemoteFile], *, besides: str | None = None
) -> dict[str, Path]:
    """Return the blobs below *cache* that are called after the digests of *files*, by content key.

    Only names and sizes are compared: whoever takes one over proves it. The repo's folder *besides*
    is left out.
    """
    repos: dict[str, list[str]] = {}  # by the name of a blob
    for repo in _entries(cache):
        if is_repo_folder(repo) and repo != besides:
            for name in _entries(cache / repo / "blobs"):
                repos.setdefault(name, []).append(repo)
    if not repos:
        return {}
    found: dict[str, Path] = {}
    for file in files:
        if file.digest is None or not file.size_bytes:
            continue
        for repo in repos.get(file.digest.hex, ()):
            place = _blob_at(cache / repo / "blobs" / file.digest.hex, file.size_bytes)
            if place is not None and file.content_key is not None:
                found.setdefault(file.content_key, place)
    return found


def _blob_at(name: Path, size: int) -> Path | None:
    """Return what *name* leads to if that is a file of *size* bytes."""
    place = os.path.realpath(name)
    try:
        status = os.stat(place)
    except OSError:
        return None
    return Path(place) if stat.S_ISREG(status.st_mode) and status.st_size == size else None


def _entries(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _receipts_of(calls: Calls, home: Home) -> Receipts:
    receipts = Receipts(calls)
    try:
        with open_for_reading(calls, home) as (_, state):
            if state is not None:
                receipts.load(state)
    except (OSError, StorageError):
        pass  # then the files there are read instead
    return receipts


async def _in_slices(
    candidates: Iterator[Candidate | None], limiter: anyio.CapacityLimiter
) -> AsyncIterator[Candidate]:
    """Yield the candidates, looked for in threads; a cancellation waits for one slice only."""
    while looked_at := await to_thread.run_sync(
        lambda: list(islice(candidates, LOOK_FILES)), limiter=limiter
    ):
        for candidate in looked_at:
            if candidate is not None:
                yield candidate


async def find_elsewhere(
    calls: Calls,
    files: Iterable[RemoteFile],
    folders: Sequence[Path],
    *,
    limiter: anyio.CapacityLimiter,
    progress: Progress | None = None,
) -> dict[str, Path]:
    """Return where the content of *files* lies below *folders*, by content key.

    A receipt that fits is believed; other files of a wanted size are read.
    """
    sizes = wanted(files)
    found: dict[str, Path] = {}
    unread: list[Candidate] = []
    for folder in folders:
        async for candidate in _in_slices(candidates(calls, folder, sizes), limiter):
            digest = candidate.receipt.digest if candidate.receipt else None
            key = sizes[candidate.size].get(digest) if digest else None
            if key is not None:
                found.setdefault(key, candidate.path)
            elif digest is None or not _comparable(sizes[candidate.size], digest):
                unread.append(candidate)

    async def read(candidate: Candidate) -> None:
        keys = {digest: key for digest, key in sizes[candidate.size].items() if key not in found}
        if not keys:
            return
        algorithms = {digest.algorithm for digest in keys}
        path = candidate.path
        try:
            content = await read_content(
                calls,
                str(path),
                lambda: os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)),
                algorithms,
                limiter=limiter,
                progress=progress,
            )
        except StorageError:
            return  # not readable for us: it will be fetched instead
        for digest in content.digests.values():
            if digest in keys and content.steady:
                found.setdefault(keys[digest], path)

    await for_each(unread, read, tasks=int(limiter.total_tokens))
    return found


def _comparable(wanted_digests: dict[Digest, str], digest: Digest) -> bool:
    """Return whether *digest* says that a file holds none of the wanted contents."""
    return all(other.algorithm == digest.algorithm for other in wanted_digests)
