"""What aiohttp raises, translated into our errors; what lies below it is left to `failures`."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from hfdl_async.errors import HfdlError, NetworkError, ProtocolError
from hfdl_async.net.failures import quiet, translate, unanswered
from hfdl_async.net.urls import Origin

FOREIGN = (aiohttp.ClientError, HttpProcessingError, OSError, asyncio.TimeoutError)
# A bare RuntimeError says "connection closed" when a body is read after its transport went away.
FOREIGN_IN_BODY = (*FOREIGN, RuntimeError)

_BEFORE_A_CONNECTION = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
# "Connection timeout to host <the whole URL>", and two that print the request.
_TELLING = (aiohttp.ConnectionTimeoutError, aiohttp.ClientResponseError, aiohttp.InvalidURL)


def translate_foreign(error: BaseException, *, what: str, origin: Origin) -> HfdlError:
    """Return our error for *error*, which broke a request for *what* to *origin*.

    Raise the result `from quiet_foreign(error)`.
    """
    if isinstance(error, (aiohttp.ClientResponseError, HttpProcessingError)):
        return ProtocolError(
            f"{what}: {origin.site} did not answer in HTTP",
            hint="is it the right address and port?",
        )
    if isinstance(error, aiohttp.InvalidURL):
        return NetworkError(f"{what}: the address of {origin.site} cannot be used")
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return unanswered(what, origin.site)
    if isinstance(error, aiohttp.ClientPayloadError):
        return translate(EOFError(), what=what, origin=origin)
    connecting = isinstance(error, _BEFORE_A_CONNECTION)
    return translate(error, what=what, origin=origin, connecting=connecting)


def quiet_foreign(error: BaseException) -> BaseException | None:
    """Return *error* fit to be chained, and None where its text has a URL; see `failures.quiet`."""
    silenced = quiet(error)
    return None if isinstance(error, _TELLING) else silenced
