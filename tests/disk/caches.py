"""What the tests of the shared cache share: a repo in it, and a run from survey to ref."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from hfdl_async.core.finding import Finding
from hfdl_async.core.hubcache import blob_name
from hfdl_async.core.model import Action, ListedFile, Listing, PlannedFile, RemoteFile, RepoRef
from hfdl_async.core.options import Options
from hfdl_async.core.planning import decide
from hfdl_async.disk.calls import Calls
from hfdl_async.disk.memorypart import MemoryPart
from hfdl_async.disk.partfile import PartFile
from hfdl_async.disk.sharedcache import SharedCache
from hfdl_async.errors import HfdlError
from tests.disk.faults import COMMIT, REPO, pattern, remote

CONTENTS = {
    "config.json": b"{}",
    "empty": b"",
    "a/b/small.txt": b"small" * 100,
    "a/big.bin": pattern(300_000, 1),
    "weights.bin": pattern(600_000, 2),
}
FOLDER = "models--org--model"
LARGE_BYTES = 10_000  # from here on a file is not in git itself


def file_of(path: str, data: bytes) -> RemoteFile:
    """Return *data* as the Hub lists it: small files by their Git object."""
    return remote(path, data, git=len(data) < LARGE_BYTES)


def listing_of(contents: Mapping[str, bytes], commit: str = COMMIT) -> Listing:
    """Return the listing of a repo with these files."""
    listed = []
    for path, data in contents.items():
        file = file_of(path, data)
        pointer = "f" * 40 if len(data) >= LARGE_BYTES else None
        listed.append(ListedFile(path, len(data), file.digest, pointer_id=pointer))
    return Listing(commit, tuple(listed))


def sink_at(
    cache: Path, *, commit: str = COMMIT, links: bool = True, calls: Calls | None = None
) -> SharedCache:
    """Return a sink for one commit of the repo."""
    sink = SharedCache(cache, REPO, links=links, calls=calls)
    sink.pin(commit)
    return sink


async def found_by(
    sink: SharedCache, contents: Mapping[str, bytes], *, verify: bool = False
) -> Mapping[str, Finding]:
    """Return what *sink* finds of these files."""
    files = [file_of(path, data) for path, data in contents.items()]
    return await sink.survey(files, verify=verify)


async def fetched(sink: SharedCache, item: PlannedFile, data: bytes) -> PartFile | MemoryPart:
    """Do what the engine does with one file, up to *verified*; `fetched_bytes` is what it took."""
    part = await sink.open(item)
    await part.prove()
    for gap in list(part.ledger.missing()):
        await part.write(gap.start, [data[gap.start : gap.stop]])
        await part.checkpoint()
    await part.hash_to(len(data))
    assert part.digest() == item.file.digest
    return part


async def run(
    sink: SharedCache,
    contents: Mapping[str, bytes],
    *,
    commit: str = COMMIT,
    revision: str = "main",
    whole: Mapping[str, bytes] | None = None,
    **asked: object,
) -> dict[str, HfdlError | None]:
    """Do what a download does, from the survey to the ref; return what became of each file.

    *whole* is all that the commit has, where *contents* are only some of it.
    """
    repo = RepoRef(REPO.repo_id, revision=revision)
    listing = listing_of(whole or contents, commit)
    files = [file_of(path, data) for path, data in contents.items()]
    sink.pin(commit)
    try:
        await sink.naming(may_write=True)
        findings = await sink.survey(files, commit=commit, verify=bool(asked.get("verify")))
        decisions = decide(files, findings, {}, Options.parse(asked), sink.place_of)
        assert not decisions.problems
        await sink.begin(repo, listing, files)
        await sink.adopt({file.path: findings[file.path] for file in decisions.adopt}, commit)
        outcomes: dict[str, HfdlError | None] = {}
        of = {action: [i for i in decisions.files if i.action is action] for action in Action}
        outcomes.update({item.file.path: None for item in of[Action.REUSE]})
        parts = [await fetched(sink, item, contents[item.file.path]) for item in of[Action.FETCH]]
        outcomes.update(await sink.publish(parts))
        for item in of[Action.COPY]:
            if outcomes[item.copy_of or ""] is None:
                await sink.copy(item, lambda _count: None)
                outcomes[item.file.path] = None
        if set(outcomes.values()) == {None}:
            await sink.finish(repo, listing)
        return outcomes
    finally:
        await sink.close()


def readable(cache: Path, commit: str = COMMIT) -> dict[str, bytes | None]:
    """Return what readers of a snapshot see; None where a link leads nowhere."""
    base = cache / FOLDER / "snapshots" / commit
    return {
        path.relative_to(base).as_posix(): path.read_bytes() if path.exists() else None
        for path in sorted(base.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


def blobs(cache: Path) -> list[str]:
    """Return the names of the blobs."""
    folder = cache / FOLDER / "blobs"
    return sorted(os.listdir(folder)) if folder.exists() else []


def blob_of(cache: Path, path: str, data: bytes) -> Path:
    """Return where the blob of a file is or would be."""
    return cache / FOLDER / blob_name(file_of(path, data))
