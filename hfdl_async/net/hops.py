"""Sending one request of a chain: token, guard, patience and counting in one place."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from hfdl_async.core.model import ByteRange, RequestCounts
from hfdl_async.net.answer import Answer, Request, Timeouts
from hfdl_async.net.quotas import Quotas
from hfdl_async.net.redirects import REDIRECTS, Credential, Trail
from hfdl_async.net.refusals import is_throttle, stated_wait
from hfdl_async.net.transport import Transport
from hfdl_async.net.urls import Origin

Kind = Literal["api", "resolve", "data"]


class Hops:
    """Requests on behalf of one endpoint."""

    def __init__(
        self,
        transport: Transport,
        endpoint: Origin,
        credential: Credential,
        *,
        timeouts: Timeouts,
        allow: Collection[str] = (),
    ) -> None:
        self.transport = transport
        self.endpoint = endpoint
        self.credential = credential
        self.contacted = False
        self._timeouts = timeouts
        self._private_ok = "private-redirects" in allow
        self._endpoint_inside: bool | None = None
        self._quotas: dict[Kind, Quotas] = {"api": Quotas(), "resolve": Quotas(), "data": Quotas()}
        self._counts = {"api": 0, "resolve": 0, "data": 0, "retried": 0}

    def requests(self) -> RequestCounts:
        """Return how many requests were made so far."""
        return RequestCounts(**self._counts)

    def count_retry(self) -> None:
        """Note that the next request repeats a failed one."""
        self._counts["retried"] += 1

    def quota(self, kind: Kind) -> tuple[int, float] | None:
        """Return how many more requests of *kind* are allowed, and for how many seconds.

        None while the server has not said so.
        """
        return self._quotas[kind].left(self.transport.clock.monotonic())

    def describe_hold(self) -> str:
        """Return why nothing is sent just now, or an empty string."""
        return self.transport.describe_hold(self.endpoint)

    def _count(self, kind: Kind) -> None:
        self._counts[kind] += 1

    async def send(
        self, trail: Trail, kind: Kind, *, span: ByteRange | None = None, fresh: bool = False
    ) -> Answer:
        """Ask where *trail* stands; the caller closes the answer, whatever its status.

        A token that the endpoint refuses is looked up anew, once.

        Raises:
            NetworkError, UnsafeError: as `Transport.get`.
        """
        answer = await self._once(trail, kind, span, fresh)
        # Compared with the answer's own token: another request may have renewed it already.
        if answer.status == 401 and await self.credential.renew(answer):
            answer.close()
            self.count_retry()
            answer = await self._once(trail, kind, span, fresh)
        return answer

    async def follow(self, trail: Trail, kind: Kind) -> Answer:
        """Ask, and follow redirects to the answer that is none."""
        answer = await self.send(trail, kind)
        while answer.status in REDIRECTS:
            await self.step(trail, answer)
            answer = await self.send(trail, kind)
        return answer

    async def step(self, trail: Trail, answer: Answer) -> None:
        """Move *trail* to where *answer* redirects; the answer is used up.

        Raises:
            ProtocolError, NetworkError, UnsafeError: as `Trail.follow`.
        """
        try:
            inside = self._private_ok or await self._is_inside(trail)
            trail.follow(answer.header("Location"), private_ok=inside)
        except BaseException:
            answer.close()
            raise
        await answer.drain()

    async def _once(self, trail: Trail, kind: Kind, span: ByteRange | None, fresh: bool) -> Answer:
        guarded = not (trail.at_home or self._private_ok or await self._is_inside(trail))
        request = Request(
            trail.url,
            trail.what,
            span=span,
            token=self.credential.token_for(trail),
            timeouts=self._timeouts,
            fresh=fresh,
            guarded=guarded,
            again=lambda: self._count(kind),
        )
        clock = self.transport.clock
        self._count(kind)
        sent_at = clock.monotonic()
        answer = await self.transport.get(request)
        origin = trail.url.origin
        self.contacted = self.contacted or trail.at_home
        self._quotas[kind].note(answer.header("RateLimit"), clock.monotonic())
        if is_throttle(answer):
            wait = stated_wait(answer, now=clock.time())
            self.transport.hold(origin, wait, sent_at=sent_at)
        elif answer.status < 500:
            self.transport.answered(origin)
        return answer

    async def _is_inside(self, trail: Trail) -> bool:
        """Return whether the endpoint itself is private: then so may be what it points at."""
        if self._endpoint_inside is None:
            self._endpoint_inside = await self.transport.leads_inside(
                self.endpoint, what=trail.what
            )
        return self._endpoint_inside
