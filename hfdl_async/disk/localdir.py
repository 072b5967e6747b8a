"""A plain folder as the place where files go."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from hfdl_async.core.filetable import (
    UNKNOWN_SIZE,
    ListedFiles,
    RemoteFiles,
    paths_of,
    remote_files,
)
from hfdl_async.core.finding import Finding
from hfdl_async.core.localrecords import clashes_with_records
from hfdl_async.core.model import ListedFile, Listing, RemoteFile, RepoRef
from hfdl_async.core.names import shown
from hfdl_async.core.state import Owner, StoredListing
from hfdl_async.disk import folder as folder_state
from hfdl_async.disk import localrecords
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.folder import Folders, open_to_look
from hfdl_async.disk.home import Home
from hfdl_async.disk.partopen import part_key, sweep
from hfdl_async.disk.placing import LinkMode
from hfdl_async.disk.provenance import SOMEBODYS, without_downloads
from hfdl_async.disk.pruning import Pruned, prune
from hfdl_async.disk.store import Store
from hfdl_async.errors import HfdlError, OtherRepoError


class LocalDir(Store):
    """The folder of one download; fits `engine.ports.Sink`.

    Files lie at their own paths, so the folder belongs to one repo at one commit, and what is in
    it may be somebody's work: see the table in the README. `begin` comes before `open`, `publish`
    and `copy`.
    """

    def __init__(
        self,
        path: Path,
        *,
        link: LinkMode = "clone",
        follow_symlinks: bool = False,
        calls: Calls | None = None,
    ) -> None:
        home = Home.of_folder(path.absolute())
        super().__init__(home, link=link, follow_symlinks=follow_symlinks, calls=calls)
        self._asked = True  # the listing is the Hub's, and whole
        self._wanted: Sequence[str] = ()

    @property
    def path(self) -> Path:
        """The folder a reader opens."""
        return self._root

    def names_of(self, files: RemoteFiles) -> Sequence[str]:
        """Return the paths: of a million files there are no values until one is asked for."""
        return files.paths

    # What only looks ----------------------------------------------------------------------

    async def owner(self) -> Owner | None:
        """Return whose folder this is, or None where nothing says so."""
        return await self._look(lambda _root, state: self._owner_in(state))

    def _owner_in(self, state: Folder | None) -> Owner | None:
        return None if state is None else folder_state.read_owner(self._calls, state)

    async def identify(self, repo: RepoRef) -> None:
        """Check that nothing says that the folder is another repo's.

        Raises:
            OtherRepoError: something does; the caller knows a better hint.
        """
        owner = await self.owner()
        # The endpoint does not count: to go on from a mirror is a right of the user's, and what
        # differs there is found by its digest.
        if owner is None or (owner.repo_type, owner.repo_id) == (repo.repo_type, repo.repo_id):
            return
        raise OtherRepoError(
            f"{shown(self._home.root)} belongs to the {owner.repo_type} {shown(owner.repo_id)}, "
            f"not to the {repo.repo_type} {shown(repo.repo_id)}",
            hint="choose another folder with --local-dir",
        )

    async def known_listing(self, _commit: str) -> Listing | None:
        """Return None: the Hub is asked, which costs little and knows what it hides by now."""
        return None

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
            self._asked = False
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

    async def leftovers(self, paths: Collection[str]) -> tuple[str, ...]:
        """Return the files of ours, untouched since, that are not among *paths*."""
        kept = set(paths)
        receipts = await self._load_receipts()
        gone = [receipts.by_path[path] for path in receipts.packed if path not in kept]
        return tuple(sorted(receipt.path for receipt in await self._fitting(gone)))

    async def survey(
        self,
        files: Sequence[RemoteFile],
        *,
        verify: bool = False,
        progress: Callable[[int], None] | None = None,
        on_read: Callable[[int], None] | None = None,
        commit: str | None = None,
    ) -> Mapping[str, Finding]:
        """Return what lies at the final name of each of *files*; see `Store.survey`.

        What another downloader put there is `OLDER`: it can bring it again.
        """
        findings = await super().survey(
            files, verify=verify, progress=progress, on_read=on_read, commit=commit
        )
        if not any(finding.state in SOMEBODYS for finding in findings.values()):
            return findings
        root, state = await self._in_thread(open_to_look, self._calls, self._home)
        try:
            if root is None:
                return findings
            return await without_downloads(
                self._calls,
                root,
                files,
                findings,
                follow=self._follow,
                disk=self._disk,
                hashing=self._hashing,
            )
        finally:
            for opened in (root, state):
                if opened is not None:
                    self._calls.close_folder(opened)

    # What writes --------------------------------------------------------------------------

    async def begin(self, repo: RepoRef, listing: Listing, files: Iterable[RemoteFile]) -> None:
        """Make the folder ready for *files* of *listing*: whose it is, what it will hold.

        Parts that no file of the listing needs are removed.

        Raises:
            StorageError: it cannot be written to.
        """
        self.pin(listing.commit)
        wanted = remote_files(files)
        self._wanted = wanted.paths
        selected = frozenset(self._wanted)
        if len(selected) < len(listing.files):  # else what was asked for before is among them
            selected |= {file.path for file in await self.selected()}
        stored = StoredListing(listing.commit, _sized(listing, wanted), selected)
        folders = await self._open_folders()
        await self._in_thread(self._begin, folders, repo, stored, wanted)
        await self._load_receipts()

    def _begin(
        self, folders: Folders, repo: RepoRef, stored: StoredListing, wanted: Sequence[RemoteFile]
    ) -> None:
        note = self._notes.append
        folder_state.read_owner(self._calls, folders.state, note)
        folder_state.write_owner(self._calls, folders.state, repo, stored.commit)
        folder_state.write_listing(self._calls, folders.state, stored)
        if self._calls.names_in(folders.parts):
            needed = {part_key(file, stored.commit) for file in (*stored.files, *wanted)}
            sweep(self._calls, folders.parts, needed)

    async def prune(self, paths: Collection[str]) -> Pruned:
        """Remove the files of ours, untouched since, that are not among *paths*.

        Raises:
            StorageError: what was done is not durable.
        """
        folders, receipts = self._folders, await self._load_receipts()
        if folders is None:  # nothing may be written here, and `begin` never was
            return Pruned(failed=await self.leftovers(paths))
        work = partial(prune, self._calls, folders, receipts, paths, follow=self._follow)
        return await self._in_thread(work)

    async def finish(self, repo: RepoRef, listing: Listing) -> None:
        """Leave the records by which the reference client knows the files of this download.

        The files are in place without them, so what cannot be written is only noted.
        """
        if self._folders is None:  # nothing may be written here, and nothing was
            return
        try:
            await self._in_thread(self._leave_records, self._folders.root, listing)
        except HfdlError as error:
            self._notes.append(f"`hf download` will not know these files: {error.message}")

    def _leave_records(self, root: Folder, listing: Listing) -> None:
        if clashes_with_records(paths_of(listing.files)):
            return  # these names are the repo's own
        assert self._receipts is not None, "`begin` has loaded them"
        known, wanted = self._receipts.by_path, self._wanted
        if localrecords.has_tree(self._calls, root, listing.commit):
            # An earlier run came to its end and noted what it had: only the rest is left to do.
            wanted = tuple(path for path in wanted if path in self._receipts.appended)
        proven = [known[path] for path in wanted if path in known]
        localrecords.write_records(self._calls, root, proven, listing.commit)
        if self._asked:
            localrecords.write_tree(self._calls, root, listing)


def _sized(listing: Listing, known: Sequence[RemoteFile]) -> Sequence[RemoteFile]:
    """Return the files of a listing whose size is known."""
    listed = listing.files
    if isinstance(listed, ListedFiles) and UNKNOWN_SIZE not in listed.table.sizes:
        return RemoteFiles(listed.table)
    sizes = {file.path: file.size_bytes for file in known}
    sized = ((file, sizes.get(file.path, file.size_bytes)) for file in listed)
    return [RemoteFile(file.path, size, file.digest) for file, size in sized if size is not None]
