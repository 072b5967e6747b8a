"""Following redirects by hand: where a chain may lead, and who may see the token on the way.

The token belongs to one origin, the endpoint's. The moment a chain leaves that origin the token
stays behind for the rest of the chain, even where the chain comes back: what is asked for then was
chosen by a stranger.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

import anyio

from hfdl_async.errors import NetworkError, ProtocolError, UnsafeError, UsageError
from hfdl_async.net.addresses import is_loopback, is_private
from hfdl_async.net.answer import Answer
from hfdl_async.net.failures import private_target
from hfdl_async.net.urls import Origin, Url, join_url

MAX_HOPS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})

RefreshToken = Callable[[], Awaitable["str | None"]]


class Trail:
    """One chain of redirects: where it stands, and whether it ever left the endpoint.

    *trusted* is only for a chain that goes on where an earlier one had stopped.
    """

    def __init__(self, start: Url, endpoint: Origin, *, what: str, trusted: bool = True) -> None:
        self.url = start
        self.endpoint = endpoint
        self.what = what
        self.trusted = trusted and start.origin == endpoint
        self.hops = 0
        self._seen = {start.exact}

    @property
    def at_home(self) -> bool:
        """Whether it stands at the endpoint's origin, come back to or never left."""
        return self.url.origin == self.endpoint

    def follow(self, location: str | None, *, private_ok: bool) -> None:
        """Take the next step, to *location* as the server wrote it.

        Raises:
            ProtocolError: there is no location.
            NetworkError: too many steps, or in a circle.
            UnsafeError: a step that nobody should take; see `hfdl_async.net.urls`.
        """
        here = self.url.origin
        if not location:
            raise ProtocolError(f"{self.what}: {here.site} redirects to nowhere")
        target, refusal = self._read(location)
        location = None  # it may hold a signature, and this frame may end up in a traceback
        if target is None:
            raise UnsafeError(f"{self.what}: {here.site} redirects: {refusal}")
        if here.scheme == "https" and target.origin.scheme == "http":
            raise UnsafeError(
                f"{self.what}: refused a redirect from {here} to unencrypted {target.origin}"
            )
        self.hops += 1
        if target.exact in self._seen:
            raise NetworkError(f"{self.what}: {here.site} redirects in a circle")
        if self.hops > MAX_HOPS:
            raise NetworkError(f"{self.what}: more than {MAX_HOPS} redirects")
        if not private_ok and is_private(target.origin.host):
            raise private_target(self.what, target.origin.site)
        self._seen.add(target.exact)
        self.trusted = self.trusted and target.origin == self.endpoint
        self.url = target

    def _read(self, location: str) -> tuple[Url | None, str]:
        try:
            return join_url(self.url, location), ""
        except UnsafeError as error:
            return None, error.message


class Credential:
    """The token of one endpoint, renewed at most once for each time it is refused.

    Neither `repr` nor an error shows it.

    Raises:
        UsageError: the token cannot be one.
        UnsafeError: it would go over plain http to another machine.
    """

    def __init__(
        self,
        token: str | None,
        endpoint: Origin,
        *,
        allow: Collection[str] = (),
        refresh: RefreshToken | None = None,
    ) -> None:
        self._token = token
        self._refresh = refresh
        self._refused: set[str] = set()
        self._lock = anyio.Lock()
        if token is not None and not _sendable(token):
            token = ""  # this frame may end up in a traceback
            raise UsageError(
                "the token has characters that no token has",
                hint="check HF_TOKEN or --token for spaces, line ends or quotes",
            )
        plain = endpoint.scheme == "http" and not is_loopback(endpoint.host)
        if token is not None and plain and "http-token" not in allow:
            token = ""
            raise UnsafeError(
                f"refused to send the token unencrypted to {endpoint.site}",
                hint="use https, or pass --allow http-token if that network is yours",
            )

    def __repr__(self) -> str:
        return f"Credential({'anonymous' if self._token is None else 'token hidden'})"

    @property
    def anonymous(self) -> bool:
        """Whether there is no token at all."""
        return self._token is None

    def token_for(self, trail: Trail) -> str | None:
        """Return the token if a request where *trail* stands may carry it."""
        return self._token if trail.trusted else None

    async def renew(self, answer: Answer) -> bool:
        """Look for another token now that *answer* refused its own; return whether to try again."""
        if answer.token is None:
            return False
        async with self._lock:
            if self._token != answer.token:
                return True  # somebody else has renewed it meanwhile
            if self._refresh is None or answer.token in self._refused:
                return False
            self._refused.add(answer.token)
            found = await self._refresh()
            if not found or found == answer.token or not _sendable(found):
                return False
            self._token = found
            return True


def _sendable(token: str) -> bool:
    return bool(token) and token.isascii() and token.isprintable() and " " not in token
