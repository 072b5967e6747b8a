"""A repo in the shared cache of the Hugging Face libraries as the place where files go.

Theory of operation. The content of a file is a *blob*, called after its digest, and one `Store`
holds all blobs of a repo: it looks, proves, resumes and publishes as everywhere else. What is added
here are the names that readers know: a link for each file of a commit, made once its blob is in
place; then the listing of the commit; and last the ref, so that a reader who is offline never
meets a ref to a commit that is not there. Our own state lies in the repo's folder under a name
that no other program looks at.

Where links cannot be made, the content itself lies at the pointer's name, as the reference client
does it, and readers do not mind.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from anyio import to_thread

from hfdl_async.core.filetable import NO_DIGEST, RemoteFiles, remote_files
from hfdl_async.core.finding import Finding, Found
from hfdl_async.core.hubcache import blob_name, blob_name_in, pointer_name, repo_folder_name
from hfdl_async.core.model import ListedFile, Listing, PlannedFile, RemoteFile, RepoRef
from hfdl_async.core.names import Naming, is_commit
from hfdl_async.core.state import Receipt, StoredListing
from hfdl_async.disk import commits, pointers
from hfdl_async.disk import folder as folder_state
from hfdl_async.disk.bloblocks import BlobLocks
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.folder import Folders
from hfdl_async.disk.home import Home
from hfdl_async.disk.memorypart import IN_MEMORY_BYTES
from hfdl_async.disk.partfile import PartFile
from hfdl_async.disk.partopen import part_key, sweep
from hfdl_async.disk.placing import LinkMode
from hfdl_async.disk.pointers import Pointer
from hfdl_async.disk.probe import can_link
from hfdl_async.disk.pruning import Pruned
from hfdl_async.disk.publish import Outcomes
from hfdl_async.disk.reading import opener_at, read_content
from hfdl_async.disk.repair import seed
from hfdl_async.disk.reuse import find_in_cache
from hfdl_async.disk.store import AnyPart, HasFile, Store
from hfdl_async.disk.survey import receipt_for
from hfdl_async.errors import HfdlError, IntegrityError, StorageError

KEEP_PARTS_SECONDS = 14 * 86400.0  # of other commits, which somebody may want to go on with
_WRONG = (Found.FOREIGN, Found.CHANGED, Found.ROTTEN, Found.OLDER)


class SharedCache(Store):
    """One repo below the cache folder *cache*; fits `engine.ports.Sink`.

    *links* off means that content lies in the snapshot itself, as if links could not be made.
    """

    may_be_read_while_busy = True  # content has one name for ever
    follows_links = True  # a blob may be a link into the store that the libraries share

    def __init__(
        self,
        cache: Path,
        repo: RepoRef,
        *,
        link: LinkMode = "clone",
        links: bool = True,
        follow_symlinks: bool = False,
        calls: Calls | None = None,
    ) -> None:
        cache = cache.absolute()
        name = repo_folder_name(repo.repo_id, repo.repo_type)
        home = Home.of_cache(cache / name)
        super().__init__(home, link=link, follow_symlinks=follow_symlinks, calls=calls)
        self._cache = cache
        self._links = links
        self._locks = BlobLocks(cache / ".locks" / name)
        self._plain: set[str] = set()  # files whose content lies at their pointer's name
        self._absent: set[str] = set()
        self._listed: Listing | None = None  # as found in the cache
        self._pieced: Listing | None = None  # put together from what is here: no whole repo

    @property
    def path(self) -> Path:
        """The folder a reader opens, once `pin` has said which commit it is."""
        return self._root / "snapshots" / self._commit

    def name_of(self, file: RemoteFile) -> str:
        """Return where the content of *file* lies below the repo's folder."""
        if self._links and file.path not in self._plain:
            return blob_name(file)
        return pointer_name(file, self._commit)

    def names_of(self, files: RemoteFiles) -> Sequence[str]:
        """Return where the contents of *files* lie, as `name_of` does."""
        if self._links and not self._plain:
            return list(map(blob_name_in, files.table.hashes))
        return list(map(self.name_of, files))

    # What only looks ----------------------------------------------------------------------

    async def identify(self, repo: RepoRef) -> None:
        """Do nothing: the name of the folder says whose it is."""

    async def naming(self, *, may_write: bool) -> Naming:
        """Return what the file system does to names; find out whether it has links."""
        found = await super().naming(may_write=may_write)
        if may_write and self._links:
            folders = await self._open_folders()
            self._links = await self._in_thread(can_link, self._calls, folders.state)
        taken = len(f"snapshots/{self._commit}/")
        return replace(found, max_path_bytes=max(found.max_path_bytes - taken, 1))

    async def known_listing(self, commit: str) -> Listing | None:
        """Return what the cache has as the listing of *commit*, or None."""
        self._listed = await self._look(
            lambda root, _state: commits.read_tree(self._calls, root, commit)
        )
        return self._listed

    async def stored_listing(self, repo: RepoRef) -> Listing | None:
        """Return what the cache knows of *repo* at its revision without asking anybody.

        Where no listing was kept it is what the snapshot has.
        """
        commit = await self.commit_of(repo.revision)
        if commit is None:
            return None
        known = await self.known_listing(commit)
        if known is not None:
            return known
        files = await self._asked_for(commit)
        self._pieced = Listing(commit, tuple(files.values())) if files else None
        return self._pieced

    async def commit_of(self, revision: str) -> str | None:
        """Return the commit that *revision* is, as far as the cache knows."""
        if is_commit(revision):
            return revision
        return await self._look(lambda root, _state: commits.read_ref(self._calls, root, revision))

    async def selected(self) -> tuple[RemoteFile, ...]:
        """Return what was asked for here, by us or others, at the pinned commit."""
        files = await self._asked_for(self._commit)
        listing = await self.known_listing(self._commit)
        if listing is not None:
            files.update((file.path, file) for file in listing.files if file.path in files)
        return tuple(
            RemoteFile(file.path, file.size_bytes or 0, file.digest) for file in files.values()
        )

    async def _asked_for(self, commit: str) -> dict[str, ListedFile]:
        """Return the files that the snapshot has names for, and those that we know it is to have.

        What a name leads to does not count here.
        """

        def look(_root: Folder | None, state: Folder | None) -> dict[str, ListedFile]:
            snapshot = self._root / "snapshots" / commit
            files = {file.path: file for file in commits.files_in(snapshot)}
            stored = None if state is None else folder_state.read_listing(self._calls, state)
            for file in _files_of(stored, commit):
                files[file.path] = ListedFile(file.path, file.size_bytes, file.digest)
            return files

        return await self._look(look)

    def _find_in_cache(self, cache: Path, files: Sequence[RemoteFile]) -> dict[str, Path]:
        # The survey has looked at the blobs of this repo: what is still wanted is not there.
        looked_at = self._links and not self._plain and cache == self._cache
        besides = self._root.name if looked_at else None
        return find_in_cache(cache, files, besides=besides)

    async def survey(
        self,
        files: Sequence[RemoteFile],
        *,
        verify: bool = False,
        progress: Callable[[int], None] | None = None,
        on_read: Callable[[int], None] | None = None,
        commit: str | None = None,
    ) -> Mapping[str, Finding]:
        """Return what the cache has of each of *files*, by path; see `Store.survey`.

        Content that is not what its name says is `WRONG`, whoever put it there.

        Raises:
            IntegrityError: a file has no digest. StorageError: the cache cannot be read.
        """
        files = remote_files(files)
        bare = files.table.first_with(NO_DIGEST)
        if bare is not None:
            raise IntegrityError(
                f"{bare}: no digest is known, and the cache keeps content by its digest",
                hint="use --local-dir, or an endpoint that publishes digests",
            )
        named = await self._look(lambda root, _state: self._pointers_of(root, files))
        plain = {path for path, what in named.items() if what is Pointer.CONTENT}
        self._plain = self._plain.difference(files.paths) | plain
        found = await super().survey(
            files, verify=verify, progress=progress, on_read=on_read, commit=commit
        )
        self._absent = {path for path, held in found.items() if held.state is Found.ABSENT}
        receipts = (await self._load_receipts()).by_path
        contents = zip(files.paths, self.names_of(files), strict=True)
        return {
            path: self._judge(found[path], named[path], name, receipts) for path, name in contents
        }

    def _pointers_of(self, root: Folder | None, files: RemoteFiles) -> Mapping[str, Pointer]:
        if root is None:
            return dict.fromkeys(files.paths, Pointer.MISSING)
        return pointers.look_at(self._calls, root, files, self._commit)

    def _judge(
        self, finding: Finding, pointer: Pointer, name: str, receipts: Mapping[str, Receipt]
    ) -> Finding:
        if pointer is Pointer.BLOCKED:
            return Finding(Found.IN_THE_WAY)
        if finding.state in _WRONG:
            return replace(finding, state=Found.WRONG)
        if finding.is_right and self._links and pointer is Pointer.MISSING:
            receipt = finding.receipt or receipts.get(name)
            return replace(finding, nameless=True, receipt=receipt)
        return finding

    async def leftovers(self, paths: Collection[str]) -> tuple[str, ...]:
        """Return nothing: other commits have their own snapshots."""
        return ()

    async def prune(self, paths: Collection[str]) -> Pruned:
        """Remove nothing, for the same reason."""
        return Pruned()

    # What writes --------------------------------------------------------------------------

    async def begin(self, repo: RepoRef, listing: Listing, files: Iterable[RemoteFile]) -> None:
        """Make the repo's folder ready for *files* of *listing*.

        Raises:
            StorageError: it cannot be written to.
        """
        wanted = remote_files(files)
        folders = await self._open_folders()
        whole = len(wanted) == len(listing.files)  # then nothing else can have been asked for
        await self._in_thread(self._begin, folders, repo, listing.commit, wanted, whole)
        await self._load_receipts()

    def _begin(
        self, folders: Folders, repo: RepoRef, commit: str, files: RemoteFiles, whole: bool
    ) -> None:
        commits.write_tag(self._calls, self._cache, folders)
        stored = StoredListing(commit, files, frozenset(files.paths))
        if not whole:
            earlier = folder_state.read_listing(self._calls, folders.state, self._notes.append)
            known = {file.path: file for file in (*_files_of(earlier, commit), *files)}
            stored = StoredListing(commit, tuple(known.values()), frozenset(known))
        folder_state.write_owner(self._calls, folders.state, repo, commit)
        folder_state.write_listing(self._calls, folders.state, stored)
        if self._calls.names_in(folders.parts):
            needed = {part_key(file, commit) for file in files}
            sweep(self._calls, folders.parts, needed | _recent(self._calls, folders.parts))

    async def adopt(self, findings: Mapping[str, Finding], commit: str) -> None:
        """Write receipts for what is right by content, and the names that are missing."""
        await super().adopt(findings, commit)
        nameless = [
            RemoteFile(path, held.receipt.size, held.receipt.digest)
            for path, held in findings.items()
            if held.nameless and held.receipt is not None
        ]
        if not nameless:
            return
        folders = await self._open_folders()
        failed = await self._in_thread(self._make_pointers, folders, nameless)
        for error in failed.values():
            if error is not None:
                raise error

    def _make_pointers(self, folders: Folders, files: Iterable[RemoteFile]) -> Outcomes:
        return pointers.make(self._calls, folders, files, self._commit)

    async def open(self, item: PlannedFile) -> AnyPart:
        """Return the part for *item*; see `Store.open`.

        Waits while another program fetches the same blob, and then takes over what that brought.
        """
        file = item.file
        if file.size_bytes <= IN_MEMORY_BYTES:
            return await super().open(item)  # fetched twice sooner than locked
        assert file.digest is not None, "the cache is for files with a digest"
        let_go = partial(self._locks.release, file.digest.hex)
        waited = await self._locks.take(file.digest.hex)
        try:
            part = await super().open(item)
        except BaseException:
            let_go()
            raise
        assert isinstance(part, PartFile)
        part.on_end = let_go
        if waited or file.path in self._absent:
            try:
                await self._take_over(part)
            except BaseException:
                await part.close()
                raise
        return part

    async def _take_over(self, part: PartFile) -> None:
        """Fill *part* with what appeared at its final name meanwhile, if that is right."""
        file, place = part.file, str(self.place_of(part.file))
        assert file.digest is not None
        if await to_thread.run_sync(_size_of, place, limiter=self._disk) != file.size_bytes:
            return
        folders = await self._open_folders()
        try:
            content = await read_content(
                self._calls,
                place,
                opener_at(
                    self._calls,
                    folders.root,
                    self.name_of(file),
                    follow=self._follow,
                    through_links=True,
                ),
                [file.digest.algorithm],
                limiter=self._hashing,
            )
            if content.digests[file.digest.algorithm] == file.digest and content.steady:
                receipt = receipt_for(file, content.found, content.cells, self._commit)
                await seed(self._calls, part, place, receipt, self._disk, follow=True)
        except StorageError:
            return  # nothing came of it: the bytes are fetched

    async def publish(self, parts: Sequence[HasFile]) -> Mapping[str, HfdlError | None]:
        """Put verified parts in place and make the names that lead to them; see `Store.publish`."""
        try:
            return await super().publish(parts)
        finally:
            for part in parts:
                if part.file.digest is not None:
                    self._locks.release(part.file.digest.hex)

    def _complete(self, folders: Folders, placed: Sequence[RemoteFile]) -> Outcomes:
        linked = [file for file in placed if self.name_of(file) == blob_name(file)]
        return self._make_pointers(folders, linked)

    async def copy(self, item: PlannedFile, report: Callable[[int], None]) -> None:
        """Place the content that *item*.copy_of names; see `Store.copy`.

        Two files of one repo with the same content share their blob: only a name is made.
        """
        assert item.copy_of is not None, "only for files that are a copy of something"
        if os.path.isabs(item.copy_of) or not await self._shares(item.file, item.copy_of):
            await super().copy(item, report)
            return
        folders = await self._open_folders()
        async with self._publishing:
            failed = await self._in_thread(self._complete, folders, [item.file])
        error = failed.get(item.file.path)
        if error is not None:
            raise error
        report(item.file.size_bytes)

    async def _shares(self, file: RemoteFile, origin: str) -> bool:
        """Return whether the file *origin* has the blob of *file*, and that is proven."""
        name = self.name_of(file)
        if name != self.name_of(replace(file, path=origin)):
            return False
        receipt = (await self._load_receipts()).by_path.get(name)
        if receipt is None or receipt.digest != file.digest:
            return False
        return bool(await self._fitting([receipt]))

    async def finish(self, repo: RepoRef, listing: Listing) -> None:
        """Keep *listing* and, last, note which commit *repo*'s revision is.

        The files are in place without it, so what cannot be written is only noted.
        """

        def look(root: Folder | None, _state: Folder | None) -> list[commits.Document]:
            listed = listing is self._listed or listing is self._pieced
            return commits.unwritten(self._calls, root, repo.revision, listing, listed=listed)

        was_open = self._folders is not None
        try:
            unwritten = await self._look(look)
            if unwritten:  # else a cache that is read-only is as good
                folders = await self._open_folders()
                await self._in_thread(commits.write, self._calls, folders, unwritten)
        except HfdlError as error:
            self._notes.append(f"the cache could not be completed: {error.message}")
        finally:
            if not was_open:  # nobody holds the lock who would close them
                await self.close()

    async def close(self) -> None:
        """Let go of the folders and of every blob."""
        self._locks.release_all()
        await super().close()


def _files_of(stored: StoredListing | None, commit: str) -> Sequence[RemoteFile]:
    """Return what earlier runs of ours were asked for at *commit*."""
    return stored.files if stored is not None and stored.commit == commit else ()


def _size_of(place: str) -> int | None:
    try:
        return os.stat(place).st_size
    except OSError:
        return None


def _recent(calls: Calls, parts: Folder) -> set[str]:
    """Return the keys of parts that somebody worked on lately."""
    since = time.time() - KEEP_PARTS_SECONDS
    recent = set()
    for name in calls.names_in(parts):
        try:
            if calls.look(parts, name).st_mtime > since:
                recent.add(name.rpartition(".")[0])
        except FileNotFoundError:
            continue
    return recent
