"""One way to send a request, and the two roads it may take.

What is answered in the plainest form goes over the `lane`, all else over `sessions`; see decision
0005. What comes back is an `Answer` whose body is read chunk by chunk; everything that can break is
translated into our errors.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

import anyio

from hfdl_async.core.model import KIB, MIB
from hfdl_async.core.options import MEMORY_BYTES
from hfdl_async.net.addresses import Resolver, guarded
from hfdl_async.net.answer import Answer, Request
from hfdl_async.net.buffers import Reads
from hfdl_async.net.failures import private_target, quiet, translate
from hfdl_async.net.holds import Clock, Holds
from hfdl_async.net.lane import Lane
from hfdl_async.net.reference import user_agent
from hfdl_async.net.urls import Origin

if TYPE_CHECKING:
    from hfdl_async.net.sessions import Sessions

SOCKET_BUFFERS_BYTES = 16 * MIB  # of all connections together; each may hold twice its share


class Transport:
    """The connections of a downloader. An async context manager.

    Args:
        clock: time and waiting.
        connections: how many are wanted at most; decides how large a buffer is.
        memory_bytes: for the buffers of all of them together.
        on_hold: called with a host and the seconds nothing will be sent to it.
        resolver: how names become addresses.
        tls: which certificates are believed; None for the system's.
        user_agent: how to be introduced, if not as what we are.
        lane: whether the lane is used at all.
    """

    def __init__(
        self,
        clock: Clock,
        connections: int = 64,
        *,
        memory_bytes: int = MEMORY_BYTES,
        on_hold: Callable[[str, float], None] | None = None,
        resolver: Resolver | None = None,
        tls: ssl.SSLContext | None = None,
        user_agent: str | None = None,
        lane: bool = True,
    ) -> None:
        self.clock = clock
        self._connections = connections
        self._memory_bytes = memory_bytes
        self._reads = Reads()
        self._holds = Holds(clock, on_hold)
        self._resolver = resolver
        self._tls = tls
        self._user_agent = user_agent
        self._with_lane = lane
        self._lane: Lane | None = None
        self._sessions: Sessions | None = None

    async def __aenter__(self) -> Transport:
        self._resolver = self._resolver or Resolver(self.clock)
        self._user_agent = self._user_agent or user_agent()
        if self._with_lane:
            self._lane = self._open_lane(self._resolver, self._user_agent)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for road in (self._lane, self._sessions):
            if road is not None:
                await road.close()
        self._lane = self._sessions = None

    def limit_reads(self, most_bytes: int | None, ahead_bytes: int | None) -> None:
        """Read at most *most_bytes* at once, and let a peer send *ahead_bytes* ahead; None: any."""
        self._reads.most_bytes, self._reads.ahead_bytes = most_bytes, ahead_bytes
        if self._lane is not None:
            self._lane.limit_ahead()

    async def get(self, request: Request) -> Answer:
        """Send *request* once its origin is not held; return when the headers are here.

        Raises:
            RateLimitedError: the origin is held for longer than a person would wait.
            LostConnectionError, ProtocolError: no usable answer; worth another try.
            UnsafeError: the certificate was refused, or a guarded name leads inside.
        """
        if request.guarded:
            await self._check_target(request)
        await self._holds.wait(request.url.origin)  # last: a look-up takes time, too
        mark = guarded.set(request.guarded)
        try:
            if self._lane is not None and self._lane.serves(request):
                if (answer := await self._lane.get(request)) is not None:
                    return answer
                request.again()
            if self._sessions is None:
                self._sessions = self._open_sessions()
            return await self._sessions.get(request)
        finally:
            guarded.reset(mark)

    def _open_lane(self, resolver: Resolver, user_agent: str) -> Lane:
        return Lane(
            resolver,
            tls=self._trusted,
            user_agent=user_agent,
            connections=self._connections,
            memory_bytes=self._memory_bytes,
            wait=self._holds.wait,
            reads=self._reads,
        )

    def _open_sessions(self) -> Sessions:
        from hfdl_async.net.sessions import Sessions  # aiohttp takes a tenth of a second to load

        assert self._resolver is not None, "used outside of its context"
        assert self._user_agent is not None
        share = SOCKET_BUFFERS_BYTES // max(1, self._connections)
        return Sessions(
            self._resolver,
            tls=self._tls,
            user_agent=self._user_agent,
            buffer_bytes=min(max(share, 64 * KIB), 256 * KIB),
            reads=self._reads,
        )

    async def _trusted(self) -> ssl.SSLContext:
        """Return what certificates are believed; reading the system's takes a while."""
        if self._tls is None:
            self._tls = await anyio.to_thread.run_sync(_system_trust)
        return self._tls

    async def _check_target(self, request: Request) -> None:
        # Before a pooled connection could be taken, which looks up nothing.
        assert self._resolver is not None
        origin = request.url.origin
        try:
            inside = await self._resolver.leads_inside(origin.host, origin.port)
        except OSError as error:
            raise translate(error, what=request.what, origin=origin) from quiet(error)
        if inside:
            raise private_target(request.what, origin.site)

    async def leads_inside(self, origin: Origin, *, what: str) -> bool:
        """Return whether *origin* lies in a private network or on this machine.

        Raises:
            LostConnectionError: its name could not be looked up.
        """
        assert self._resolver is not None
        try:
            return await self._resolver.leads_inside(origin.host, origin.port)
        except OSError as error:
            raise translate(error, what=what, origin=origin) from quiet(error)

    def hold(self, origin: Origin, seconds: float | None, *, sent_at: float) -> float:
        """Send nothing to *origin* for *seconds* (None: a growing wait); see `Holds.hold`."""
        return self._holds.hold(origin, seconds, sent_at=sent_at)

    def answered(self, origin: Origin) -> None:
        """Note that *origin* answered as it should."""
        self._holds.answered(origin)

    def describe_hold(self, hub: Origin | None = None) -> str:
        """Return why nothing is sent just now, or an empty string; *hub* is called so."""
        return self._holds.describe(hub)


def _system_trust() -> ssl.SSLContext:
    """Return what aiohttp makes for itself: the system's certificates, and HTTP/1.1 only."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context
