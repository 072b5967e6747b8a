"""From what the user typed to a plan that can be carried out: the part before the first byte.

The order: whose repo, which commit, which files, may we; then the folder: is it ours, what is in
it, do the names fit, is there room. Only when all of that is known is anything written.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import list2cmdline

import anyio

from hfdl_async.core.finding import Finding, Found
from hfdl_async.core.model import (
    Action,
    ListedFile,
    Listing,
    Plan,
    Problem,
    RemoteFile,
    RepoRef,
    RequestCounts,
)
from hfdl_async.core.names import find_problems
from hfdl_async.core.options import Options
from hfdl_async.core.planning import (
    Decisions,
    Selection,
    check_space,
    decide,
    is_risky,
    select,
    without_risky,
)
from hfdl_async.core.retry import Policy
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.lock import Holder
from hfdl_async.engine.ports import Clock
from hfdl_async.engine.tally import Tally
from hfdl_async.errors import (
    DownloadError,
    HfdlError,
    IntegrityError,
    NotFoundError,
    StorageError,
    UnsafeError,
)
from hfdl_async.net import reference
from hfdl_async.net.hub import Hub
from hfdl_async.net.source import HubSource
from hfdl_async.net.transport import Timeouts, Transport

MOST_NAMES_SHOWN = 20


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
    """Whose files, from where, into which folder; known without asking anybody."""

    repo: RepoRef
    files: tuple[str, ...]
    folder: Path
    options: Options


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan and everything that will carry it out."""

    plan: Plan
    folder: LocalDir
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
    return Target(parsed.repo, files, base.expanduser().absolute(), options)


class Preparation:
    """Makes the plan of one download; `tally` shows how far it is."""

    def __init__(self, request: Request, target: Target, services: Services, tally: Tally) -> None:
        self._request = request
        self._target = target
        self._services = services
        self._tally = tally
        self._options = target.options
        self._warnings: list[str] = []
        self._hub: Hub | None = None

    async def plan(self) -> Plan:
        """Return the plan and write nothing anywhere; problems are listed in it.

        Raises:
            HfdlError: there can be no plan: no access, no such repo, nothing selected.
        """
        started = self._services.clock.monotonic()
        folder = self._folder()
        repo, listing, files = await self._ask_the_hub(folder)
        problems = list(await self._name_problems(folder, files, may_write=False))
        try:
            await folder.identify(repo)
        except UnsafeError as error:
            problems.append(Problem(None, error.kind, error.message))
            return self._make(
                folder, repo, listing, Decisions((), (), (), ()), 0, problems, started
            )
        decisions = await self._look(folder, files)
        problems += decisions.problems
        free, total = await folder.space()
        plan = self._make(folder, repo, listing, decisions, free, problems, started)
        try:
            warning = self._check_space(plan, free, total)
        except StorageError as error:
            problem = Problem(None, error.kind, error.message)
            return replace(plan, problems=(*plan.problems, problem))
        return replace(plan, warnings=(*plan.warnings, *([warning] if warning else [])))

    async def prepare(
        self, stack: AsyncExitStack, on_wait: Callable[[Holder | None], None]
    ) -> Prepared:
        """Return a plan that can be carried out; *stack* holds the folder's lock from here on.

        Raises:
            HfdlError: something stands in the way; no content was asked for.
        """
        started = self._services.clock.monotonic()
        folder = self._folder()
        repo, listing, files = await self._ask_the_hub(folder)
        await self._identify(folder, repo)
        not_locked = await self._lock(folder, stack, on_wait)
        may_write = not_locked is None
        problems = await self._name_problems(folder, files, may_write=may_write)
        raise_problems(problems, self._target)
        if may_write and self._options.no_resume:
            await folder.forget_parts()
        decisions = await self._look(folder, files)
        raise_problems(decisions.problems, self._target)
        free, total = await folder.space()
        plan = self._make(folder, repo, listing, decisions, free, (), started)
        self._refuse_the_impossible(plan, not_locked)
        extra = [self._check_space(plan, free, total), await self._leftovers(folder, listing)]
        if may_write:
            await folder.begin(repo, listing, files)
            await folder.adopt(
                {file.path: self._findings[file.path] for file in decisions.adopt}, listing.commit
            )
        plan = replace(plan, warnings=(*plan.warnings, *filter(None, extra)))
        chunk_bytes = self._options.chunk_size_bytes
        source = (
            HubSource(self._hub, listing.commit, chunk_bytes=chunk_bytes) if self._hub else None
        )
        return Prepared(plan, folder, source)

    def _refuse_the_impossible(self, plan: Plan, not_locked: StorageError | None) -> None:
        needed = [item.file.path for item in plan.files if item.action is not Action.REUSE]
        fetched = [item.file.path for item in plan.files if item.action is Action.FETCH]
        if needed and not_locked is not None:
            raise not_locked
        if fetched and self._hub is None:
            raise NotFoundError(
                f"offline, and not here: {shorten(fetched)}",
                hint="unset HF_HUB_OFFLINE to download what is missing",
            )

    async def _leftovers(self, folder: LocalDir, listing: Listing) -> str | None:
        names = await folder.leftovers([file.path for file in listing.files])
        if not names:
            return None
        return f"of an older commit, and no longer in the repo: {shorten(names)}"

    def requests(self) -> RequestCounts:
        """Return how many requests were made so far."""
        return self._hub.requests() if self._hub else RequestCounts()

    # -- the hub ---------------------------------------------------------------------------

    async def _ask_the_hub(
        self, folder: LocalDir
    ) -> tuple[RepoRef, Listing, tuple[RemoteFile, ...]]:
        repo = self._target.repo
        if await anyio.to_thread.run_sync(reference.is_offline):
            listing = await self._stored_listing(folder, repo)
        else:
            self._hub = hub = await open_hub(repo, self._options, self._services)
            repo, commit = repo, self._request.pinned or ""
            if not commit:
                repo, commit = await hub.pin()
            listing = await hub.listing(commit, self._on_listed)
        selected = await self._select(repo, listing)
        if self._hub is not None:
            return repo, listing, await self._hub.measure(selected)
        return repo, listing, tuple(_as_remote(file) for file in selected)

    async def _stored_listing(self, folder: LocalDir, repo: RepoRef) -> Listing:
        stored = await folder.stored_listing(repo)
        if stored is None:
            raise NotFoundError(
                f"offline, and {folder.path} has nothing of {repo.repo_id} at {repo.revision}",
                hint="unset HF_HUB_OFFLINE to download it",
            )
        return stored

    def _on_listed(self, count: int) -> None:
        self._tally.listed_files = count

    async def _select(self, repo: RepoRef, listing: Listing) -> tuple[ListedFile, ...]:
        options, wanted = self._options, self._target.files
        included, excluded = await anyio.to_thread.run_sync(
            _match, [file.path for file in listing.files], options.include, options.exclude
        )
        selection = Selection(wanted, included, excluded)
        selected = select(listing, selection, repo=repo.repo_id)
        if options.safe_only:
            selected, left_out = without_risky(selected, wanted)
            if left_out:
                self._warn_of("left out by --safe-only", left_out)
            if not selected:
                raise NotFoundError(f"--safe-only leaves no file of {repo.repo_id}")
        elif risky := [file.path for file in selected if is_risky(file.path)]:
            self._warn_of("may run code when loaded", risky)
        return selected

    def _warn_of(self, what: str, paths: Sequence[str]) -> None:
        self._warnings.append(f"{what}: {shorten(paths)}")

    # -- the folder ------------------------------------------------------------------------

    def _folder(self) -> LocalDir:
        options = self._options
        return LocalDir(
            self._target.folder,
            link=options.link,
            follow_symlinks="symlinks" in options.allow,
        )

    async def _identify(self, folder: LocalDir, repo: RepoRef) -> None:
        try:
            await folder.identify(repo)
        except UnsafeError as error:
            raise UnsafeError(error.message, hint=self._other_folder(repo)) from error

    def _other_folder(self, repo: RepoRef) -> str:
        """Return the complete command that puts the same selection into a folder of its own."""
        target, options = self._target, self._options
        beside = target.folder.with_name(repo.repo_id.replace("/", "--"))
        if beside == target.folder:
            beside = target.folder.with_name(f"{beside.name}-2")
        prefix = "" if repo.repo_type == "model" else f"{repo.repo_type}s/"
        words = ["hfdl", f"{prefix}{repo.repo_id}", *target.files]
        if repo.revision != "main":
            words += ["--revision", repo.revision]
        for flag, patterns in (("--include", options.include), ("--exclude", options.exclude)):
            words += [word for pattern in patterns for word in (flag, pattern)]
        if options.safe_only:
            words.append("--safe-only")
        if options.endpoint:
            words += ["--endpoint", options.endpoint]
        words += ["--local-dir", str(beside)]
        return list2cmdline(words) if sys.platform == "win32" else shlex.join(words)

    async def _lock(
        self,
        folder: LocalDir,
        stack: AsyncExitStack,
        on_wait: Callable[[Holder | None], None],
    ) -> StorageError | None:
        """Take the folder for this run; returns why not when it cannot be written to.

        That may still be enough: everything asked for may be there already.
        """
        self._tally.phase = "waiting"
        try:
            lock = folder.lock(wait_seconds=self._options.wait_seconds, on_wait=on_wait)
            await stack.enter_async_context(lock)
        except StorageError as error:
            return error
        finally:
            self._tally.phase = "checking"
            self._tally.note = ""
        return None

    async def _name_problems(
        self, folder: LocalDir, files: Sequence[RemoteFile], *, may_write: bool
    ) -> tuple[Problem, ...]:
        naming = await folder.naming(may_write=may_write)
        return await anyio.to_thread.run_sync(find_problems, [file.path for file in files], naming)

    async def _look(self, folder: LocalDir, files: Sequence[RemoteFile]) -> Decisions:
        self._tally.phase = "checking"
        self._tally.listed_files = 0
        self._findings = await folder.survey(
            files, verify=self._options.verify, progress=self._on_checked
        )
        absent = [file for file in files if not _is_here(self._findings[file.path])]
        elsewhere = await folder.elsewhere(absent, self._options.reuse_from)
        return decide(files, self._findings, elsewhere, self._options, self._target.folder)

    def _on_checked(self, files: int) -> None:
        self._tally.listed_files = files

    # -- the plan --------------------------------------------------------------------------

    def _make(
        self,
        folder: LocalDir,
        repo: RepoRef,
        listing: Listing,
        decisions: Decisions,
        free: int,
        problems: Sequence[Problem],
        started: float,
    ) -> Plan:
        return Plan(
            repo=repo,
            commit=listing.commit,
            path=folder.path,
            files=decisions.files,
            disk_free=free,
            problems=tuple(problems),
            warnings=(*self._warnings, *decisions.warnings),
            requests=self.requests(),
            duration_seconds=self._services.clock.monotonic() - started,
        )

    def _check_space(self, plan: Plan, free: int, total: int) -> str | None:
        return check_space(
            plan.bytes_to_write,
            free,
            total,
            min_free_space=self._options.min_free_space_bytes,
            path=plan.path,
        )


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


def shorten(paths: Sequence[str]) -> str:
    """Return *paths* for a message: all of them, or the first few and how many more."""
    shown = ", ".join(paths[:MOST_NAMES_SHOWN])
    more = len(paths) - MOST_NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


_PROBLEM_ERRORS: dict[str, type[HfdlError]] = {
    "unsafe": UnsafeError,
    "storage": StorageError,
    "integrity": IntegrityError,
}
_PROBLEM_HINTS = {
    "unsafe": "--exclude leaves files out; --force replaces files that are in the way "
    "(--fix-broken those of ours that were changed)",
    "storage": "move what is in the way, or choose another folder with --local-dir",
    "integrity": "--fix-broken replaces what is bad",
}


def raise_problems(problems: Sequence[Problem], target: Target) -> None:
    """Raise one error that names all *problems*, if there are any."""
    errors = []
    for kind, error in _PROBLEM_ERRORS.items():
        mine = [problem for problem in problems if problem.kind == kind]
        if mine:
            named = [f"{problem.path}: {problem.message}" for problem in mine]
            text = f"{target.folder}: {len(mine)} refused: {'; '.join(named[:MOST_NAMES_SHOWN])}"
            if len(mine) > MOST_NAMES_SHOWN:
                text += f"; and {len(mine) - MOST_NAMES_SHOWN} more"
            errors.append(error(text, hint=_PROBLEM_HINTS[kind]))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise DownloadError("; ".join(error.message for error in errors), errors=errors)


def _match(
    paths: list[str], include: tuple[str, ...], exclude: tuple[str, ...]
) -> tuple[frozenset[str] | None, frozenset[str]]:
    """Return what `--include` matches (None when not given) and what `--exclude` matches."""
    included = frozenset(reference.matching(paths, include, ())) if include else None
    excluded = frozenset(reference.matching(paths, exclude, ())) if exclude else frozenset()
    return included, excluded


def _as_remote(file: ListedFile) -> RemoteFile:
    assert file.size_bytes is not None, "a stored listing has every size"
    return RemoteFile(file.path, file.size_bytes, file.digest)


def _is_here(finding: Finding) -> bool:
    return finding.state in (Found.FITS, Found.RIGHT)
