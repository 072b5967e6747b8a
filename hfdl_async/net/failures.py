"""What ssl and the operating system raise, translated into our errors.

The one function for it; `foreign` has that for aiohttp. The foreign exception is chained without
its traceback: the frames below hold the headers and the URL of the request, secrets among them,
and a traceback with locals would print them.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

from hfdl_async.errors import HfdlError, LostConnectionError, UnsafeError
from hfdl_async.net.addresses import PrivateAddressError
from hfdl_async.net.headers import clean_text
from hfdl_async.net.urls import Origin

_NO_DESCRIPTORS = {errno.EMFILE, errno.ENFILE}
_NO_ROUTE = {errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL}
# A handshake that was cut off, not refused: the peer or the path went away.
_CUT_HANDSHAKE = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


def translate(
    error: BaseException, *, what: str, origin: Origin, connecting: bool = False
) -> HfdlError:
    """Return our error for *error*, which broke a request for *what* to *origin*.

    *connecting* tells of an error that does not tell itself that there was no connection yet.
    Raise the result `from quiet(error)`.
    """
    chain = _chain(error)
    site = origin.site
    if any(isinstance(link, PrivateAddressError) for link in chain):
        return private_target(what, site)
    if any(isinstance(link, OSError) and link.errno in _NO_DESCRIPTORS for link in chain):
        return LostConnectionError(
            f"{what}: no connection to {site}: too many open files",
            hint="raise the limit (`ulimit -n`), or use fewer connections with -t",
        )
    if refused := _tls_refusal(chain, connecting=connecting):
        return UnsafeError(
            f"{what}: the secure connection to {site} was refused: {clean_text(refused)}",
            hint="check the clock, the address and whether a proxy re-signs traffic here",
        )
    if _has(chain, socket.gaierror):
        return _unknown_host(chain, what, site)
    if isinstance(error, (asyncio.TimeoutError, TimeoutError)):
        late = "did not accept a connection in time" if connecting else "fell silent"
        return LostConnectionError(f"{what}: {site} {late}")
    if connecting:
        return LostConnectionError(f"{what}: cannot connect to {site}: {_reason(chain)}")
    if isinstance(error, EOFError):
        return LostConnectionError(f"{what}: {site} ended the answer before its last byte")
    return LostConnectionError(f"{what}: the connection to {site} broke: {_reason(chain)}")


def is_failure(error: BaseException | None) -> bool:
    """Return whether a stream that *error* ended has failed: one that is called off has not."""
    return error is not None and not isinstance(error, asyncio.CancelledError)


def quiet(error: BaseException) -> BaseException:
    """Return *error* fit to be chained: without tracebacks."""
    for link in _chain(error):
        link.__traceback__ = None
    return error


def private_target(what: str, site: str) -> UnsafeError:
    """Return the refusal of a redirect from a public Hub into a private network."""
    return UnsafeError(
        f"{what}: refused a redirect from the Hub to {site}, an address inside a private network",
        hint="if that is meant, pass --allow private-redirects",
    )


def unanswered(what: str, site: str) -> LostConnectionError:
    """Return the error of a connection that ended before the headers did."""
    return LostConnectionError(f"{what}: {site} closed the connection without an answer")


def _tls_refusal(chain: list[BaseException], *, connecting: bool) -> str | None:
    # aiohttp's own classes derive from these without their attributes: hence the `getattr`.
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            said: str | None = getattr(link, "verify_message", None)
            if said:
                return said
    if not (connecting and _has(chain, ssl.SSLError)):
        return None  # later than the handshake, a broken record is damage on the way like any other
    if _has(chain, _CUT_HANDSHAKE):
        return None
    reasons = (getattr(link, "reason", None) for link in chain if isinstance(link, ssl.SSLError))
    return next((reason for reason in reasons if reason), "the handshake failed")


def _unknown_host(chain: list[BaseException], what: str, site: str) -> LostConnectionError:
    codes = {link.errno for link in chain if isinstance(link, socket.gaierror)}
    # EAI_AGAIN: no name server could be reached; what a pulled cable looks like from here.
    if socket.EAI_AGAIN in codes:
        return LostConnectionError(
            f"{what}: no network, or no name server to ask for {site}",
            hint="check the connection to the internet",
        )
    return LostConnectionError(
        f"{what}: there is no host {site} (DNS)",
        hint="check the address and HF_ENDPOINT, and the connection to the internet",
    )


def _reason(chain: list[BaseException]) -> str:
    for link in reversed(chain):
        if isinstance(link, OSError) and link.errno is not None:
            if link.errno in _NO_ROUTE:
                return "no network, or no way to that host"
            return clean_text(link.strerror or errno.errorcode.get(link.errno, "I/O error"), 200)
    return clean_text(type(chain[0]).__name__, 200)


def _has(
    chain: list[BaseException], kind: type[BaseException] | tuple[type[BaseException], ...]
) -> bool:
    return any(isinstance(link, kind) for link in chain)


def _chain(error: BaseException) -> list[BaseException]:
    links: list[BaseException] = []
    todo: list[BaseException | None] = [error]
    while todo and len(links) < 20:
        link = todo.pop()
        if link is None or any(link is seen for seen in links):
            continue
        links.append(link)
        inner = getattr(link, "os_error", None)
        todo += [link.__context__, link.__cause__]
        todo.append(inner if isinstance(inner, BaseException) else None)
    return links
