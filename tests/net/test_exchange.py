from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.model import ByteRange
from hfdl_async.net.answer import Request
from hfdl_async.net.exchange import MAX_TOLD_BYTES, Exchange
from hfdl_async.net.urls import parse_url
from tests.net.wire import reply

SIGNED = "/p/a%7Eb?sig=%2F~'()*+%2B&x=%7E;y"
HEAD = b'HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nETag: "e"\r\nEtag: two\r\n\r\n'


def asked(url: str = "http://host/x") -> tuple[Exchange, bytes]:
    exchange = Exchange()
    return exchange, exchange.request(Request(parse_url(url), "x", span=ByteRange(0, 5)), "me/1")


def heard(*pieces: bytes) -> Exchange:
    exchange, _ = asked()
    for piece in pieces:
        for start in range(0, len(piece), 16_384):
            exchange.hear(piece[start : start + 16_384])
    return exchange


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("http://Host.example", "host.example"),
        ("http://host:80", "host"),
        ("http://host:8080", "host:8080"),
        ("https://host:443", "host"),
        ("https://host:80", "host:80"),
        ("http://[2001:DB8::1]:8080", "[2001:db8::1]:8080"),
        ("https://[::1]", "[::1]"),
        ("https://host.example.", "host.example"),
    ],
)
def test_the_request_is_exact(origin: str, host: str) -> None:
    _, said = asked(origin + SIGNED)
    assert said.decode().split("\r\n") == [
        f"GET {SIGNED} HTTP/1.1",
        f"Host: {host}",
        "User-Agent: me/1",
        "Accept: */*",
        "Accept-Encoding: identity",
        "Range: bytes=0-4",
        "",
        "",
    ]


def test_content_is_a_status_fields_and_a_length() -> None:
    exchange = heard(HEAD)
    assert (exchange.settled, exchange.odd, exchange.told) == (True, False, None)
    assert (exchange.status, exchange.length, exchange.rest) == (206, 5, b"")
    assert exchange.fields["etag"] == ['"e"', "two"]
    assert exchange.keep


@given(st.lists(st.integers(0, len(HEAD) + 3), max_size=6))
def test_it_does_not_matter_how_a_head_falls_into_pieces(cuts: list[int]) -> None:
    data, exchange = HEAD + b"abc", asked()[0]
    marks = [0, *sorted(cuts), len(data)]
    rest = b""
    for start, stop in pairwise(marks):
        if exchange.settled:
            rest += data[start:stop]
        elif start < stop:
            exchange.hear(data[start:stop])
    assert (exchange.length, exchange.rest + rest) == (5, b"abc")


@pytest.mark.parametrize("value", ["close", "Close", "x, close"])
def test_a_server_may_want_the_connection_closed(value: str) -> None:
    exchange = heard(reply(200, b"", Content_Length="5", Connection=value))
    assert exchange.settled
    assert not exchange.keep


ODD = {
    "chunked": reply(206, b"1\r\na\r\n0\r\n\r\n", Transfer_Encoding="chunked"),
    "encoded": reply(200, b"x", Content_Encoding="gzip"),
    "encoded as nothing": reply(200, b"x", Content_Encoding="identity"),
    "without a length": b"HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
    "a negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    "no HTTP": b"what?\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\nContent-Length: 5\r\n\r\n",
    "a switch of protocols": b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "too many fields": reply(200, b"x", **{f"X-{n}": "y" for n in range(300)}),
    "too large a head": reply(200, b"x", Location="y" * 100_000),
    "a field without a name": b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 5\r\n\r\n",
    "a blank in a name": b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
}


@pytest.mark.parametrize("case", ODD)
def test_whatever_is_not_plain_is_odd(case: str) -> None:
    exchange = heard(ODD[case])
    assert (exchange.settled, exchange.odd, exchange.keep) == (True, True, False)


@given(st.binary(max_size=300))
def test_no_bytes_of_a_server_are_too_much(data: bytes) -> None:
    exchange = heard(data, b"\r\n\r\n", data)
    assert exchange.odd or exchange.told is not None or exchange.length >= 0


def test_what_comes_before_the_answer_is_passed_over() -> None:
    assert heard(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", HEAD).status == 206


@pytest.mark.parametrize(
    "said",
    [
        reply(403, b"<Code>AccessDenied</Code>"),
        reply(403, b"19\r\n<Code>AccessDenied</Code>\r\n0\r\n\r\n", Transfer_Encoding="chunked"),
    ],
)
def test_another_answer_is_read_to_its_end_whatever_its_framing(said: bytes) -> None:
    half = len(said) // 2
    exchange = heard(said[:half], said[half:])
    assert (exchange.settled, exchange.odd, exchange.keep) == (True, False, True)
    assert (exchange.status, exchange.told) == (403, b"<Code>AccessDenied</Code>")


def test_an_answer_is_used_as_far_as_it_came() -> None:
    exchange = heard(b"HTTP/1.1 503 No\r\nRetry-After: 3\r\n\r\nbus")
    assert not exchange.settled
    assert exchange.cut()
    assert (exchange.status, exchange.told, exchange.keep) == (503, b"bus", False)


def test_without_a_status_nothing_is_enough() -> None:
    exchange = heard(b"HTTP/1.1 503")
    assert exchange.heard
    assert not exchange.cut()
    assert not exchange.settled


def test_damage_behind_a_refusal_does_not_change_it() -> None:
    exchange = heard(b"HTTP/1.1 403 No\r\nTransfer-Encoding: chunked\r\n\r\nzzz\r\n\r\n")
    assert (exchange.odd, exchange.status, exchange.keep) == (False, 403, False)


def test_an_answer_without_end_is_cut() -> None:
    exchange = heard(reply(500, b"x" * 1000, Content_Length="999999999"))
    while not exchange.settled:
        exchange.hear(b"x" * 16_384)
    assert MAX_TOLD_BYTES <= len(exchange.told or b"") < MAX_TOLD_BYTES + 16_384
    assert not exchange.keep


def test_bytes_behind_the_end_cost_the_connection() -> None:
    assert not heard(reply(403, b"x") + b"HTTP/1.1 200").keep


def test_a_request_that_is_no_line_of_http_is_not_sent() -> None:
    with pytest.raises(ValueError, match="not a line of HTTP"):
        Exchange().request(Request(parse_url("http://host/x"), "x"), "me/1\r\nX: y")
    with pytest.raises(ValueError, match="not a line of HTTP"):
        Exchange().request(Request(parse_url("http://host/x"), "x", token="sécret"), "me/1")
