"""One wrong byte on the wire: what the demo and the simplest of all faults need."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from hfdl_async.serving.answer import Answer, Body, Call, ContentBody
from hfdl_async.serving.content import Piece


def start_of(answer: Answer) -> int:
    """Return where in its content the body of *answer* begins."""
    return answer.body.start if isinstance(answer.body, ContentBody) else 0


async def body_pieces(body: bytes | Body) -> AsyncIterator[Piece]:
    """Yield the bytes of any body."""
    if isinstance(body, bytes):
        yield body
    else:
        async for piece in body.pieces():
            yield piece


@dataclass(frozen=True, slots=True)
class FlippedBody:
    """A body of *length* bytes whose byte at *place* is inverted."""

    body: bytes | Body
    length: int
    place: int

    async def pieces(self) -> AsyncIterator[Piece]:
        """Yield the bytes, one of them wrong."""
        offset = 0
        async for piece in body_pieces(self.body):
            within = self.place - offset
            offset += len(piece)
            if 0 <= within < len(piece):
                damaged = bytearray(piece)
                damaged[within] ^= 0xFF
                yield bytes(damaged)
            else:
                yield piece


def flip(answer: Answer, offset: int) -> Answer:
    """Return *answer* with the byte at *offset* of its file inverted, or itself without it."""
    within = offset - start_of(answer)
    carries_content = answer.status in (200, 206) and "ETag" in answer.headers
    if not carries_content or not 0 <= within < answer.length:
        return answer
    return replace(answer, body=FlippedBody(answer.body, answer.length, within))


@dataclass(slots=True)
class Flipper:
    """A hook that inverts one byte of the files whose path matches: *times* times, or always."""

    path: str
    offset: int
    times: int | None = None

    @property
    def active(self) -> bool:
        """Whether it still has something to do."""
        return self.times is None or self.times > 0

    def alter(self, call: Call, answer: Answer) -> Answer:
        """Return the damaged answer, if it is about such a file."""
        if call.kind == "api" or call.method == "HEAD" or not fnmatchcase(call.path, self.path):
            return answer
        damaged = flip(answer, self.offset)
        if damaged is not answer and self.times is not None:
            self.times -= 1
        return damaged
