"""From what the user typed to a plan that can be carried out: the part before the first byte.

The order: whose repo, which commit, which files, may we; then the folder: is it ours, what is in
it, do the names fit, is there room. Only when all of that is known is anything written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import anyio

from hfdl_async.asking import Inquiry, Services, not_here
from hfdl_async.core.filetable import RemoteFiles, paths_of
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
from hfdl_async.core.names import find_problems
from hfdl_async.core.planning import NOTHING_TO_DO, Decisions, check_space, decide
from hfdl_async.destination import Destination, choose
from hfdl_async.disk.lock import Holder
from hfdl_async.engine.tally import Tally
from hfdl_async.errors import BusyError, HfdlError, StorageError, UnsafeError
from hfdl_async.net.source import HubSource
from hfdl_async.refusing import other_folder_command, raise_problems, shorten
from hfdl_async.target import Request, Target


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan and everything that will carry it out."""

    plan: Plan
    listing: Listing
    place: Destination
    source: HubSource | None


class Preparation:
    """Makes the plan of one download; `tally` shows how far it is.

    What is known so far of a preparation that fails: `repo`, `commit`, `warnings`. *place* is where
    the files go, if that is not to be chosen.
    """

    def __init__(
        self,
        request: Request,
        target: Target,
        services: Services,
        tally: Tally,
        *,
        place: Destination | None = None,
    ) -> None:
        self._target = target
        self._services = services
        self._tally = tally
        self._options = options = target.options
        self._folder = place or choose(target.repo, target.folder, target.cache, options)
        self._started = services.clock.monotonic()
        self._warnings = list(options.warnings)
        self._waited = False
        self._inquiry = Inquiry(
            target, self._folder, services, tally, pinned=request.pinned, warn=self._warn_of
        )

    @property
    def repo(self) -> RepoRef:
        """Whose files they are, by the name that the Hub knows."""
        return self._inquiry.repo

    @property
    def commit(self) -> str | None:
        """The commit, as soon as it is known."""
        return self._inquiry.commit

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
        return self._inquiry.requests()

    async def plan(self) -> Plan:
        """Return the plan and write nothing anywhere; problems are listed in it.

        Raises:
            HfdlError: there can be no plan: no access, no such repo, nothing selected.
        """
        listing, files = await self._inquiry.ask()
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
        listing, files = await self._inquiry.ask()
        await self._identify()  # before anything of ours gets into somebody else's folder
        not_locked = await self._lock(stack, on_wait, files)
        if self._waited and await self._inquiry.has_moved():
            # Whoever held the lock may have brought what came since: never go back from that.
            listing, files = await self._inquiry.ask()
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
        hub = self._inquiry.hub
        source = HubSource(hub, listing.commit, chunk_bytes=chunk_bytes) if hub else None
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
        if self._inquiry.hub is None:
            fetched = [item.file.path for item in plan.files if item.action is Action.FETCH]
            if fetched:
                raise not_here(fetched)

    def _warn_of(self, what: str, paths: Sequence[str]) -> None:
        warning = f"{what}: {shorten(paths)}"
        if paths and warning not in self._warnings:
            self._warnings.append(warning)

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

        def note_wait(holder: Holder | None) -> None:
            self._waited = True
            on_wait(holder)

        folder, wait_seconds = self._folder, self._options.wait_seconds
        try:
            if folder.may_be_read_while_busy:
                try:
                    await stack.enter_async_context(folder.lock(wait_seconds=0))
                    return None
                except BusyError as busy:
                    if await self._is_all_here(files):
                        return busy
            await stack.enter_async_context(
                folder.lock(wait_seconds=wait_seconds, on_wait=note_wait)
            )
        except StorageError as error:
            return error
        finally:
            self._tally.phase = "checking"
            self._tally.note = ""
        return None

    async def _is_all_here(self, files: RemoteFiles) -> bool:
        """Return whether there is nothing to do, so that nobody need wait for the folder."""
        if self._target.wants_proof or self._options.no_resume:
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

    def _on_listed(self, count: int) -> None:
        self._tally.listed_files = count

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


def _without_right(files: RemoteFiles, findings: Mapping[str, Finding]) -> RemoteFiles:
    """Return the files whose content is not in place."""
    lacking = [not findings[path].is_right for path in files.paths]
    return files if all(lacking) else RemoteFiles(files.table.where(lacking))
