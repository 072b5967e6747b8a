"""What the Hub knows of a repo: its commit, its files, their sizes. Native, patient, checked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio

from hfdl_async.core.filetable import (
    MASKED,
    NO_DIGEST,
    UNKNOWN_SIZE,
    FileTable,
    RemoteFiles,
    listed_files,
)
from hfdl_async.core.model import MIB, ByteRange, ListedFile, Listing, RepoRef, RequestCounts
from hfdl_async.core.retry import Policy, Streak, give_up, judge
from hfdl_async.errors import (
    GatedError,
    HfdlError,
    IntegrityError,
    NetworkError,
    ProtocolError,
    UnsafeError,
)
from hfdl_async.net.answer import Answer, Timeouts
from hfdl_async.net.chain import Body, Tree, parsed
from hfdl_async.net.endpoints import api_url, quoted, resolve_url
from hfdl_async.net.headers import clean_text, integer, next_link
from hfdl_async.net.holds import Clock
from hfdl_async.net.hops import Hops, Kind
from hfdl_async.net.listing import list_commit
from hfdl_async.net.pages import parse_commit
from hfdl_async.net.redirects import REDIRECTS, Credential, RefreshToken, Trail
from hfdl_async.net.refusals import Asked, is_html, not_a_hub, read_refusal
from hfdl_async.net.targets import valid_repo_id
from hfdl_async.net.transport import Transport
from hfdl_async.net.urls import Url, parse_url

MAX_INFO_BYTES = 128 * MIB  # repeats the name of every file: a million of them fit
MAX_PAGE_BYTES = 64 * MIB  # a page of 1,000 entries has 300 KiB; some mirrors do not page
MEASURE_AT_ONCE = 8
DEFAULT_POLICY, DEFAULT_TIMEOUTS = Policy(), Timeouts()

T = TypeVar("T")


class Hub:
    """One repo at one endpoint, asked as one user.

    Raises:
        UsageError: the token cannot be one.
        UnsafeError: the token would go over plain http to another machine.
    """

    def __init__(
        self,
        transport: Transport,
        repo: RepoRef,
        *,
        token: str | None = None,
        policy: Policy = DEFAULT_POLICY,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        allow: frozenset[str] = frozenset(),
        jitter: Callable[[], float] = lambda: 1.0,
        clock: Clock | None = None,
        refresh_token: RefreshToken | None = None,
    ) -> None:
        self.repo = repo
        self.allow = allow
        self.clock: Clock = clock or transport.clock
        self._policy = policy
        self._jitter = jitter
        self._commit: str | None = None
        origin = parse_url(repo.endpoint).origin
        credential = Credential(token, origin, allow=allow, refresh=refresh_token)
        self.hops = Hops(transport, origin, credential, timeouts=timeouts, allow=allow)

    @property
    def contacted(self) -> bool:
        """Whether the Hub has answered anything at all."""
        return self.hops.contacted

    def requests(self) -> RequestCounts:
        """Return how many requests were made so far, for whatever purpose."""
        return self.hops.requests()

    def asked(self, path: str | None = None) -> Asked:
        """Return what to say in messages about the repo, or about one file of it."""
        return Asked(self.repo, self.hops.credential.anonymous, path)

    def trail_to(self, url: Url, path: str | None = None, *, trusted: bool = True) -> Trail:
        """Return the start of a chain of redirects at *url*."""
        what = self.asked(path).subject
        return Trail(url, self.hops.endpoint, what=what, trusted=trusted)

    def file_url(self, commit: str, path: str) -> Url:
        """Return the address of one file of *commit*."""
        # Ours to the last character: there is nothing to parse.
        return Url(resolve_url(self.repo, commit, path), self.hops.endpoint)

    async def pin(self) -> tuple[RepoRef, str]:
        """Return the repo under its present name, and the commit its revision stands for.

        Raises:
            NotFoundError, AccessError: no such repo or revision, or not for us.
            NetworkError, UnsafeError: no usable answer.
        """
        repo, commit = await self.patiently(self._pin)
        self.repo, self._commit = repo, commit
        return repo, commit

    async def _pin(self) -> tuple[RepoRef, str]:
        url = parse_url(api_url(self.repo, f"revision/{quoted(self.repo.revision)}"))
        trail = self.trail_to(url)
        body, _ = await self._json(trail, MAX_INFO_BYTES)
        subject = self.repo.repo_id
        commit, name = await parsed(parse_commit, body, subject)
        # Only a redirect renames, and only at home: elsewhere the id is another Hub's.
        moved = trail.hops > 0 and trail.at_home and name is not None
        if moved and name != self.repo.repo_id:
            assert name is not None
            if not valid_repo_id(name):
                raise UnsafeError(f"{subject}: redirected to the odd name {clean_text(name)!r}")
            return replace(self.repo, repo_id=name), commit
        return self.repo, commit

    async def listing(
        self, commit: str, on_listed: Callable[[int], None] = lambda _: None
    ) -> Listing:
        """Return every file of *commit*; *on_listed* hears the running total after each page.

        Raises:
            ProtocolError: the listing is malformed, too long, or repeats itself.
            UnsafeError: it names a file twice, or goes on at another host.
            NotFoundError, AccessError, NetworkError: as `pin`.
        """
        self._commit = commit
        tree = Tree(self.repo, commit, self)
        return await list_commit(tree, on_listed, lambda: self.requests().retried > 0)

    async def fetch(self, url: Url) -> Body:
        """Return one page of a listing, asked for once; raises as `listing`."""
        began = self.clock.monotonic()
        content, answer = await self._json(self.trail_to(url), MAX_PAGE_BYTES)
        return Body(content, next_link(answer.headers("Link")), self.clock.monotonic() - began)

    async def _json(self, trail: Trail, limit: int) -> tuple[bytes, Answer]:
        answer = await self.hops.follow(trail, "api")
        if answer.status != 200:
            raise await self.refused(answer)
        site = answer.url.origin.site
        if is_html(answer):
            answer.close()
            raise not_a_hub(trail.what, site, "the answer is a web page")
        if answer.header("Content-Encoding") not in (None, "", "identity"):
            answer.close()
            raise ProtocolError(f"{trail.what}: {site} sent a compressed answer, unasked")
        body = await answer.body(limit)
        if len(body) > limit:
            raise ProtocolError(f"{trail.what}: {site} sent more than {limit // MIB} MiB")
        return body, answer

    async def refused(self, answer: Answer, path: str | None = None) -> HfdlError:
        """Return the error that *answer*, which is not the content, stands for; closes it."""
        return await read_refusal(answer, self.asked(path), now=self.clock.time())

    async def measure(self, files: Sequence[ListedFile]) -> RemoteFiles:
        """Return *files* of the last listing as they can be fetched and proven.

        Sizes that the listing left out are asked for, a few at a time.

        Raises:
            GatedError: the Hub hides the digests: access was not granted.
            IntegrityError: the endpoint publishes no digest.
            NotFoundError, AccessError, NetworkError: as `pin`.
        """
        table = listed_files(files).table
        self._check_provable(table)
        unsized = [row for row, size in enumerate(table.sizes) if size == UNKNOWN_SIZE]
        if not unsized:
            return RemoteFiles(table)
        sized = table.where([True] * len(table))  # the listing keeps its own
        failures: list[HfdlError] = []
        limiter = anyio.CapacityLimiter(MEASURE_AT_ONCE)

        async def one(row: int) -> None:
            try:
                async with limiter:
                    path = sized.paths[row]
                    sized.sizes[row] = await self.patiently(partial(self._size, path))
            except HfdlError as error:
                failures.append(error)
                group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            for row in unsized:
                group.start_soon(one, row)
        if failures:
            raise failures[0]
        return RemoteFiles(sized)

    def _check_provable(self, table: FileTable) -> None:
        kinds = table.marks()
        masked = table.first_with(MASKED) if MASKED in kinds else None
        if masked is not None:
            asked = self.asked(masked)
            login = ", then run `hf auth login` or pass --token" if asked.anonymous else ""
            raise GatedError(
                f"{asked.subject}: the Hub hides its digest: access is restricted",
                hint=f"ask for access on {asked.page}{login}",
                url=asked.page,
            )
        bare = table.first_with(NO_DIGEST) if NO_DIGEST in kinds else None
        if bare is not None and "unverified" not in self.allow:
            raise IntegrityError(
                f"{self.asked(bare).subject}: {self.repo.endpoint} publishes no digest, "
                "so nothing could be proven",
                hint="use another endpoint, or pass --allow unverified",
            )

    async def _size(self, path: str) -> int:
        """Ask for one byte of a file; the answer's headers say how many there are."""
        trail = self.trail_to(self.file_url(self._commit or self.repo.revision, path), path)
        kind: Kind = "resolve"
        while True:
            answer = await self.hops.send(trail, kind, span=ByteRange(0, 1))
            size = _stated_size(answer)
            if size is not None:
                answer.close()
                return size
            if answer.status not in REDIRECTS:
                break
            await self.hops.step(trail, answer)
            kind = "data"
        if answer.status in {200, 206, 416}:
            answer.close()
            raise ProtocolError(f"{trail.what}: {answer.url.origin.site} does not say its size")
        raise await self.refused(answer, path)

    async def patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Return what *attempt* does, tried again for as long as `core.retry` advises."""
        streak = Streak()
        began = self.clock.monotonic()
        while True:
            try:
                return await attempt()
            except NetworkError as error:
                streak = streak.after(error)
                silent = max(0.0, self.clock.monotonic() - began - streak.waited_seconds)
                delay = judge(
                    error,
                    streak,
                    self._policy,
                    contacted=self.contacted,
                    silent_seconds=silent,
                    jitter=self._jitter(),
                )
                if delay is None:
                    final = give_up(error, streak, silent_seconds=silent)
                    raise final from (None if final is error else error)
                self.hops.count_retry()
            await self.clock.sleep(delay)


def _stated_size(answer: Answer) -> int | None:
    """Return the size of the whole file as the headers of an answer to one byte state it."""
    linked = integer(answer.header("X-Linked-Size"))
    if linked is not None and answer.status < 400:
        return linked
    stated = answer.content_range
    if answer.status in {206, 416} and stated is not None:
        return stated.total
    encoded = answer.header("Content-Encoding") not in (None, "", "identity")
    if answer.status == 200 and not encoded and not is_html(answer):
        return answer.length
    return None
