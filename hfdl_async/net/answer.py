"""What is asked over a transport, and what comes back: one GET and its answer.

There are two ways over the wire, `sessions` and `lane`. Whoever reads an answer need not know
which one it took.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from hfdl_async.core.model import KIB, ByteRange
from hfdl_async.errors import NetworkError
from hfdl_async.net.headers import ContentRange, content_range, integer
from hfdl_async.net.urls import Url

BODY_SILENCE_SECONDS = 15.0  # once a body flows, this much silence means it is dead (P22)
MAX_FIELD_BYTES = 32 * KIB  # of one header field: signed URLs in `Location` outgrow 8 KiB
MAX_FIELDS = 256
DRAIN_BYTES = 16 * KIB  # a redirect's body is smaller; reading it saves the connection


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to a connection, of silence before an answer begins, and of silence in its body."""

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    silence_seconds: float = BODY_SILENCE_SECONDS

    @property
    def body_seconds(self) -> float:
        """Silence within a body after which it counts as lost."""
        return min(self.read_seconds, self.silence_seconds)


@dataclass(frozen=True, slots=True)
class Request:
    """One GET. *what* names it in messages; *token* goes along if and only if it is given.

    *fresh* asks for a connection that carried nothing before. *again* is called when the request
    has to be sent a second time for its answer to be understood.
    """

    url: Url
    what: str
    span: ByteRange | None = None
    token: str | None = field(default=None, repr=False)
    timeouts: Timeouts = Timeouts()
    fresh: bool = False
    guarded: bool = False
    again: Callable[[], None] = field(default=_nothing, repr=False, compare=False)


def wire_headers(request: Request) -> dict[str, str]:
    """Return the header fields that say what *request* wants, and as whom.

    To be used up where it is called: no frame may keep a header with a token in a local.
    """
    headers = {"Accept-Encoding": "identity"}
    if request.span is not None:
        headers["Range"] = f"bytes={request.span.start}-{request.span.stop - 1}"
    if request.token is not None:
        headers["Authorization"] = f"Bearer {request.token}"
    return headers


@dataclass(frozen=True, slots=True)
class Lent:
    """Bytes of a body; whoever took them calls `release` once when nobody reads them any more.

    With *recall* there are none, and it is not the end: there is no memory left to receive into,
    and whoever gathers is asked to give back what was lent before.
    """

    data: bytes | memoryview
    release: Callable[[], None] = _nothing
    recall: bool = False


RECALL = Lent(b"", recall=True)


class Answer(ABC):
    """Status and headers of a response whose body is still to come."""

    def __init__(self, request: Request, status: int) -> None:
        self._request = request
        self.status = status

    @property
    def url(self) -> Url:
        """What was asked for."""
        return self._request.url

    @property
    def what(self) -> str:
        """The subject of the request, for messages."""
        return self._request.what

    @property
    def token(self) -> str | None:
        """The token that the request carried."""
        return self._request.token

    @abstractmethod
    def headers(self, name: str) -> list[str]:
        """Return all fields of that name (any case)."""

    @abstractmethod
    def header(self, name: str) -> str | None:
        """Return the first field of that name (any case)."""

    @abstractmethod
    async def chunk(self, most_bytes: int | None = None) -> Lent:
        """Return the next bytes of the body as they came off the wire; none at its end.

        At most *most_bytes* of them, or all that are there. A `recall` brings none either.

        Raises:
            LostConnectionError: the peer fell silent or went away before the end.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""

    @property
    def length(self) -> int | None:
        """The `Content-Length`, if there is one."""
        return integer(self.header("Content-Length"))

    @cached_property
    def content_range(self) -> ContentRange | None:
        """The `Content-Range`, if there is one that can be read."""
        return content_range(self.header("Content-Range"))

    async def body(self, limit: int) -> bytes:
        """Return the body up to *limit* + 1 bytes, then let go of the connection.

        Raises:
            LostConnectionError: as `chunk`.
        """
        pieces: list[bytes] = []
        size = 0
        try:
            while size <= limit and ((lent := await self.chunk()).data or lent.recall):
                pieces.append(bytes(lent.data))
                size += len(lent.data)
                lent.release()
        finally:
            self.close()
        return b"".join(pieces)[: limit + 1]

    async def drain(self) -> None:
        """Read a short body to its end so that the connection can be used again, or close it."""
        length = self.length
        if length is None or length > DRAIN_BYTES:
            self.close()
            return
        try:
            await self.body(DRAIN_BYTES)
        except NetworkError:
            return  # the headers said all that was needed
