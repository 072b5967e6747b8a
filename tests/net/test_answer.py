from __future__ import annotations

import pytest

from hfdl_async.core.model import ByteRange
from hfdl_async.errors import LostConnectionError
from hfdl_async.net.answer import (
    DRAIN_BYTES,
    Answer,
    Lent,
    Request,
    Timeouts,
    wire_headers,
)
from hfdl_async.net.urls import parse_url
from tests.net.wire import TOKEN

pytestmark = pytest.mark.anyio
URL = parse_url("https://cdn.example/x?sig=secret")


class Played(Answer):
    """An answer whose body is a list of chunks; an exception among them is raised."""

    def __init__(self, *chunks: bytes | Exception, length: str | None = None) -> None:
        super().__init__(Request(URL, "x"), 200)
        self.chunks = list(chunks)
        self.fields = {} if length is None else {"content-length": length}
        self.lent = 0
        self.closed = False

    def header(self, name: str) -> str | None:
        return self.fields.get(name.lower())

    def headers(self, name: str) -> list[str]:
        return [value for key, value in self.fields.items() if key == name.lower()]

    async def chunk(self, most_bytes: int | None = None) -> Lent:
        if not self.chunks:
            return Lent(b"")
        chunk = self.chunks.pop(0)
        if isinstance(chunk, Exception):
            raise chunk
        self.lent += 1
        return Lent(memoryview(chunk), self.release)

    def release(self) -> None:
        self.lent -= 1

    def close(self) -> None:
        self.closed = True


def test_a_body_may_be_silent_for_fifteen_seconds_at_most() -> None:
    assert Timeouts(read_seconds=60.0).body_seconds == 15.0
    assert Timeouts(read_seconds=5.0).body_seconds == 5.0


def test_a_request_shows_neither_its_token_nor_its_signature() -> None:
    request = Request(URL, "x", token=TOKEN)
    assert TOKEN not in repr(request)
    assert "secret" not in repr(request)


def test_a_token_goes_along_only_if_it_is_given() -> None:
    assert wire_headers(Request(URL, "x")) == {"Accept-Encoding": "identity"}
    assert wire_headers(Request(URL, "x", span=ByteRange(5, 10), token="t")) == {
        "Accept-Encoding": "identity",
        "Range": "bytes=5-9",
        "Authorization": "Bearer t",
    }


async def test_a_body_is_joined_up_to_its_limit_and_every_lease_given_back() -> None:
    answer = Played(b"abc", b"def", b"ghi")
    assert await answer.body(4) == b"abcde"
    assert answer.chunks == [b"ghi"]
    assert (answer.lent, answer.closed) == (0, True)


async def test_a_body_that_breaks_closes_the_answer() -> None:
    answer = Played(b"abc", LostConnectionError("gone"))
    with pytest.raises(LostConnectionError):
        await answer.body(100)
    assert (answer.lent, answer.closed) == (0, True)


@pytest.mark.parametrize("length", [None, str(DRAIN_BYTES + 1), "x"])
async def test_a_body_of_no_stated_short_length_is_not_drained(length: str | None) -> None:
    answer = Played(b"abc", length=length)
    await answer.drain()
    assert answer.chunks == [b"abc"]
    assert answer.closed


async def test_what_breaks_while_draining_is_of_no_interest() -> None:
    answer = Played(b"abc", LostConnectionError("gone"), length="9")
    await answer.drain()
    assert (answer.chunks, answer.closed) == ([], True)
