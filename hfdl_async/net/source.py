"""Bytes of files from a Hub: fits the engine's `Source` by shape.

Theory of operation. A file is *resolved* by one GET of its `/resolve/` address with the range of
whoever came first. The Hub either sends the bytes (then everybody asks there) or says where they
are; that location is remembered until shortly before its signature ends, and everybody asks there.
Whoever comes while a resolve is under way waits for it; if it is cancelled, the next in line
takes over. A location that refuses is forgotten once, by the first worker that notices.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio

from hfdl_async.core.model import ByteRange, RemoteFile, RequestCounts
from hfdl_async.errors import HfdlError, LinkRefusedError
from hfdl_async.net.answer import Answer
from hfdl_async.net.bodies import Coding, Identity, Steady, admit, unsatisfied
from hfdl_async.net.failures import is_failure
from hfdl_async.net.headers import http_date, signed_lifetime
from hfdl_async.net.hops import Kind
from hfdl_async.net.hub import Hub
from hfdl_async.net.redirects import REDIRECTS, Trail
from hfdl_async.net.refusals import MAX_ERROR_BYTES, not_a_hub, storage_reason
from hfdl_async.net.streams import Stream
from hfdl_async.net.urls import Url

RENEW_EARLY_SECONDS = 60.0  # a signed URL is not used in its last minute…
RENEW_EARLY_SHARE = 0.1  # …or in the last tenth of a shorter life
RETRY_LIFETIME_SECONDS = 30.0  # where nobody reads when the signature ends
REFUSALS = frozenset({400, 401, 403, 404, 410})  # how storage hosts say that a signature ended


@dataclass(frozen=True, slots=True, eq=False)
class Location:
    """Where a file's bytes are, until when (monotonic), and whether the token may go there."""

    url: Url
    until: float
    trusted: bool


@dataclass(slots=True)
class _Known:
    """What is known about one file just now."""

    location: Location | None = None
    direct: bool = False  # the Hub sends the bytes itself
    steady: Steady = field(default_factory=Steady)
    resolving: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))
    openers: int = 0
    failures: int = 0  # requests that broke and were not repeated yet


class HubSource:
    """The files of one commit of one repo; chunks have at most *chunk_bytes*, if that is said."""

    def __init__(self, hub: Hub, commit: str, *, chunk_bytes: int | None = None) -> None:
        self._hub = hub
        self._commit = commit
        self.chunk_bytes = chunk_bytes
        self._known: dict[str, _Known] = {}
        self.leased = 0

    def open(
        self, file: RemoteFile, span: ByteRange, *, whole: bool = False, fresh: bool = False
    ) -> Stream:
        """Ask for *span* of *file*; see `hfdl_async.engine.ports.Source.open`."""
        if not span:
            raise ValueError(f"{file.path}: nothing was asked for")
        return Stream(self, file, span, whole=whole, fresh=fresh)

    def requests(self) -> RequestCounts:
        """Return how many requests were made so far, those for the listing included."""
        return self._hub.requests()

    @property
    def contacted(self) -> bool:
        """Whether the Hub has answered anything at all."""
        return self._hub.contacted

    def note_silence(self, file: RemoteFile) -> None:
        """Note that a request for *file* failed that was called off."""
        self._known.setdefault(file.path, _Known()).failures += 1

    def describe_hold(self) -> str:
        """Return why nothing is sent just now, or an empty string."""
        return self._hub.hops.describe_hold()

    def quota(self) -> tuple[int, float] | None:
        """Return how many files the Hub lets us ask for still, and for how many seconds."""
        return self._hub.hops.quota("resolve")

    async def begin(
        self, file: RemoteFile, span: ByteRange, *, whole: bool, fresh: bool
    ) -> tuple[Answer, Coding]:
        """Return an answer whose body is *span* of *file*, and how to read it."""
        known = self._known.setdefault(file.path, _Known())
        known.openers += 1
        if known.failures:
            known.failures -= 1
            self._hub.hops.count_retry()
        try:
            asked = None if whole else span
            answer = await self._ask(known, file, asked, fresh)
            return answer, await self._admitted(known, answer, file, span, whole=whole)
        except BaseException as error:
            self.end(file, span, complete=False, failed=is_failure(error))
            raise

    def end(self, file: RemoteFile, span: ByteRange, *, complete: bool, failed: bool) -> None:
        """Note that one stream is over; forget files that were fetched in one piece."""
        known = self._known[file.path]
        known.openers -= 1
        known.failures += failed and not complete
        if complete and known.openers == 0 and len(span) == file.size_bytes:
            del self._known[file.path]

    async def _ask(
        self, known: _Known, file: RemoteFile, span: ByteRange | None, fresh: bool
    ) -> Answer:
        location = self._usable(known)
        if location is None and not known.direct:
            async with known.resolving:
                location = self._usable(known)
                if location is None and not known.direct:
                    answer = await self._resolve(known, file, span, fresh)
                    if answer is not None:
                        return answer
                    location = known.location
        if location is not None:
            return await self._fetch(known, location, file, span, fresh)
        answer = await self._resolve(known, file, span, fresh)
        if answer is not None:
            return answer
        assert known.location is not None
        return await self._fetch(known, known.location, file, span, fresh)

    def _usable(self, known: _Known) -> Location | None:
        location = known.location
        if location is not None and self._hub.clock.monotonic() >= location.until:
            known.location = None
        return known.location

    async def _resolve(
        self, known: _Known, file: RemoteFile, span: ByteRange | None, fresh: bool
    ) -> Answer | None:
        """Ask the Hub; return its answer if that has the bytes, else set the location.

        Raises:
            IntegrityError: the Hub now says something else about the file than its listing did.
            ProtocolError: it is not a Hub that answers.
        """
        trail = self._hub.trail_to(self._hub.file_url(self._commit, file.path), file.path)
        is_all = span is None or len(span) == file.size_bytes
        identity = Identity()
        answer = await self._hub.hops.send(trail, "resolve", span=span, fresh=fresh)
        while True:
            try:
                identity = identity.update(answer)
                identity.check(file, self._commit, trail.what)
                if answer.status in {200, 206} and identity.commit is None:
                    raise not_a_hub(
                        trail.what, answer.url.origin.site, "its answer names no commit"
                    )
            except HfdlError:
                answer.close()
                raise
            if answer.status not in REDIRECTS:
                break
            await self._hub.hops.step(trail, answer)
            if not trail.at_home and identity.commit is not None:
                self._remember(known, trail, answer, once=is_all)
                return None
            kind: Kind = "resolve" if "/resolve/" in trail.url.path else "data"
            answer = await self._hub.hops.send(trail, kind, span=span, fresh=fresh)
        if answer.status not in {200, 206, 416}:
            raise await self._hub.refused(answer, file.path)
        if trail.hops:
            self._remember(known, trail, answer, once=is_all)
        else:
            known.direct = True
        return answer

    def _remember(self, known: _Known, trail: Trail, answer: Answer, *, once: bool) -> None:
        clock = self._hub.clock
        known.direct = False
        if once:
            # One request brings the whole file; only a retry will ask there again.
            until = clock.monotonic() + RETRY_LIFETIME_SECONDS
            known.location = Location(trail.url, until, trail.trusted)
            return
        # Counted from the server's own clock, so that a wrong one here does not matter.
        server_time = http_date(answer.header("Date"))
        now = clock.time() if server_time is None else server_time
        lifetime = signed_lifetime(trail.url.exact, now=now)
        early = min(RENEW_EARLY_SECONDS, lifetime * RENEW_EARLY_SHARE)
        until = clock.monotonic() + lifetime - early
        known.location = Location(trail.url, until, trail.trusted)

    async def _fetch(
        self,
        known: _Known,
        location: Location,
        file: RemoteFile,
        span: ByteRange | None,
        fresh: bool,
    ) -> Answer:
        """Ask at a remembered location.

        Raises:
            LinkRefusedError: it is no good any more; it is forgotten.
        """
        trail = self._hub.trail_to(location.url, file.path, trusted=location.trusted)
        answer = await self._hub.hops.send(trail, "data", span=span, fresh=fresh)
        while answer.status in REDIRECTS:
            await self._hub.hops.step(trail, answer)
            answer = await self._hub.hops.send(trail, "data", span=span, fresh=fresh)
        if answer.status in REFUSALS:
            if known.location is location:
                known.location = None
            status, site = answer.status, answer.url.origin.site
            reason = storage_reason(await self._body_of(answer))
            raise LinkRefusedError(
                f"{trail.what}: {site} refused its address (HTTP {status}"
                f"{' ' + reason if reason else ''})",
                hint="run the same command again later: a fresh address was refused as well",
            )
        if answer.status not in {200, 206, 416}:
            raise await self._hub.refused(answer, file.path)
        return answer

    async def _body_of(self, answer: Answer) -> bytes:
        try:
            return await answer.body(MAX_ERROR_BYTES)
        except HfdlError:
            return b""

    async def _admitted(
        self, known: _Known, answer: Answer, file: RemoteFile, span: ByteRange, *, whole: bool
    ) -> Coding:
        try:
            if answer.status == 416:
                raise unsatisfied(answer, file)
            known.steady.check_total(answer)
            coding = admit(answer, file, span, whole=whole)
            known.steady.take(answer)
            return coding
        except HfdlError:
            answer.close()
            raise
