"""Faults on the way of a body: cut, held, slowed, wrong in length, range or content."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Literal

from hfdl_async.serving.answer import Answer, Body, Call, ContentBody, Wire
from hfdl_async.serving.content import Piece
from hfdl_async.serving.damage import body_pieces, flip
from hfdl_async.testing.fault_answers import is_content, with_headers, without_header


def _wired(answer: Answer, **changes: object) -> Answer:
    return replace(answer, wire=replace(answer.wire or Wire(), **changes))  # type: ignore[arg-type]


def held(answer: Answer) -> bytes:
    """Return the body as bytes; for the small contents of tests."""
    body = answer.body
    if isinstance(body, bytes):
        return body
    assert isinstance(body, ContentBody)
    return b"".join(body.content.blocking_pieces())[body.start : body.stop]


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection (RST) after so many bytes of body; None: before the status line."""

    after: int | None = None

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the answer that ends so."""
        return _wired(answer, stop_after=-1 if self.after is None else self.after, stop_by="reset")


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection (FIN) after so many bytes of body; None: before the status line."""

    after: int | None = None

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the answer that ends so."""
        return _wired(answer, stop_after=-1 if self.after is None else self.after, stop_by="close")


@dataclass(frozen=True, slots=True)
class Stall:
    """Send nothing more after so many bytes of body, until the client leaves; None: nothing."""

    after: int | None = None

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the answer that stalls."""
        return _wired(answer, stop_after=-1 if self.after is None else self.after, stop_by="stall")


@dataclass(frozen=True, slots=True)
class Trickle:
    """Send the body at a crawl."""

    bytes_per_second: float = 1.0

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the slow answer."""
        return _wired(answer, rate_bytes_per_second=self.bytes_per_second)


@dataclass(frozen=True, slots=True)
class SlowHeaders:
    """Say nothing for a while before the status line."""

    seconds: float

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the late answer."""
        return _wired(answer, delay_seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class NoLength:
    """Send the body chunked, without a length; `after` cuts it before its last chunk."""

    after: int | None = None

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the answer without a length."""
        return _wired(answer, announce=None, stop_after=self.after, stop_by="close")


@dataclass(frozen=True, slots=True)
class IgnoreRange:
    """Answer a request for a range with 200 and everything."""

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the whole content."""
        body = answer.body
        if answer.status != 206 or not isinstance(body, ContentBody):
            return answer
        whole = ContentBody(body.content, 0, body.content.size)
        return replace(without_header(answer, "Content-Range"), status=200, body=whole)


@dataclass(frozen=True, slots=True)
class WrongRange:
    """Claim another range than the one that is sent; the body stays as it was asked for."""

    wrong: Literal["start", "stop", "total", "unit", "malformed", "missing"]

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the 206 with the false Content-Range."""
        body = answer.body
        if answer.status != 206 or not isinstance(body, ContentBody):
            return answer
        if self.wrong == "missing":
            return without_header(answer, "Content-Range")
        start, last, total = body.start, body.stop - 1, body.content.size
        claims = {
            "start": f"bytes {start + 1}-{last}/{total}",
            "stop": f"bytes {start}-{last + 1}/{total}",
            "total": f"bytes {start}-{last}/{total + 1}",
            "unit": f"lines {start}-{last}/{total}",
            "malformed": f"bytes {last}-{start}",
        }
        return with_headers(answer, {"Content-Range": claims[self.wrong]})


@dataclass(frozen=True, slots=True)
class ShiftedRange:
    """Send, and truthfully announce, a range that begins elsewhere than asked."""

    by: int = 1

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the other range."""
        body = answer.body
        if answer.status != 206 or not isinstance(body, ContentBody):
            return answer
        start = min(max(0, body.start + self.by), body.stop - 1)
        where = f"bytes {start}-{body.stop - 1}/{body.content.size}"
        shifted = ContentBody(body.content, start, body.stop)
        return replace(with_headers(answer, {"Content-Range": where}), body=shifted)


@dataclass(frozen=True, slots=True)
class OkWithContentRange:
    """Answer a range rightly, but with status 200."""

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the 206 as a 200."""
        return replace(answer, status=200) if answer.status == 206 else answer


@dataclass(frozen=True, slots=True)
class Longer:
    """Send more than was asked; `announced`: and say so in Content-Length."""

    extra_bytes: int = 1
    announced: bool = True

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the answer with more at its end."""
        if not is_content(answer):
            return answer
        longer = replace(answer, body=_Padded(answer.body, answer.length, self.extra_bytes))
        return longer if self.announced else _wired(longer, announce=answer.length)


@dataclass(frozen=True, slots=True)
class Shorter:
    """Send less than was asked; `announced`: and say so in Content-Length."""

    missing_bytes: int = 1
    announced: bool = True

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the answer with less at its end."""
        kept = answer.length - self.missing_bytes
        if not is_content(answer) or kept < 0:
            return answer
        if not self.announced:
            return _wired(answer, stop_after=kept, stop_by="close")
        body = answer.body
        if isinstance(body, bytes):
            return replace(answer, body=body[:kept])
        assert isinstance(body, ContentBody)
        return replace(answer, body=ContentBody(body.content, body.start, body.start + kept))


@dataclass(frozen=True, slots=True)
class Endless:
    """Send zeros for ever after the body, without a length."""

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the answer that does not end."""
        return _wired(
            replace(answer, body=_Padded(answer.body, answer.length, 1 << 62)), announce=None
        )


@dataclass(frozen=True, slots=True)
class FlipByte:
    """Invert the byte at this offset of the file, whenever a body covers it."""

    offset: int = 0

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the damaged content."""
        return flip(answer, self.offset)


@dataclass(frozen=True, slots=True)
class Encoded:
    """Compress content though nobody asked; `identity` only names a coding that is none."""

    coding: Literal["gzip", "identity"] = "gzip"

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the encoded content."""
        if not is_content(answer):
            return answer
        encoded = with_headers(answer, {"Content-Encoding": self.coding})
        if self.coding == "identity":
            return encoded
        return replace(encoded, body=gzip.compress(held(answer), mtime=0))


@dataclass(frozen=True, slots=True)
class _Padded:
    body: bytes | Body
    before: int
    extra: int

    @property
    def length(self) -> int:
        return self.before + self.extra

    async def pieces(self) -> AsyncIterator[Piece]:
        async for piece in body_pieces(self.body):
            yield piece
        zeros, left = bytes(64 * 1024), self.extra
        while left:
            yield zeros[: min(left, len(zeros))]
            left -= min(left, len(zeros))
