"""Files of a repo below one folder: what every kind of destination does in the same way.

A store looks at what is there, opens parts, proves, publishes and keeps receipts. Where a file's
content lies is said by `name_of`, a name below the root that may differ from the file's path; the
two kinds, `LocalDir` and `SharedCache`, differ in that and in what they add around it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

import anyio
from anyio import to_thread

from hfdl_async.core.filetable import FileTable, RemoteFiles, remote_files
from hfdl_async.core.finding import Finding, Found
from hfdl_async.core.model import PlannedFile, RemoteFile
from hfdl_async.core.names import Naming
from hfdl_async.core.state import Receipt
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.folder import Folders, open_for_reading, open_for_writing, open_to_look
from hfdl_async.disk.hashing import hashing_limiter
from hfdl_async.disk.home import Home
from hfdl_async.disk.lock import Lock, OnWait
from hfdl_async.disk.memorypart import IN_MEMORY_BYTES, MemoryPart
from hfdl_async.disk.pagecache import PageCache
from hfdl_async.disk.partfile import PartFile
from hfdl_async.disk.partopen import forget, open_part, part_key
from hfdl_async.disk.placing import LinkMode, place
from hfdl_async.disk.probe import probe_by_looking, probe_by_writing, space_at
from hfdl_async.disk.publish import Outcomes, Publisher
from hfdl_async.disk.reading import Progress
from hfdl_async.disk.receipts import Receipts
from hfdl_async.disk.repair import seed
from hfdl_async.disk.reuse import find_elsewhere, find_in_cache
from hfdl_async.disk.settled import Settled
from hfdl_async.disk.settling import Settler
from hfdl_async.disk.survey import Survey, at_final_names, renewed_by_link
from hfdl_async.disk.trouble import translated
from hfdl_async.errors import HfdlError

T = TypeVar("T")
AnyPart = PartFile | MemoryPart
DISK_THREADS = 16


class HasFile(Protocol):
    """What every part is, as far as the caller's side is concerned."""

    @property
    def file(self) -> RemoteFile:
        """The file it will become."""
        ...


class Store:
    """The files of one repo below the root of *home*.

    What only looks (`survey`, `elsewhere`, `naming`, …) works on a folder that is read-only or not
    there, and writes nothing. `pin` comes first, then the lock, before anything is written.
    """

    may_be_read_while_busy = False  # whether what is complete stays so while others write
    follows_links = False  # whether a link at a final name may lead to the content

    def __init__(
        self,
        home: Home,
        *,
        link: LinkMode = "clone",
        follow_symlinks: bool = False,
        calls: Calls | None = None,
    ) -> None:
        self._home = home
        self._root = Path(home.root)
        self._link = link
        self._follow = follow_symlinks
        self._calls = calls or Calls()
        self._cached = PageCache(self._calls)
        self._disk = anyio.CapacityLimiter(DISK_THREADS)
        self._hashing = hashing_limiter()
        self._publishing = anyio.Lock()
        self._settler = Settler(self._calls, self._disk)
        self._folders: Folders | None = None
        self._receipts: Receipts | None = None
        self._linked: dict[int, set[str]] = {}  # by inode: names of one file that we linked
        self._commit = ""
        self._notes: list[str] = []

    @property
    def notes(self) -> tuple[str, ...]:
        """Odd things that were found and dealt with, as sentences for the user."""
        return tuple(self._notes)

    def pin(self, commit: str) -> None:
        """Say which commit is being downloaded."""
        self._commit = commit

    def name_of(self, file: RemoteFile) -> str:
        """Return where the content of *file* lies below the root, with `/` between the parts."""
        return file.path

    def place_of(self, file: RemoteFile) -> Path:
        """Return the absolute path of the content of *file*."""
        return self._root / self.name_of(file)

    # What only looks ----------------------------------------------------------------------

    async def receipts(self) -> Mapping[str, Receipt]:
        """Return what was verified here, by name below the root."""
        return (await self._load_receipts()).by_path

    async def naming(self, *, may_write: bool) -> Naming:
        """Return what the file system does to names, tried out if that is allowed."""
        if not may_write:
            return await self._in_thread(probe_by_looking, self._root)
        folders = await self._open_folders()
        return await self._in_thread(probe_by_writing, self._calls, folders.state, self._root)

    async def space(self) -> tuple[int, int]:
        """Return the bytes that are free and the bytes there are in all."""
        space = await self._in_thread(space_at, self._root)
        return space.free, space.total

    async def survey(
        self,
        files: Sequence[RemoteFile],
        *,
        verify: bool = False,
        progress: Callable[[int], None] | None = None,
        on_read: Callable[[int], None] | None = None,
        commit: str | None = None,
    ) -> Mapping[str, Finding]:
        """Return what lies at the final name of each of *files*, by path.

        *progress* is called with the number of files that are done, *on_read* with each count of
        bytes that were read. *verify* reads even what a receipt covers. *commit* is what a receipt
        without a digest must be of; None believes it whatever commit it is of.

        Raises:
            UnsafeError: a folder on the way is a link. StorageError: it cannot be read.
        """
        self._receipts = None
        receipts = await self._load_receipts()
        root, state = await self._in_thread(open_to_look, self._calls, self._home)
        files = remote_files(files)
        names = self.names_of(files)
        named = files if names is files.paths else _under(names, files)
        try:
            survey = Survey(
                self._calls,
                root,
                state,
                receipts.packed,
                commit,
                follow=self._follow,
                through_links=self.follows_links,
                disk=self._disk,
                hashing=self._hashing,
            )
            found = await survey.look_at(named, verify=verify, progress=progress, on_read=on_read)
        finally:
            for opened in (root, state):
                if opened is not None:
                    self._calls.close_folder(opened)
        if named is files:
            return found
        return {path: found[name] for path, name in zip(files.paths, names, strict=True)}

    def names_of(self, files: RemoteFiles) -> Sequence[str]:
        """Return where the contents of *files* lie: `name_of` each, or the very `paths`."""
        return list(map(self.name_of, files))

    def _named(self, file: RemoteFile) -> RemoteFile:
        """Return *file* under the name of its content."""
        name = self.name_of(file)
        return file if name == file.path else replace(file, path=name)

    async def elsewhere(
        self,
        files: Sequence[RemoteFile],
        reuse_from: Sequence[Path] = (),
        *,
        caches: Sequence[Path] = (),
        progress: Progress | None = None,
    ) -> Mapping[str, Path]:
        """Return where on this machine the content of *files* may lie, by content key.

        Looks into this store itself (by receipts that fit), into the folders *reuse_from* (what
        has no receipt is read), and into the shared *caches* (by name: a blob's name is its
        digest). Whoever takes it over proves it.
        """
        if not files:
            return {}
        receipts = await self._load_receipts()
        found = await self._in_here(files, receipts) if receipts.packed else {}
        for cache in caches:
            found.update(await self._in_thread(self._find_in_cache, cache, _lacking(files, found)))
        if not reuse_from:
            return found
        others = await find_elsewhere(
            self._calls,
            _lacking(files, found),
            reuse_from,
            limiter=self._hashing,
            progress=progress,
        )
        return {**others, **found}

    async def _in_here(self, files: Sequence[RemoteFile], receipts: Receipts) -> dict[str, Path]:
        """Return where the content of *files* lies here under other names, by content key."""
        digests = {file.digest for file in files if file.digest is not None}
        lacking = {self.name_of(file) for file in files}  # what lies there is not the content
        others = (receipts.by_path[path] for path in receipts.packed if path not in lacking)
        own = [held for held in others if held.digest in digests and held.size]
        found: dict[str, Path] = {}
        for receipt in await self._fitting(own):
            key = RemoteFile(receipt.path, receipt.size, receipt.digest).content_key
            if key is not None:
                found.setdefault(key, self._root / receipt.path)
        return found

    def _find_in_cache(self, cache: Path, files: Sequence[RemoteFile]) -> dict[str, Path]:
        """Return where the shared *cache* may have the content of *files*. In a thread."""
        return find_in_cache(cache, files)

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
            with open_for_reading(self._calls, self._home) as (root, state):
                return look(root, state)

        return await self._in_thread(look_inside)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        def translating() -> T:
            with translated(self._home.root):
                return work(*arguments)

        return await to_thread.run_sync(translating, limiter=self._disk)

    # What writes --------------------------------------------------------------------------

    def lock(self, *, wait_seconds: float | None = None, on_wait: OnWait | None = None) -> Lock:
        """Return the lock of this store, to be entered; leaving it lets go of the folders."""
        return Lock(
            self._home,
            calls=self._calls,
            note=self._notes.append,
            wait_seconds=wait_seconds,
            on_wait=on_wait,
            on_release=self.close,
        )

    async def adopt(self, findings: Mapping[str, Finding], commit: str) -> None:
        """Write receipts for files that are right by content but had none that fits."""
        fresh = {
            held.receipt.path: replace(held.receipt, commit=commit)
            for held in findings.values()
            if held.state is Found.RIGHT and held.receipt is not None
        }
        if not fresh:
            return
        folders, receipts = await self._open_folders(), await self._load_receipts()
        async with self._publishing:
            await self._in_thread(receipts.append, folders.state, list(fresh.values()))

    async def forget_parts(self, files: Iterable[RemoteFile], commit: str) -> None:
        """Remove what is unfinished of *files* of *commit*."""
        folders = await self._open_folders()
        keys = {part_key(file, commit) for file in files}
        await self._in_thread(forget, self._calls, folders.parts, keys)

    async def open(self, item: PlannedFile) -> AnyPart:
        """Return the part for *item*, with the claims of an earlier run if there are any.

        Raises:
            StorageError: it cannot be made (no space, read-only, something in the way).
        """
        folders = await self._open_folders()
        file = item.file
        if file.size_bytes <= IN_MEMORY_BYTES:
            return MemoryPart(file)
        key = part_key(file, self._commit)

        subject = str(self.place_of(file))  # of errors: nobody knows the part by its name

        def open_it() -> PartFile:
            with translated(subject, needed=file.size_bytes):
                opened = open_part(self._calls, folders.parts, file, key, self._notes.append)
            return PartFile(
                self._calls,
                folders.parts,
                file,
                opened,
                subject=subject,
                disk=self._disk,
                hashing=self._hashing,
                cached=self._cached,
            )

        part = await to_thread.run_sync(open_it, limiter=self._disk)
        try:
            if item.repair_from is not None and not part.has_claims:
                receipt = (await self._load_receipts()).by_path.get(self.name_of(file))
                if receipt is not None:
                    await seed(
                        self._calls, part, item.repair_from, receipt, self._disk,
                        follow=self.follows_links,
                    )  # fmt: skip
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
                folders = await self._open_folders()
                group = await self._settler.settle(ours, folders.parts)
                outcomes = group.failed
                if group.settled:
                    outcomes.update(await self._publish(group.settled))
        return outcomes

    async def _publish(self, settled: Sequence[Settled]) -> Outcomes:
        folders, receipts = await self._open_folders(), await self._load_receipts()
        publisher = Publisher(self._calls, folders, receipts, self._commit, follow=self._follow)

        def publish() -> Outcomes:
            named = [self._settled_as_named(one) for one in settled]
            by_name = publisher.publish(named)
            outcomes = {one.file.path: by_name[self.name_of(one.file)] for one in settled}
            placed = [one.file for one in settled if outcomes[one.file.path] is None]
            return {**outcomes, **self._complete(folders, placed)}

        return await self._in_thread(publish)

    def _settled_as_named(self, one: Settled) -> Settled:
        named = self._named(one.file)
        return one if named is one.file else replace(one, file=named)

    def _complete(self, folders: Folders, placed: Sequence[RemoteFile]) -> Outcomes:
        """Do what is due once content is in place; return what failed. In a thread."""
        return {}

    async def copy(self, item: PlannedFile, report: Callable[[int], None]) -> None:
        """Place the content that *item*.copy_of names at *item*'s final name, proven on the way.

        *report* is called with bytes as they are placed.

        Raises:
            IntegrityError: that content is not there, or cannot be read (nothing was placed).
            StorageError: the disk refused.
        """
        assert item.copy_of is not None, "only for files that are a copy of something"
        source = item.copy_of
        if not os.path.isabs(source):  # a file of this repo with the same content
            source = str(self.place_of(replace(item.file, path=source)))
        folders = await self._open_folders()
        settled = await place(
            self._calls,
            folders.parts,
            item.file,
            part_key(item.file, self._commit),
            source,
            self._link,
            report,
            subject=str(self.place_of(item.file)),
            limiter=self._hashing,
        )
        with anyio.CancelScope(shield=True):
            async with self._publishing:
                outcome = (await self._publish([settled]))[item.file.path]
                if outcome is None and self._link == "hard":
                    await self._renew_receipts(self.name_of(item.file), source)
        if outcome is not None:
            raise outcome

    async def _renew_receipts(self, name: str, source: str) -> None:
        """Make the receipts here fit again of what is now one file with *name*, just proven.

        Another name for a file is a change of it as far as the change time can tell.
        """
        folders, receipts = await self._open_folders(), await self._load_receipts()
        placed = receipts.by_path[name]
        names = self._linked.setdefault(placed.inode, set())
        names |= {name, self._name_below(source)}
        held = [receipts.by_path[one] for one in names if one in receipts.by_path]
        renewed = await self._in_thread(
            renewed_by_link, self._calls, folders.root, held, placed, self._follow
        )
        if renewed:
            await self._in_thread(receipts.append, folders.state, renewed)

    def _name_below(self, source: str) -> str:
        """Return the name below the root of the path *source*, if it is there."""
        return os.path.relpath(source, self._root).replace(os.sep, "/")

    async def close(self) -> None:
        """Let go of the folders; they open again when they are needed."""
        folders, self._folders = self._folders, None
        if folders is not None:
            folders.close(self._calls)

    async def _open_folders(self) -> Folders:
        if self._folders is None:
            open_them = partial(open_for_writing, self._calls, self._home, self._notes.append)
            folders = await self._in_thread(open_them)
            if self._folders is None:
                self._folders = folders
            else:
                folders.close(self._calls)  # another task was faster
        return self._folders


def _under(names: Sequence[str], files: RemoteFiles) -> RemoteFiles:
    """Return *files* under the *names* of their contents, each name once."""
    table, rows = FileTable(), {name: row for row, name in enumerate(names)}
    table.paths += rows
    table.sizes.extend(files.table.sizes[row] for row in rows.values())
    table.hashes += [files.table.hashes[row] for row in rows.values()]
    return RemoteFiles(table)


def _lacking(files: Sequence[RemoteFile], found: Mapping[str, Path]) -> Sequence[RemoteFile]:
    """Return those of *files* whose content is not *found* yet."""
    return [file for file in files if file.content_key not in found] if found else files
