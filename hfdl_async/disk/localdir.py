"""A plain folder as the place where files go: everything a download asks of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

import anyio
from anyio import to_thread

from hfdl_async.core.finding import Finding
from hfdl_async.core.model import ListedFile, Listing, PlannedFile, RemoteFile, RepoRef
from hfdl_async.core.names import Naming, shown
from hfdl_async.core.state import Owner, Receipt, StoredListing
from hfdl_async.disk import folder as folder_state
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.folder import Folders, open_for_reading, open_for_writing
from hfdl_async.disk.hashing import hashing_limiter
from hfdl_async.disk.lock import Lock, OnWait
from hfdl_async.disk.memorypart import IN_MEMORY_BYTES, MemoryPart
from hfdl_async.disk.partfile import PartFile
from hfdl_async.disk.partopen import forget, open_part, part_key, sweep
from hfdl_async.disk.placing import LinkMode, place
from hfdl_async.disk.probe import probe_by_looking, probe_by_writing, space_at
from hfdl_async.disk.publish import Outcomes, Publisher
from hfdl_async.disk.reading import Progress
from hfdl_async.disk.receipts import Receipts
from hfdl_async.disk.repair import seed
from hfdl_async.disk.reuse import find_elsewhere
from hfdl_async.disk.settled import Settled
from hfdl_async.disk.settling import Settler
from hfdl_async.disk.survey import Survey, at_final_names
from hfdl_async.disk.trouble import translated
from hfdl_async.errors import HfdlError, UnsafeError

T = TypeVar("T")
DISK_THREADS = 16


class HasFile(Protocol):
    """What every part is, as far as the caller's side is concerned."""

    @property
    def file(self) -> RemoteFile:
        """The file it will become."""
        ...


class LocalDir:
    """The folder of one download; fits `engine.ports.Sink`.

    What only looks (`identify`, `survey`, `stored_listing`, …) works on a folder that is read-only
    or not there, and writes nothing. `begin` comes before `open`, `publish` and `copy`.
    """

    def __init__(
        self,
        path: Path,
        *,
        link: LinkMode = "clone",
        follow_symlinks: bool = False,
        calls: Calls | None = None,
    ) -> None:
        self._path = path.absolute()
        self._link = link
        self._follow = follow_symlinks
        self._calls = calls or Calls()
        self._disk = anyio.CapacityLimiter(DISK_THREADS)
        self._hashing = hashing_limiter()
        self._publishing = anyio.Lock()
        self._settler = Settler(self._disk)
        self._folders: Folders | None = None
        self._receipts: Receipts | None = None
        self._commit = ""
        self._notes: list[str] = []

    @property
    def path(self) -> Path:
        """The folder a reader opens."""
        return self._path

    @property
    def notes(self) -> tuple[str, ...]:
        """Odd things that were found and dealt with, as sentences for the user."""
        return tuple(self._notes)

    # What only looks ----------------------------------------------------------------------

    async def owner(self) -> Owner | None:
        """Return whose folder this is, or None where nothing says so."""
        return await self._look(lambda _root, state: self._owner_in(state))

    def _owner_in(self, state: Folder | None) -> Owner | None:
        return None if state is None else folder_state.read_owner(self._calls, state)

    async def identify(self, repo: RepoRef) -> Owner | None:
        """Return the owner if it is *repo*, or None for a folder without one.

        Raises:
            UnsafeError: the folder belongs to another repo; the caller knows a better hint.
        """
        owner = await self.owner()
        # The endpoint does not count: to go on from a mirror is a right of the user's, and what
        # differs there is found by its digest.
        if owner is None or (owner.repo_type, owner.repo_id) == (repo.repo_type, repo.repo_id):
            return owner
        raise UnsafeError(
            f"{shown(str(self._path))} belongs to the {owner.repo_type} {shown(owner.repo_id)}, "
            f"not to the {repo.repo_type} {shown(repo.repo_id)}",
            hint="choose another folder with --local-dir",
        )

    async def stored_listing(self, repo: RepoRef) -> Listing | None:
        """Return the listing this folder was last filled from, if it is that of *repo*."""

        def read(_root: Folder | None, state: Folder | None) -> Listing | None:
            owner = self._owner_in(state)
            stored = None if state is None else folder_state.read_listing(self._calls, state)
            if owner is None or stored is None or owner.commit != stored.commit:
                return None
            if (owner.repo_type, owner.repo_id) != (repo.repo_type, repo.repo_id):
                return None
            if repo.revision not in (owner.revision, owner.commit):
                return None
            files = (ListedFile(file.path, file.size_bytes, file.digest) for file in stored.files)
            return Listing(stored.commit, tuple(files))

        return await self._look(read)

    async def selected(self) -> tuple[RemoteFile, ...]:
        """Return what was asked for here at the last commit, whether it is complete or not."""

        def read(_root: Folder | None, state: Folder | None) -> tuple[RemoteFile, ...]:
            stored = None if state is None else folder_state.read_listing(self._calls, state)
            if stored is None:
                return ()
            return tuple(file for file in stored.files if file.path in stored.selected)

        return await self._look(read)

    async def receipts(self) -> Mapping[str, Receipt]:
        """Return what was verified here, by path."""
        return (await self._load_receipts()).by_path

    async def naming(self, *, may_write: bool) -> Naming:
        """Return what the file system does to names, tried out if that is allowed."""
        if not may_write:
            return await self._in_thread(probe_by_looking, self._path)
        folders = await self._open_folders()
        return await self._in_thread(probe_by_writing, self._calls, folders.state, self._path)

    async def space(self) -> tuple[int, int]:
        """Return the bytes that are free and the bytes there are in all."""
        space = await self._in_thread(space_at, self._path)
        return space.free, space.total

    async def survey(
        self,
        files: Sequence[RemoteFile],
        *,
        verify: bool = False,
        progress: Callable[[int], None] | None = None,
        commit: str | None = None,
    ) -> Mapping[str, Finding]:
        """Return what lies at the final name of each of *files*, by path.

        *progress* is called with the number of files that are done. *verify* reads even what a
        receipt covers. *commit* is what a receipt without a digest must be of; None believes it
        whatever commit it is of.

        Raises:
            UnsafeError: a folder on the way is a link. StorageError: it cannot be read.
        """
        self._receipts = None
        receipts = await self._load_receipts()
        root, state = await self._in_thread(self._open_to_look)
        try:
            survey = Survey(
                self._calls,
                root,
                state,
                receipts.by_path,
                commit,
                follow=self._follow,
                disk=self._disk,
                hashing=self._hashing,
            )
            return await survey.look_at(files, verify=verify, progress=progress)
        finally:
            for opened in (root, state):
                if opened is not None:
                    self._calls.close_folder(opened)

    def _open_to_look(self) -> tuple[Folder | None, Folder | None]:
        with translated(str(self._path)):
            return folder_state.open_to_look(self._calls, str(self._path))

    async def elsewhere(
        self,
        files: Iterable[RemoteFile],
        reuse_from: Sequence[Path] = (),
        *,
        progress: Progress | None = None,
    ) -> Mapping[str, Path]:
        """Return where on this machine the content of *files* lies, by content key.

        Looks into *reuse_from* and, by receipts that fit, into this folder itself.
        """
        files = list(files)
        receipts = await self._load_receipts()
        digests = {file.digest for file in files if file.digest is not None and file.size_bytes}
        own = [held for held in receipts.by_path.values() if held.digest in digests]
        found: dict[str, Path] = {}
        for receipt in await self._fitting(own):
            key = RemoteFile(receipt.path, receipt.size, receipt.digest).content_key
            if key is not None:
                found.setdefault(key, self._path / receipt.path)
        rest = [file for file in files if file.content_key not in found]
        others = await find_elsewhere(
            self._calls, rest, reuse_from, limiter=self._hashing, progress=progress
        )
        return {**others, **found}

    async def leftovers(self, paths: Collection[str]) -> tuple[str, ...]:
        """Return the files of ours, untouched since, that are not among *paths*."""
        kept = set(paths)
        receipts = await self._load_receipts()
        gone = [held for path, held in receipts.by_path.items() if path not in kept]
        return tuple(sorted(receipt.path for receipt in await self._fitting(gone)))

    async def _fitting(self, receipts: Sequence[Receipt]) -> list[Receipt]:
        def look(root: Folder | None, _state: Folder | None) -> list[Receipt]:
            if root is None:
                return []
            return at_final_names(self._calls, root, receipts, follow=self._follow)

        return await self._look(look) if receipts else []

    async def _load_receipts(self) -> Receipts:
        if self._receipts is None:
            self._receipts = await self._look(self._receipts_in)
        return self._receipts

    def _receipts_in(self, _root: Folder | None, state: Folder | None) -> Receipts:
        receipts = Receipts(self._calls)
        if state is not None:
            receipts.load(state)
        return receipts

    async def _look(self, look: Callable[[Folder | None, Folder | None], T]) -> T:
        def look_inside() -> T:
            path = str(self._path)
            with translated(path), open_for_reading(self._calls, path) as (root, state):
                return look(root, state)

        return await self._in_thread(look_inside)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        def translating() -> T:
            with translated(str(self._path)):
                return work(*arguments)

        return await to_thread.run_sync(translating, limiter=self._disk)

    # What writes --------------------------------------------------------------------------

    def lock(self, *, wait_seconds: float | None = None, on_wait: OnWait | None = None) -> Lock:
        """Return the lock of this folder, to be entered; leaving it lets go of the folder."""
        return Lock(
            self._path,
            calls=self._calls,
            note=self._notes.append,
            wait_seconds=wait_seconds,
            on_wait=on_wait,
            on_release=self.close,
        )

    async def begin(self, repo: RepoRef, listing: Listing, files: Iterable[RemoteFile]) -> None:
        """Make the folder ready for *files* of *listing*: whose it is, what it will hold.

        Parts that no file of the listing needs are removed.

        Raises:
            StorageError: it cannot be written to.
        """
        sized = {file.path: file for file in files}
        selected = {file.path for file in await self.selected()} | set(sized)
        stored = StoredListing(
            listing.commit, tuple(_sized(listing.files, sized)), frozenset(selected)
        )
        folders = await self._open_folders()
        self._commit = listing.commit
        needed = {part_key(file, listing.commit) for file in (*stored.files, *sized.values())}
        await self._in_thread(self._begin, folders, repo, stored, needed)
        await self._load_receipts()

    def _begin(
        self, folders: Folders, repo: RepoRef, stored: StoredListing, needed: set[str]
    ) -> None:
        note = self._notes.append
        folder_state.read_owner(self._calls, folders.state, note)
        folder_state.write_owner(self._calls, folders.state, repo, stored.commit)
        folder_state.write_listing(self._calls, folders.state, stored)
        sweep(self._calls, folders.parts, needed)

    async def adopt(self, findings: Mapping[str, Finding], commit: str) -> None:
        """Write receipts for files that are right by content but had none that fits."""
        fresh = [replace(held.receipt, commit=commit) for held in findings.values() if held.receipt]
        if not fresh:
            return
        folders, receipts = await self._open_folders(), await self._load_receipts()
        async with self._publishing:
            await self._in_thread(receipts.append, folders.state, fresh)

    async def forget_parts(self, files: Iterable[RemoteFile], commit: str) -> None:
        """Remove what is unfinished of *files* of *commit*."""
        folders = await self._open_folders()
        keys = {part_key(file, commit) for file in files}
        await self._in_thread(forget, self._calls, folders.parts, keys)

    async def open(self, item: PlannedFile) -> PartFile | MemoryPart:
        """Return the part for *item*, with the claims of an earlier run if there are any.

        Raises:
            StorageError: it cannot be made (no space, read-only, something in the way).
        """
        folders = await self._open_folders()
        file, key = item.file, part_key(item.file, self._commit)
        if file.size_bytes <= IN_MEMORY_BYTES:
            return MemoryPart(self._calls, folders.parts, file, key)

        def open_it() -> PartFile:
            with translated(str(self._path / file.path), needed=file.size_bytes):
                opened = open_part(self._calls, folders.parts, file, key, self._notes.append)
            return PartFile(
                self._calls, folders.parts, file, opened, disk=self._disk, hashing=self._hashing
            )

        part = await to_thread.run_sync(open_it, limiter=self._disk)
        try:
            if item.repair_from is not None and not part.has_claims:
                receipt = (await self._load_receipts()).by_path.get(file.path)
                if receipt is not None:
                    await seed(self._calls, part, item.repair_from, receipt, self._disk)
        except BaseException:
            await part.close()
            raise
        return part

    async def publish(self, parts: Sequence[HasFile]) -> Mapping[str, HfdlError | None]:
        """Give verified parts their final names, durably and together; closes the parts.

        The answer has every part's path: None where the file and its receipt are in place. A group
        that was begun is finished, also when the caller is cancelled meanwhile.
        """
        ours = [part for part in parts if isinstance(part, PartFile | MemoryPart)]
        assert len(ours) == len(parts), "these parts were opened elsewhere"
        with anyio.CancelScope(shield=True):
            async with self._publishing:
                for part in ours:
                    await part.stop_saving()
                group = await self._settler.settle(ours)
                outcomes = group.failed
                if group.settled:
                    outcomes.update(await self._publish(group.settled))
        return outcomes

    async def _publish(self, settled: Sequence[Settled]) -> Outcomes:
        folders, receipts = await self._open_folders(), await self._load_receipts()
        publisher = Publisher(self._calls, folders, receipts, self._commit, follow=self._follow)
        return await self._in_thread(publisher.publish, settled)

    async def copy(self, item: PlannedFile, report: Callable[[int], None]) -> None:
        """Place the content that *item*.copy_of names at *item*'s final name, proven on the way.

        *report* is called with bytes as they are placed.

        Raises:
            IntegrityError: that content is not there, or cannot be read (nothing was placed).
            StorageError: the disk refused.
        """
        assert item.copy_of is not None, "only for files that are a copy of something"
        folders = await self._open_folders()
        settled = await place(
            self._calls,
            folders.parts,
            item.file,
            part_key(item.file, self._commit),
            os.path.join(self._path, item.copy_of),
            self._link,
            report,
            subject=str(self._path / item.file.path),
            limiter=self._hashing,
        )
        with anyio.CancelScope(shield=True):
            async with self._publishing:
                outcome = (await self._publish([settled]))[item.file.path]
        if outcome is not None:
            raise outcome

    async def close(self) -> None:
        """Let go of the folder; it opens again when it is needed."""
        folders, self._folders = self._folders, None
        if folders is not None:
            folders.close(self._calls)

    async def _open_folders(self) -> Folders:
        if self._folders is None:
            folders = await self._in_thread(
                open_for_writing, self._calls, str(self._path), self._notes.append
            )
            if self._folders is None:
                self._folders = folders
            else:
                folders.close(self._calls)  # another task was faster
        return self._folders


def _sized(listed: Iterable[ListedFile], known: Mapping[str, RemoteFile]) -> Iterator[RemoteFile]:
    """Yield the files of a listing whose size is known."""
    for file in listed:
        if file.path in known:
            yield known[file.path]
        elif file.size_bytes is not None:
            yield RemoteFile(file.path, file.size_bytes, file.digest)


__all__ = ["HasFile", "LocalDir"]
