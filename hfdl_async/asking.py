"""What the Hub is asked before anything else: which commit, which files, how large they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import anyio

from hfdl_async.core.filetable import UNKNOWN_SIZE, ListedFiles, RemoteFiles, paths_of
from hfdl_async.core.model import Listing, RepoRef, RequestCounts
from hfdl_async.core.names import is_commit
from hfdl_async.core.options import Options
from hfdl_async.core.planning import Selection, is_risky, select, without_risky
from hfdl_async.core.retry import Policy
from hfdl_async.destination import Destination
from hfdl_async.engine.ports import Clock
from hfdl_async.engine.tally import Tally
from hfdl_async.errors import NotFoundError
from hfdl_async.net import reference
from hfdl_async.net.answer import Timeouts
from hfdl_async.net.hub import Hub
from hfdl_async.net.transport import Transport
from hfdl_async.refusing import shorten
from hfdl_async.target import Target


@dataclass(frozen=True, slots=True)
class Services:
    """What a downloader lends to each of its downloads."""

    transport: Transport
    clock: Clock
    jitter: Callable[[], float]


class Inquiry:
    """Asks about one target; offline it asks the *folder*, which knows what it was filled with.

    What is known so far of one that fails: `repo`, `commit`. `hub` is None where nobody was asked.

    Args:
        pinned: a commit that is known already.
        warn: called with what is odd about paths, and with those.
    """

    def __init__(
        self,
        target: Target,
        folder: Destination,
        services: Services,
        tally: Tally,
        *,
        pinned: str | None,
        warn: Callable[[str, Sequence[str]], None],
    ) -> None:
        self._target = target
        self._folder = folder
        self._services = services
        self._tally = tally
        self._pinned = pinned
        self._warn = warn
        self.hub: Hub | None = None
        self.repo = target.repo
        self.commit: str | None = None

    def requests(self) -> RequestCounts:
        """Return how many requests were made so far."""
        return self.hub.requests() if self.hub else RequestCounts()

    async def ask(self) -> tuple[Listing, RemoteFiles]:
        """Return the listing of the commit, and what is wanted of it.

        Raises:
            HfdlError: there is no answer: no access, no such repo, nothing selected.
        """
        if await anyio.to_thread.run_sync(reference.is_offline):
            listing = await self._stored_listing()
        else:
            hub = self.hub or await open_hub(self.repo, self._target.options, self._services)
            self.hub = hub
            self._tally.hold = hub.hops.describe_hold
            listing = await self._listing_of(hub)
        self.commit = listing.commit
        self._folder.pin(listing.commit)
        selected = await self._select(listing)
        if self.hub is not None:
            return listing, await self.hub.measure(selected)
        sizes = zip(selected.paths, selected.table.sizes, strict=True)
        lost = [path for path, size in sizes if size == UNKNOWN_SIZE]
        if lost:
            raise not_here(lost)
        return listing, RemoteFiles(selected.table)

    async def has_moved(self) -> bool:
        """Return whether the revision is another commit by now than it was for `ask`.

        Raises:
            HfdlError: the Hub does not say so any more.
        """
        if self.hub is None or self._pinned is not None or is_commit(self.repo.revision):
            return False
        _, commit = await self.hub.pin()
        return commit != self.commit

    async def _listing_of(self, hub: Hub) -> Listing:
        """Return the listing of the commit that is wanted; what never changes is not asked for."""
        commit = self._pinned
        if commit is None and is_commit(self.repo.revision):
            known = await self._known_listing(self.repo.revision)
            if known is not None:
                return known
        if commit is None:
            self.repo, commit = await hub.pin()
        self.commit = commit
        return await self._known_listing(commit) or await hub.listing(commit, self._on_listed)

    async def _known_listing(self, commit: str) -> Listing | None:
        """Return the listing that is kept here, if it may be used.

        Somebody else may have written it, so who asks for a proof asks the Hub, and a file that is
        not in it may still be in the repo.
        """
        known = None if self._target.wants_proof else await self._folder.known_listing(commit)
        if known is None:
            return None
        named = [name for name in self._target.files if not name.endswith("/")]
        return known if not named or set(paths_of(known.files)).issuperset(named) else None

    async def _stored_listing(self) -> Listing:
        stored = await self._folder.stored_listing(self.repo)
        if stored is None:
            place = self._target.cache or self._folder.path
            raise NotFoundError(
                f"offline, and {place} has nothing of {self.repo.repo_id} at {self.repo.revision}",
                hint="unset HF_HUB_OFFLINE to download it",
            )
        return stored

    def _on_listed(self, count: int) -> None:
        self._tally.listed_files = count

    async def _select(self, listing: Listing) -> ListedFiles:
        return await anyio.to_thread.run_sync(self._select_in_thread, listing)

    def _select_in_thread(self, listing: Listing) -> ListedFiles:
        options, wanted = self._target.options, self._target.files
        included, excluded = _match(paths_of(listing.files), options.include, options.exclude)
        selection = Selection(wanted, included, excluded)
        selected = select(listing, selection, repo=self.repo.repo_id)
        if options.safe_only:
            selected, left_out = without_risky(selected, wanted)
            self._warn("left out by --safe-only", left_out)
            if not selected:
                raise NotFoundError(f"--safe-only leaves no file of {self.repo.repo_id}")
        else:
            risky = list(filter(is_risky, selected.paths))
            self._warn("may run code when loaded", risky)
        return selected


async def open_hub(repo: RepoRef, options: Options, services: Services) -> Hub:
    """Return a client for *repo*, with the user's token and patience; asks nothing yet.

    Raises:
        AccessError: a token was asked for and there is none.
    """

    async def find_token() -> str | None:
        return await anyio.to_thread.run_sync(reference.find_token, options.token)

    stored = not isinstance(options.token, str)  # a login may have been renewed meanwhile
    return Hub(
        services.transport,
        repo,
        token=await find_token(),
        refresh_token=find_token if stored else None,
        policy=policy_of(options),
        timeouts=Timeouts(options.connect_timeout_seconds, options.read_timeout_seconds),
        allow=options.allow,
        jitter=services.jitter,
        clock=services.clock,
    )


def policy_of(options: Options) -> Policy:
    """Return how patient *options* are."""
    return Policy(options.max_retries, options.give_up_after_seconds)


def _match(
    paths: Sequence[str], include: tuple[str, ...], exclude: tuple[str, ...]
) -> tuple[frozenset[str] | None, frozenset[str]]:
    """Return what `--include` matches (None when not given) and what `--exclude` matches."""
    included = frozenset(reference.matching(paths, include, ())) if include else None
    excluded = frozenset(reference.matching(paths, exclude, ())) if exclude else frozenset()
    return included, excluded


def not_here(paths: Sequence[str]) -> NotFoundError:
    """Return the error of a run without a network that lacks *paths*."""
    return NotFoundError(
        f"offline, and not here: {shorten(paths)}",
        hint="unset HF_HUB_OFFLINE to download what is missing",
    )
