from __future__ import annotations

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hfdl_async.net.answer import MAX_FIELDS
from hfdl_async.net.heads import recognise

PLAIN = (
    b'HTTP/1.1 206 Partial Content\r\nContent-Length: 5\r\nEtag: "e"\r\nETag:two \r\n'
    b"X-Name: ol\xc3\xa9\xff\r\nEmpty:\r\n\r\n"
)
PIECES = [
    "HTTP/1.1", "HTTP/1.0", " 200", " 206 OK", " 99", "\r\n", "\n", "\r", ":", " ", "\t",
    "\x00", "\x0b", "Content-Length", "content-length", ": 5", ": 05", ": +5", ": 5, 5", ":5 ",
    "Transfer-Encoding", ": chunked", ": identity", "Connection", ": close", ": keep-alive, Close",
    "X-\xe9", "é", "\x7f", "a b",
]  # fmt: skip


def told_by_h11(data: bytes) -> h11.Response | None:
    talk = h11.Connection(h11.CLIENT)
    talk.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    talk.send(h11.EndOfMessage())
    talk.receive_data(data)
    try:
        event = talk.next_event()
    except h11.RemoteProtocolError:
        return None
    return event if isinstance(event, h11.Response) else None


def test_a_plain_head_says_what_it_says() -> None:
    head = recognise(PLAIN, MAX_FIELDS)
    assert head is not None
    assert (head.status, head.length, head.keep) == (206, 5, True)
    assert head.fields["etag"] == ['"e"', "two"]
    assert head.fields["x-name"] == ["olé\udcff"]
    assert head.fields["empty"] == [""]


@pytest.mark.parametrize("value", ["close", "Close", "x, close"])
def test_a_connection_that_will_close_is_not_kept(value: str) -> None:
    said = f"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: {value}\r\n\r\n"
    head = recognise(said.encode(), MAX_FIELDS)
    assert head is not None
    assert not head.keep


@pytest.mark.parametrize(
    "said",
    [
        "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 5\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\r\n folded\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\x00\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nBad Name: a\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 5\r\n\r\n",
    ],
)
def test_what_two_parsers_could_read_differently_is_not_plain(said: str) -> None:
    assert recognise(said.encode(), MAX_FIELDS) is None


def test_no_more_fields_are_taken_than_wanted() -> None:
    assert recognise(PLAIN, 5) is not None
    assert recognise(PLAIN, 4) is None


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
@example("Content-Length: 5\r\nConnection: close\r\nX: é")
def test_whatever_is_recognised_h11_reads_in_the_same_way(middle: str) -> None:
    said = f"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{middle}\r\n\r\n"
    data = said[: said.index("\r\n\r\n") + 4].encode()
    head = recognise(data, MAX_FIELDS)
    if head is not None:
        told = told_by_h11(data)
        assert told is not None
        assert told.status_code == head.status
        fields: dict[str, list[str]] = {}
        for name, value in told.headers:
            fields.setdefault(name.decode(), []).append(value.decode("utf-8", "surrogateescape"))
        assert fields == head.fields
