from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import traceback

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey

from hfdl_async.errors import (
    HfdlError,
    LostConnectionError,
    NetworkError,
    ProtocolError,
    UnsafeError,
)
from hfdl_async.net.addresses import PrivateAddressError
from hfdl_async.net.foreign import quiet_foreign, translate_foreign
from hfdl_async.net.urls import Origin

HUB = Origin("https", "hub.example", 443)
# How many fields follow the first four depends on the version of aiohttp.
KEY = ConnectionKey("hub.example", 443, True, True, *[None] * (len(ConnectionKey._fields) - 4))
SECRET = "Signature=secret"


def bad_certificate() -> aiohttp.ClientConnectorCertificateError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return aiohttp.ClientConnectorCertificateError(KEY, error)


def malformed() -> aiohttp.ClientResponseError:
    url = __import__("yarl").URL(f"https://hub.example/x?{SECRET}")
    info = aiohttp.RequestInfo(url, "GET", {"Authorization": SECRET}, url)  # type: ignore[arg-type]
    return aiohttp.ClientResponseError(info, (), status=400, message="Bad status line")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(socket.EAI_NONAME, "x")),
            LostConnectionError,
            "there is no host hub.example",
        ),
        (
            aiohttp.ClientConnectorDNSError(KEY, socket.gaierror(socket.EAI_AGAIN, "x")),
            LostConnectionError,
            "no network",
        ),
        (
            aiohttp.ClientConnectorError(KEY, OSError(errno.ENETUNREACH, "unreachable")),
            LostConnectionError,
            "no network",
        ),
        (
            aiohttp.ClientConnectorError(KEY, OSError(errno.ECONNREFUSED, "refused")),
            LostConnectionError,
            "cannot connect to hub.example: refused",
        ),
        (
            aiohttp.ClientConnectorError(KEY, OSError(errno.EMFILE, "Too many open files")),
            LostConnectionError,
            "too many open files",
        ),
        (
            aiohttp.ClientConnectorDNSError(KEY, OSError(errno.ENFILE, "x")),
            LostConnectionError,
            "too many open files",
        ),
        (bad_certificate(), UnsafeError, "hub.example was refused: certificate has expired"),
        (
            aiohttp.ClientConnectorSSLError(KEY, ssl.SSLError(1, "[SSL: X] wrong version")),
            UnsafeError,
            "secure connection to hub.example was refused",
        ),
        (
            aiohttp.ClientConnectorSSLError(KEY, ssl.SSLEOFError(8, "EOF occurred")),
            LostConnectionError,
            "cannot connect",
        ),
        (
            aiohttp.ClientConnectorDNSError(KEY, PrivateAddressError("x")),
            UnsafeError,
            "inside a private network",
        ),
        (malformed(), ProtocolError, "did not answer in HTTP"),
        (aiohttp.ServerDisconnectedError(), LostConnectionError, "closed the connection"),
        (aiohttp.ClientPayloadError("x"), LostConnectionError, "before its last byte"),
        (aiohttp.SocketTimeoutError("x"), LostConnectionError, "fell silent"),
        (aiohttp.ConnectionTimeoutError("x"), LostConnectionError, "did not accept"),
        (asyncio.TimeoutError(), LostConnectionError, "fell silent"),
        (aiohttp.ClientOSError(errno.ECONNRESET, "reset"), LostConnectionError, "broke: reset"),
        (RuntimeError("Connection closed."), LostConnectionError, "broke: RuntimeError"),
        (aiohttp.InvalidURL(f"https://h?{SECRET}"), NetworkError, "cannot be used"),
    ],
)  # fmt: skip
def test_each_failure_becomes_the_error_that_says_what_to_do(
    error: BaseException, kind: type[HfdlError], words: str
) -> None:
    failure = translate_foreign(error, what="a.bin of org/name", origin=HUB)
    assert type(failure) is kind
    assert failure.message.startswith("a.bin of org/name: ")
    assert words in failure.message


def test_what_is_chained_shows_neither_frames_nor_addresses() -> None:
    def send(headers: dict[str, str], error: BaseException) -> None:
        raise error

    timeout = aiohttp.ConnectionTimeoutError(f"Connection timeout to host https://h/?{SECRET}")
    for error in (malformed(), timeout, aiohttp.InvalidURL(SECRET), OSError(5, "I/O error")):
        try:
            try:
                send({"Authorization": SECRET}, error)
            except (aiohttp.ClientError, OSError) as caught:
                failure = translate_foreign(caught, what="x", origin=HUB)
                raise failure from quiet_foreign(caught)
        except HfdlError as failure:
            # The frame of this very test would show the list of errors: only what was chained.
            chained = failure.__cause__ or failure.__context__
            assert chained is error
            assert chained.__traceback__ is None
            shown = "".join(traceback.format_exception(failure))
            assert SECRET not in shown
