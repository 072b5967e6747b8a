"""Where a download goes: what is asked of a place besides being a sink, and which one it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from hfdl_async.core.finding import Finding
from hfdl_async.core.model import Listing, RemoteFile, RepoRef
from hfdl_async.core.names import Naming
from hfdl_async.core.options import Options
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.lock import Lock, OnWait
from hfdl_async.disk.pruning import Pruned
from hfdl_async.disk.sharedcache import SharedCache
from hfdl_async.engine.ports import Sink
from hfdl_async.net import reference


class Destination(Sink, Protocol):
    """A sink with a past: what is there already, whose it is, and how a download begins and ends.

    The calls in order: those that only look, `pin` among them as soon as the commit is known;
    `lock`; `begin` and `adopt`; the engine's calls; `finish` when every file is in place.
    """

    @property
    def may_be_read_while_busy(self) -> bool:
        """Whether what is complete stays so while another process writes other files here."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Odd things that were found and dealt with, as sentences for the user."""
        ...

    def pin(self, commit: str) -> None:
        """Say which commit is being downloaded."""
        ...

    def place_of(self, file: RemoteFile) -> Path:
        """Return the absolute path of the content of *file*."""
        ...

    async def identify(self, repo: RepoRef) -> None:
        """Check that the place is not another repo's.

        Raises:
            UnsafeError: it is.
        """
        ...

    async def known_listing(self, commit: str) -> Listing | None:
        """Return the listing of *commit* if it need not be asked for."""
        ...

    async def stored_listing(self, repo: RepoRef) -> Listing | None:
        """Return the listing of *repo* at its revision as far as it is known without a network."""
        ...

    async def selected(self) -> tuple[RemoteFile, ...]:
        """Return what was asked for here at the pinned commit, complete or not."""
        ...

    async def naming(self, *, may_write: bool) -> Naming:
        """Return what the file system does to names."""
        ...

    async def space(self) -> tuple[int, int]:
        """Return the bytes that are free and the bytes there are in all."""
        ...

    async def survey(
        self,
        files: Sequence[RemoteFile],
        *,
        verify: bool = False,
        progress: Callable[[int], None] | None = None,
        on_read: Callable[[int], None] | None = None,
        commit: str | None = None,
    ) -> Mapping[str, Finding]:
        """Return what is there of each of *files*, by path."""
        ...

    async def elsewhere(
        self,
        files: Sequence[RemoteFile],
        reuse_from: Sequence[Path] = (),
        *,
        caches: Sequence[Path] = (),
    ) -> Mapping[str, Path]:
        """Return where on this machine the content of *files* may lie, by content key."""
        ...

    async def leftovers(self, paths: Collection[str]) -> tuple[str, ...]:
        """Return the files of ours that are not among *paths*."""
        ...

    def lock(self, *, wait_seconds: float | None = None, on_wait: OnWait | None = None) -> Lock:
        """Return the right to write here, to be entered."""
        ...

    async def begin(self, repo: RepoRef, listing: Listing, files: Iterable[RemoteFile]) -> None:
        """Make ready for *files* of *listing*."""
        ...

    async def adopt(self, findings: Mapping[str, Finding], commit: str) -> None:
        """Make what is right by content ours in every respect."""
        ...

    async def forget_parts(self, files: Iterable[RemoteFile], commit: str) -> None:
        """Remove what is unfinished of *files*."""
        ...

    async def prune(self, paths: Collection[str]) -> Pruned:
        """Remove the files of ours, untouched since, that are not among *paths*.

        Raises:
            StorageError: what was done is not durable.
        """
        ...

    async def finish(self, repo: RepoRef, listing: Listing) -> None:
        """Do what can only be done once every file is in place."""
        ...


def find_cache(options: Options) -> Path | None:
    """Return the shared cache that *options* name as the destination, or None."""
    if options.cache_dir is not None:
        return options.cache_dir.expanduser().absolute()
    return reference.default_cache() if options.cache else None


def choose(repo: RepoRef, folder: Path, cache: Path | None, options: Options) -> Destination:
    """Return the place for *repo*: in *cache* if that is one, else *folder*."""
    if cache is not None:
        return in_cache(cache, repo, options)
    return LocalDir(folder, link=options.link, follow_symlinks="symlinks" in options.allow)


def in_cache(cache: Path, repo: RepoRef, options: Options) -> SharedCache:
    """Return the place of *repo* in the shared *cache*."""
    return SharedCache(
        cache,
        repo,
        link=options.link,
        links=reference.may_link(),
        follow_symlinks="symlinks" in options.allow,
    )
