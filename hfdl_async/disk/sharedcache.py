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
import stat
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import anyio
from anyio import to_thread

from hfdl_async.core.finding import Finding, Found
from hfdl_async.core.hubcache import (
    CACHEDIR_TAG,
    MAX_TREE_BYTES,
    blob_name,
    decode_tree,
    digest_of_blob,
    encode_tree,
    pointer_name,
    ref_name,
    repo_folder_name,
)
from hfdl_async.core.model import ListedFile, Listing, PlannedFile, RemoteFile, RepoRef
from hfdl_async.core.names import Naming, is_commit
from hfdl_async.core.sealed import StateRefused
from hfdl_async.core.state import StoredListing
from hfdl_async.disk import folder as folder_state
from hfdl_async.disk import pointers
from hfdl_async.disk.bloblocks import BlobLocks
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.folder import Folders, folder_at, split_path
from hfdl_async.disk.home import Home
from hfdl_async.disk.memorypart import IN_MEMORY_BYTES
from hfdl_async.disk.partfile import PartFile
from hfdl_async.disk.partopen import part_key, sweep
from hfdl_async.disk.placing import LinkMode
from hfdl_async.disk.pointers import Pointer
from hfdl_async.disk.publish import Outcomes
from hfdl_async.disk.reading import read_content
from hfdl_async.disk.repair import seed
from hfdl_async.disk.statefiles import read_state, temporary_name, write_state
from hfdl_async.disk.store import AnyPart, HasFile, Store
from hfdl_async.disk.survey import receipt_for
from hfdl_async.errors import HfdlError, IntegrityError, StorageError

KEEP_PARTS_SECONDS = 14 * 86400.0  # of other commits, which somebody may want to go on with
MAX_REF_BYTES = 4096
_WRONG = (Found.FOREIGN, Found.CHANGED, Found.ROTTEN, Found.OLDER)


class SharedCache(Store):
    """One repo below the cache folder *cache*; fits `engine.ports.Sink`.

    *links* off means that content lies in the snapshot itself, as if links could not be made.
    """

    follows_links = True  # a blob may be a link into the store that the libraries share

    def __init__(
        self,
        cache: Path,
        repo: RepoRef,
        *,
        link: LinkMode = "clone",
        links: bool = True,
        calls: Calls | None = None,
    ) -> None:
        cache = cache.absolute()
        name = repo_folder_name(repo.repo_id, repo.repo_type)
        super().__init__(Home.of_cache(cache / name), link=link, calls=calls)
        self._cache = cache
        self._links = links
        self._locks = BlobLocks(cache / ".locks" / name)
        self._pointers: dict[str, Pointer] = {}
        self._no_blob: frozenset[str] = frozenset()  # files that lie at their pointer's name

    @property
    def path(self) -> Path:
        """The folder a reader opens, once `pin` has said which commit it is."""
        return self._root / "snapshots" / self._commit

    def name_of(self, file: RemoteFile) -> str:
        """Return where the content of *file* lies below the repo's folder."""
        if self._links and file.path not in self._no_blob:
            return blob_name(file)
        return pointer_name(file, self._commit)

    # What only looks ----------------------------------------------------------------------

    async def identify(self, repo: RepoRef) -> None:
        """Do nothing: the name of the folder says whose it is."""

    async def naming(self, *, may_write: bool) -> Naming:
        """Return what the file system does to names; find out whether it has links."""
        found = await super().naming(may_write=may_write)
        if may_write and self._links:
            folders = await self._open_folders()
            self._links = await self._in_thread(_can_link, self._calls, folders.state)
        return found

    async def known_listing(self, commit: str) -> Listing | None:
        """Return what the cache has as the listing of *commit*, or None."""

        def read(root: Folder | None, _state: Folder | None) -> Listing | None:
            data = self._read(root, f"trees/{commit}.json", MAX_TREE_BYTES)
            return None if data is None else decode_tree(data, commit)

        return await self._look(read)

    async def stored_listing(self, repo: RepoRef) -> Listing | None:
        """Return what the cache knows of *repo* at its revision without asking anybody.

        Where no listing was kept it is what the snapshot has.
        """
        commit = await self.commit_of(repo.revision)
        if commit is None:
            return None
        return await self.known_listing(commit) or await self._look_listed(commit)

    async def commit_of(self, revision: str) -> str | None:
        """Return the commit that *revision* is, as far as the cache knows."""
        if is_commit(revision):
            return revision
        name = ref_name(revision)

        def read(root: Folder | None, _state: Folder | None) -> str | None:
            data = self._read(root, name, MAX_REF_BYTES) if name else None
            text = "" if data is None else data.decode("ascii", "replace").strip()
            return text if is_commit(text) else None

        return await self._look(read)

    async def selected(self) -> tuple[RemoteFile, ...]:
        """Return the files that the snapshot has names for, whatever those lead to."""
        listing = await self.known_listing(self._commit)
        present = await self._look_listed(self._commit)
        if present is None:
            return ()
        files = {file.path: file for file in present.files}
        if listing is not None:
            files.update({file.path: file for file in listing.files if file.path in files})
        return tuple(
            RemoteFile(file.path, file.size_bytes or 0, file.digest) for file in files.values()
        )

    async def _look_listed(self, commit: str) -> Listing | None:
        def look() -> Listing | None:
            base = self._root / "snapshots" / commit
            files = tuple(_files_below(base))
            return Listing(commit, files) if files else None

        return await self._in_thread(look)

    def _read(self, root: Folder | None, path: str, limit: int) -> bytes | None:
        if root is None:
            return None
        folder, name = split_path(path)
        try:
            with folder_at(self._calls, root, folder) as opened:
                return read_state(self._calls, opened, name, limit)
        except (OSError, StateRefused):
            return None  # then it is as if it were not there

    async def survey(
        self,
        files: Sequence[RemoteFile],
        *,
        verify: bool = False,
        progress: Callable[[int], None] | None = None,
        commit: str | None = None,
    ) -> Mapping[str, Finding]:
        """Return what the cache has of each of *files*, by path; see `Store.survey`.

        Content that is not what its name says is `WRONG`, whoever put it there.

        Raises:
            IntegrityError: a file has no digest. StorageError: the cache cannot be read.
        """
        bare = next((file.path for file in files if file.digest is None), None)
        if bare is not None:
            raise IntegrityError(
                f"{bare}: no digest is known, and the cache keeps content by its digest",
                hint="use --local-dir, or an endpoint that publishes digests",
            )
        await self._look(lambda root, _state: self._look_at_pointers(root, files))
        findings = await super().survey(files, verify=verify, progress=progress, commit=commit)
        return {path: self._judge(path, finding) for path, finding in findings.items()}

    def _look_at_pointers(self, root: Folder | None, files: Sequence[RemoteFile]) -> None:
        if root is None:
            self._pointers, self._no_blob = {}, frozenset()
            return
        self._pointers = pointers.look_at(self._calls, root, files, self._commit)
        plain = [file for file in files if self._pointers[file.path] is Pointer.CONTENT]
        self._no_blob = frozenset(
            file.path for file in plain if not os.path.exists(root.join(blob_name(file)))
        )

    def _judge(self, path: str, finding: Finding) -> Finding:
        if finding.state in _WRONG:
            # What a damaged link leads to is not ours to take over.
            return replace(finding, state=Found.WRONG)
        if finding.is_right and self._links and path not in self._no_blob:
            return replace(finding, nameless=self._pointers.get(path) is not Pointer.LINK)
        return finding

    async def leftovers(self, paths: object) -> tuple[str, ...]:
        """Return nothing: other commits have their own snapshots."""
        return ()

    # What writes --------------------------------------------------------------------------

    async def begin(self, repo: RepoRef, listing: Listing, files: Iterable[RemoteFile]) -> None:
        """Make the repo's folder ready for *files* of *listing*.

        Raises:
            StorageError: it cannot be written to.
        """
        wanted = tuple(files)
        folders = await self._open_folders()
        await self._in_thread(self._begin, folders, repo, listing.commit, wanted)
        await self._load_receipts()

    def _begin(
        self, folders: Folders, repo: RepoRef, commit: str, files: Sequence[RemoteFile]
    ) -> None:
        cache = self._calls.open_root(str(self._cache))
        try:
            self._write_if_missing(cache, "CACHEDIR.TAG", CACHEDIR_TAG)
        finally:
            self._calls.close_folder(cache)
        folder_state.write_owner(self._calls, folders.state, repo, commit)
        stored = StoredListing(commit, tuple(files), frozenset(file.path for file in files))
        folder_state.write_listing(self._calls, folders.state, stored)
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
        failed = await self._in_thread(
            pointers.make, self._calls, folders.root, nameless, self._commit
        )
        for error in failed.values():
            if error is not None:
                raise error

    async def open(self, item: PlannedFile) -> AnyPart:
        """Return the part for *item*; see `Store.open`.

        Waits while another program fetches the same blob, and then takes over what that brought.
        """
        file = item.file
        assert file.digest is not None, "the cache is for files with a digest"
        waited = False
        if file.size_bytes > IN_MEMORY_BYTES:  # a small file is fetched twice sooner than locked
            waited = await self._locks.take(file.digest.hex)
        try:
            part = await super().open(item)
            if waited and isinstance(part, PartFile) and not part.has_claims:
                await self._take_over(part)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self._locks.release(file.digest.hex)
            raise
        return part

    async def _take_over(self, part: PartFile) -> None:
        """Fill *part* from a blob that appeared meanwhile, if it is right."""
        file = part.file
        assert file.digest is not None
        place = await to_thread.run_sync(os.path.realpath, self.place_of(file))
        try:
            content = await read_content(
                self._calls,
                place,
                lambda: os.open(place, os.O_RDONLY | getattr(os, "O_BINARY", 0)),
                [file.digest.algorithm],
                limiter=self._hashing,
            )
            if content.digests[file.digest.algorithm] == file.digest and content.steady:
                receipt = receipt_for(file, content.found, content.cells, self._commit)
                await seed(self._calls, part, place, receipt, self._disk)
        except StorageError:
            return  # nothing came of it: the bytes are fetched

    async def publish(self, parts: Sequence[HasFile]) -> Mapping[str, HfdlError | None]:
        """Put verified parts in place and make the names that lead to them; see `Store.publish`."""
        try:
            return await super().publish(parts)
        finally:
            with anyio.CancelScope(shield=True):
                for part in parts:
                    if part.file.digest is not None:
                        await self._locks.release(part.file.digest.hex)

    def _complete(self, folders: Folders, placed: Sequence[RemoteFile]) -> Outcomes:
        linked = [file for file in placed if self.name_of(file) == blob_name(file)]
        return pointers.make(self._calls, folders.root, linked, self._commit)

    async def copy(self, item: PlannedFile, report: Callable[[int], None]) -> None:
        """Place the content that *item*.copy_of names; see `Store.copy`.

        Two files of one repo with the same content share their blob: only a name is made.
        """
        source = item.copy_of or ""
        origin = replace(item.file, path=source)
        if os.path.isabs(source) or self.name_of(origin) != self.name_of(item.file):
            await super().copy(item, report)
            return
        folders = await self._open_folders()
        async with self._publishing:
            failed = await self._in_thread(self._complete, folders, [item.file])
        error = failed.get(item.file.path)
        if error is not None:
            raise error
        report(item.file.size_bytes)

    async def finish(self, repo: RepoRef, listing: Listing) -> None:
        """Keep *listing* and, last, note which commit *repo*'s revision is.

        The files are in place without it, so what cannot be written is only noted.
        """
        folders = await self._open_folders()
        try:
            await self._in_thread(self._finish, folders.root, repo.revision, listing)
        except HfdlError as error:
            self._notes.append(f"the cache could not be completed: {error.message}")

    def _finish(self, root: Folder, revision: str, listing: Listing) -> None:
        tree = encode_tree(listing)
        if tree is not None:
            with folder_at(self._calls, root, "trees", create=True) as trees:
                self._write_if_missing(trees, f"{listing.commit}.json", tree)
        ref = None if revision == listing.commit else ref_name(revision)
        commit = listing.commit.encode("ascii")
        if ref is not None and self._read(root, ref, MAX_REF_BYTES) != commit:
            folder, name = split_path(ref)
            with folder_at(self._calls, root, folder, create=True) as refs:
                write_state(self._calls, refs, name, commit)

    def _write_if_missing(self, folder: Folder, name: str, data: bytes) -> None:
        try:
            self._calls.look(folder, name)
        except FileNotFoundError:
            write_state(self._calls, folder, name, data)

    async def close(self) -> None:
        """Let go of the folders and of every blob."""
        await self._locks.release_all()
        await super().close()


def _can_link(calls: Calls, folder: Folder) -> bool:
    """Return whether the file system has symbolic links, tried out in *folder*."""
    name = temporary_name("link")
    try:
        calls.symlink("target", folder, name)
    except OSError:
        return False
    calls.unlink(folder, name)
    return True


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


def _files_below(base: Path) -> Iterable[ListedFile]:
    """Yield the files of a snapshot, with the digest that the name of their blob says."""
    for folder, _, names in os.walk(base):
        for name in names:
            place = os.path.join(folder, name)
            path = os.path.relpath(place, base).replace(os.sep, "/")
            digest = None
            if os.path.islink(place):
                digest = digest_of_blob(os.path.basename(os.readlink(place)))
            try:
                status = os.stat(place)
            except OSError:
                yield ListedFile(path, None, digest)
                continue
            if stat.S_ISREG(status.st_mode):
                yield ListedFile(path, status.st_size, digest)
