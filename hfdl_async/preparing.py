"""From what the user typed to a plan that can be carried out: the part before the first byte.

The order: whose repo, which commit, which files, may we; then the folder: is it ours, what is in
it, do the names fit, is there room. Only when all of that is known is anything written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from hfdl_async.core.filetable import UNKNOWN_SIZE, ListedFiles, RemoteFiles, paths_of
from hfdl_async.core.finding import Finding, Found
from hfdl_async.core.model import (
    Action,
    Listing,
    Plan,
    Problem,
    RemoteFile,
    RepoRef,
    RequestCounts,
)
from hfdl_async.core.names import find_problems, is_commit
from hfdl_async.core.options import Options
from hfdl_async.core.planning import (
    NOTHING_TO_DO,
    Decisions,
    Selection,
    check_space,
    decide,
    is_risky,
    select,
    without_risky,
)
from hfdl_async.core.retry import Policy
from hfdl_async.destination import Destination, choose, find_cache
from hfdl_async.disk.lock import Holder
from hfdl_async.engine.ports import Clock
from hfdl_async.engine.tally import Tally
from hfdl_async.errors import (
    BusyError,
    HfdlError,
    NotFoundError,
    StorageError,
    UnsafeError,
    UsageError,
)
from hfdl_async.net import reference
from hfdl_async.net.answer import Timeouts
from hfdl_async.net.hub import Hub
from hfdl_async.net.source import HubSource
from hfdl_async.net.transport import Transport
from hfdl_async.refusing import other_folder_command, raise_problems, shorten


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. Two equal requests may share one run."""

    repo: str
    files: tuple[str, ...]
    options: Options
    pinned: str | None = None  # a commit that is known already: it is not asked for again


@dataclass(frozen=True, slots=True)
class Services:
    """What a downloader lends to each of its downloads."""

    transport: Transport
    clock: Clock
    jitter: Callable[[], float]


@dataclass(frozen=True, slots=True)
class Target:
    """Whose files, from where, into which folder; known without asking anybody.

    Attributes:
        cache: the shared cache that is the destination instead of `folder`, or None.
        reuse_from: the folders whose content may be taken over.
        caches: the shared caches in which content may be found, whatever the destination.
    """

    repo: RepoRef
    files: tuple[str, ...]
    folder: Path
    cache: Path | None
    reuse_from: tuple[Path, ...]
    caches: tuple[Path, ...]
    options: Options


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan and everything that will carry it out."""

    plan: Plan
    listing: Listing
    place: Destination
    source: HubSource | None


def find_target(request: Request) -> Target:
    """Return what *request* means. Imports the Hub's client: call it off the loop.

    Raises:
        UsageError: it means nothing.
    """
    options = request.options
    parsed = reference.parse_target(
        request.repo,
        repo_type=options.repo_type,
        revision=options.revision,
        endpoint=options.endpoint,
    )
    files = request.files + ((parsed.path,) if parsed.path else ())
    base = options.local_dir or options.directory / parsed.repo.name
    cache = find_cache(options)
    caches = dict.fromkeys([cache or reference.default_cache(), reference.default_cache()])
    return Target(
        parsed.repo,
        files,
        base.expanduser().absolute(),
        cache,
        _folders_to_reuse(options),
        tuple(caches),
        options,
    )


def _folders_to_reuse(options: Options) -> tuple[Path, ...]:
    """Return the folders whose content may be taken over.

    Raises:
        UsageError: there is no such folder; a run without it would fetch what it should not.
    """
    folders = tuple(folder.expanduser().absolute() for folder in options.reuse_from)
    for folder in folders:
        if not os.path.isdir(folder):
            raise UsageError(
                f"--reuse-from: there is no folder {folder}",
                hint="name a folder whose content may be taken over, or leave the option out",
            )
    return folders


class Preparation:
    """Makes the plan of one download; `tally` shows how far it is.

    What is known so far of a preparation that fails: `repo`, `commit`, `warnings`.
    """

    def __init__(self, request: Request, target: Target, services: Services, tally: Tally) -> None:
        self._request = request
        self._target = target
        self._services = services
        self._tally = tally
        self._options = options = target.options
        self._folder = choose(target.repo, target.folder, target.cache, options)
        self._started = services.clock.monotonic()
        self._warnings = list(options.warnings)
        self._hub: Hub | None = None
        self.repo = target.repo
        self.commit: str | None = None

    @property
    def path(self) -> Path:
        """The folder of the files; in a cache only the commit says which it is."""
        return self._folder.path

    @property
    def known_path(self) -> Path | None:
        """The folder of the files, as soon as it is known."""
        return None if self._target.cache is not None and self.commit is None else self.path

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know, up to now."""
        return (*self._warnings, *self._folder.notes)

    def requests(self) -> RequestCounts:
        """Return how many requests were made so far."""
        return self._hub.requests() if self._hub else RequestCounts()

    async def plan(self) -> Plan:
        """Return the plan and write nothing anywhere; problems are listed in it.

        Raises:
            HfdlError: there can be no plan: no access, no such repo, nothing selected.
        """
        listing, files = await self._ask_the_hub()
        problems = list(await self._name_problems(files, may_write=False))
        try:
            await self._folder.identify(self.repo)
        except UnsafeError as error:
            problems.append(Problem(None, error.kind, error.message))
            return self._make(listing, NOTHING_TO_DO, 0, problems)
        decisions = await self._look(files, listing)
        problems += decisions.problems
        free, total = await self._folder.space()
        plan = self._make(listing, decisions, free, problems)
        try:
            self._check_space(plan, free, total)
        except StorageError as error:
            problems.append(Problem(None, error.kind, error.message))
        gone = await self._leftovers(listing) if self._options.prune else ()
        return replace(
            plan, problems=tuple(problems), warnings=tuple(self._warnings), to_remove=gone
        )

    async def prepare(
        self, stack: AsyncExitStack, on_wait: Callable[[Holder | None], None]
    ) -> Prepared:
        """Return a plan that can be carried out; *stack* holds the folder's lock from here on.

        Raises:
            HfdlError: something stands in the way; no content was asked for.
        """
        listing, files = await self._ask_the_hub()
        await self._identify()  # before anything of ours gets into somebody else's folder
        not_locked = await self._lock(stack, on_wait, files)
        await self._identify()  # whoever held the lock may have filled it
        may_write = not_locked is None
        problems = await self._name_problems(files, may_write=may_write)
        raise_problems(problems, self.path)
        decisions = await self._look(files, listing)
        raise_problems(decisions.problems, self.path)
        free, total = await self._folder.space()
        plan = self._make(listing, decisions, free, ())
        self._refuse_the_impossible(plan, not_locked)
        self._check_space(plan, free, total)
        if not self._options.prune:
            gone = await self._leftovers(listing)
            self._warn_of("of an older commit, and no longer in the repo", gone)
        if may_write:
            await self._begin(listing, files, decisions)
        chunk_bytes = self._options.chunk_size_bytes
        source = (
            HubSource(self._hub, listing.commit, chunk_bytes=chunk_bytes) if self._hub else None
        )
        plan = replace(plan, warnings=tuple(self._warnings))
        return Prepared(plan, listing, self._folder, source)

    async def _begin(
        self, listing: Listing, files: Sequence[RemoteFile], decisions: Decisions
    ) -> None:
        """Write for the first time: nothing stands in the way any more."""
        if self._options.no_resume:
            await self._folder.forget_parts(files, listing.commit)
        await self._folder.begin(self.repo, listing, files)
        right = {file.path: self._findings[file.path] for file in decisions.adopt}
        await self._folder.adopt(right, listing.commit)

    def _refuse_the_impossible(self, plan: Plan, not_locked: HfdlError | None) -> None:
        if not_locked is not None and not all(
            item.action is Action.REUSE and not self._findings[item.file.path].nameless
            for item in plan.files
        ):
            raise not_locked
        if self._hub is None:
            fetched = [item.file.path for item in plan.files if item.action is Action.FETCH]
            if fetched:
                raise _not_here(fetched)

    # -- the hub ---------------------------------------------------------------------------

    async def _ask_the_hub(self) -> tuple[Listing, RemoteFiles]:
        if await anyio.to_thread.run_sync(reference.is_offline):
            listing = await self._stored_listing()
        else:
            self._hub = hub = await open_hub(self.repo, self._options, self._services)
            self._tally.hold = hub.hops.describe_hold
            listing = await self._listing_of(hub)
        self.commit = listing.commit
        self._folder.pin(listing.commit)
        selected = await self._select(listing)
        if self._hub is not None:
            return listing, await self._hub.measure(selected)
        sizes = zip(selected.paths, selected.table.sizes, strict=True)
        lost = [path for path, size in sizes if size == UNKNOWN_SIZE]
        if lost:
            raise _not_here(lost)
        return listing, RemoteFiles(selected.table)

    async def _listing_of(self, hub: Hub) -> Listing:
        """Return the listing of the commit that is wanted; what never changes is not asked for."""
        commit = self._request.pinned
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
        known = None if self._wants_proof else await self._folder.known_listing(commit)
        if known is None:
            return None
        named = [name for name in self._target.files if not name.endswith("/")]
        return known if not named or set(paths_of(known.files)).issuperset(named) else None

    @property
    def _wants_proof(self) -> bool:
        options = self._options
        return options.verify or options.fix_broken or options.force

    async def _stored_listing(self) -> Listing:
        stored = await self._folder.stored_listing(self.repo)
        if stored is None:
            place = self._target.cache or self.path
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
        options, wanted = self._options, self._target.files
        included, excluded = _match(paths_of(listing.files), options.include, options.exclude)
        selection = Selection(wanted, included, excluded)
        selected = select(listing, selection, repo=self.repo.repo_id)
        if options.safe_only:
            selected, left_out = without_risky(selected, wanted)
            self._warn_of("left out by --safe-only", left_out)
            if not selected:
                raise NotFoundError(f"--safe-only leaves no file of {self.repo.repo_id}")
        else:
            risky = list(filter(is_risky, selected.paths))
            self._warn_of("may run code when loaded", risky)
        return selected

    def _warn_of(self, what: str, paths: Sequence[str]) -> None:
        if paths:
            self._warnings.append(f"{what}: {shorten(paths)}")

    # -- the folder ------------------------------------------------------------------------

    async def _identify(self) -> None:
        try:
            await self._folder.identify(self.repo)
        except UnsafeError as error:
            command = other_folder_command(
                self.repo, self._target.files, self._options, self._target.folder
            )
            raise type(error)(error.message, hint=command) from error

    async def _lock(
        self,
        stack: AsyncExitStack,
        on_wait: Callable[[Holder | None], None],
        files: RemoteFiles,
    ) -> HfdlError | None:
        """Take the folder for this run; returns why not when it cannot be written to.

        That may still be enough: everything asked for may be there already.
        """
        self._tally.phase = "waiting"
        folder, wait_seconds = self._folder, self._options.wait_seconds
        try:
            if folder.may_be_read_while_busy:
                try:
                    await stack.enter_async_context(folder.lock(wait_seconds=0))
                    return None
                except BusyError as busy:
                    if await self._is_all_here(files):
                        return busy
            await stack.enter_async_context(folder.lock(wait_seconds=wait_seconds, on_wait=on_wait))
        except StorageError as error:
            return error
        finally:
            self._tally.phase = "checking"
            self._tally.note = ""
        return None

    async def _is_all_here(self, files: RemoteFiles) -> bool:
        """Return whether there is nothing to do, so that nobody need wait for the folder."""
        if self._wants_proof or self._options.no_resume:
            return False
        found = await self._folder.survey(files, commit=self.commit)
        return all(one.state is Found.FITS and not one.nameless for one in found.values())

    async def _name_problems(self, files: RemoteFiles, *, may_write: bool) -> tuple[Problem, ...]:
        naming = await self._folder.naming(may_write=may_write)
        return await anyio.to_thread.run_sync(find_problems, paths_of(files), naming)

    async def _look(self, files: RemoteFiles, listing: Listing) -> Decisions:
        self._tally.phase = "checking"
        self._tally.listed_files = 0
        self._findings = await self._folder.survey(
            files, verify=self._options.verify, progress=self._on_listed, commit=listing.commit
        )
        elsewhere = await self._folder.elsewhere(
            _without_right(files, self._findings),
            self._target.reuse_from,
            caches=self._target.caches,
        )
        decisions = await anyio.to_thread.run_sync(
            decide, files, self._findings, elsewhere, self._options, self._folder.place_of
        )
        self._warnings += decisions.warnings
        return decisions

    async def _leftovers(self, listing: Listing) -> tuple[str, ...]:
        return await self._folder.leftovers(paths_of(listing.files))

    # -- the plan --------------------------------------------------------------------------

    def _make(
        self, listing: Listing, decisions: Decisions, free: int, problems: Sequence[Problem]
    ) -> Plan:
        return Plan(
            repo=self.repo,
            commit=listing.commit,
            path=self.path,
            files=decisions.files,
            disk_free=free,
            problems=tuple(problems),
            warnings=tuple(self._warnings),
            requests=self.requests(),
            duration_seconds=self._services.clock.monotonic() - self._started,
        )

    def _check_space(self, plan: Plan, free: int, total: int) -> None:
        warning = check_space(
            plan.bytes_to_write,
            free + plan.bytes_reserved,
            total,
            min_free_space=self._options.min_free_space_bytes,
            path=plan.path,
        )
        if warning is not None:
            self._warnings.append(warning)


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


def _not_here(paths: Sequence[str]) -> NotFoundError:
    return NotFoundError(
        f"offline, and not here: {shorten(paths)}",
        hint="unset HF_HUB_OFFLINE to download what is missing",
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


def _without_right(files: RemoteFiles, findings: Mapping[str, Finding]) -> RemoteFiles:
    """Return the files whose content is not in place."""
    lacking = [not findings[path].is_right for path in files.paths]
    return files if all(lacking) else RemoteFiles(files.table.where(lacking))
