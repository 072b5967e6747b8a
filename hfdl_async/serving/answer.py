"""An answer as a value: what is said, before anything is written; and the hook that may alter it.

Handlers make answers, a hook (scripted faults, a demo) may return other ones, and `writing` alone
touches the connection. A fault is therefore a function from answer to answer.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from hfdl_async.serving.content import Content, Piece
from hfdl_async.serving.repos import HostedRepo

Origin = Literal["hub", "data"]
Kind = Literal["api", "resolve", "cache", "data", "other"]
Headers = Mapping[str, str]


class Body(Protocol):
    """A body too large to hold."""

    @property
    def length(self) -> int:
        """Bytes that `pieces` yields."""
        ...

    def pieces(self) -> AsyncIterator[Piece]:
        """Yield the bytes in order."""
        ...


@dataclass(frozen=True, slots=True)
class ContentBody:
    """A half-open range of some content."""

    content: Content
    start: int
    stop: int

    @property
    def length(self) -> int:
        """Bytes of the range."""
        return self.stop - self.start

    def pieces(self) -> AsyncIterator[Piece]:
        """Yield the bytes of the range."""
        return self.content.pieces(self.start, self.stop)


@dataclass(frozen=True, slots=True)
class Wire:
    """How an answer travels when it does not simply travel.

    Attributes:
        delay_seconds: silence before the status line.
        announce: the length the headers claim; None announces none (chunked).
        stop_after: after how many bytes of body it ends early; -1: before the status line.
        stop_by: what ends it then: reset (RST), close (FIN), stall (until the client leaves).
        rate_bytes_per_second: the speed of the body.
    """

    delay_seconds: float = 0.0
    announce: int | Literal["truth"] | None = "truth"
    stop_after: int | None = None
    stop_by: Literal["reset", "close", "stall"] = "close"
    rate_bytes_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body; `wire` only where it misbehaves on its way."""

    status: int
    headers: Headers
    body: bytes | Body = b""
    wire: Wire | None = None

    @property
    def length(self) -> int:
        """Bytes of the body."""
        return len(self.body) if isinstance(self.body, bytes) else self.body.length


@dataclass(slots=True)
class Call:
    """One request as the hub understood it.

    Attributes:
        target: path and query exactly as they came over the wire.
        what: for the API the route (`tree`, `info`, …), otherwise the kind again.
        path: the file's path in the repo, where the request is about one.
        revision: the revision it named, decoded.
    """

    origin: Origin
    method: str
    target: str
    headers: Headers
    connection: tuple[str, int]
    kind: Kind = "other"
    what: str = "other"
    repo: HostedRepo | None = None
    path: str = ""
    revision: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, list[str]] = field(default_factory=dict)
    token: str | None = None


class Hook(Protocol):
    """May replace any answer before it is written."""

    @property
    def active(self) -> bool:
        """Whether `alter` has anything to do; asked for every request."""
        ...

    def alter(self, call: Call, answer: Answer) -> Answer:
        """Return what is sent instead of *answer*, or *answer* itself."""
        ...


def text_answer(status: int, text: str, headers: Headers | None = None) -> Answer:
    """Return *text* as text/plain."""
    return Answer(
        status,
        {"Content-Type": "text/plain; charset=utf-8", **(headers or {})},
        text.encode(),
    )


def json_answer(value: object, *, status: int = 200, headers: Headers | None = None) -> Answer:
    """Return *value* as JSON."""
    return raw_json_answer(json.dumps(value), status=status, headers=headers)


def raw_json_answer(text: str, *, status: int = 200, headers: Headers | None = None) -> Answer:
    """Return JSON that is serialised already."""
    return Answer(
        status,
        {"Content-Type": "application/json; charset=utf-8", **(headers or {})},
        text.encode(),
    )
