from __future__ import annotations

import errno
import socket
import ssl

import pytest

from hfdl_async.errors import HfdlError, LostConnectionError, UnsafeError
from hfdl_async.net.addresses import PrivateAddressError
from hfdl_async.net.failures import quiet, translate
from hfdl_async.net.urls import Origin

HUB = Origin("https", "hub.example", 443)
SECRET = "Signature=secret"


def bad_certificate() -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_message = "certificate has expired"
    return error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (TimeoutError(), LostConnectionError, "did not accept a connection in time"),
        (OSError(errno.ECONNREFUSED, "refused"), LostConnectionError, "cannot connect to hub"),
        (OSError(errno.ENETUNREACH, "unreachable"), LostConnectionError, "no network"),
        (OSError(errno.EMFILE, "x"), LostConnectionError, "too many open files"),
        (socket.gaierror(socket.EAI_NONAME, "x"), LostConnectionError, "there is no host"),
        (PrivateAddressError("x"), UnsafeError, "inside a private network"),
        (bad_certificate(), UnsafeError, "has expired"),
        (ssl.SSLError(1, "[SSL: X] wrong version"), UnsafeError, "was refused"),
        (ssl.SSLEOFError(8, "EOF occurred"), LostConnectionError, "cannot connect"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), LostConnectionError, "cannot connect"),
    ],
)
def test_what_fails_before_there_is_a_connection_is_told_so(
    error: BaseException, kind: type[HfdlError], words: str
) -> None:
    failure = translate(error, what="x", origin=HUB, connecting=True)
    assert type(failure) is kind
    assert words in failure.message


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (EOFError(), "before its last byte"),
        (TimeoutError(), "fell silent"),
        (ssl.SSLError(1, "bad record"), "broke: "),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "broke: reset"),
    ],
)
def test_what_breaks_a_body_is_a_lost_connection(error: BaseException, words: str) -> None:
    failure = translate(error, what="x", origin=HUB)
    assert type(failure) is LostConnectionError
    assert words in failure.message


def test_what_is_chained_shows_no_frames() -> None:
    def send(headers: dict[str, str]) -> None:
        raise OSError(5, "I/O error")

    def ask() -> None:
        try:
            send({"Authorization": SECRET})
        except OSError as error:
            raise translate(error, what="x", origin=HUB) from quiet(error)

    with pytest.raises(HfdlError) as caught:
        ask()
    assert caught.value.__cause__ is not None
    assert caught.value.__cause__.__traceback__ is None
