"""What lies between server and client, and what went over it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Line:
    """How a server is reached.

    Attributes:
        tls: over TLS, with a certificate of a private CA.
        delay_seconds: how long each request travels before the server sees it.
        rate_per_connection: cap of each connection, in bytes per second.
        rate_total: cap of all connections together, in bytes per second.
        most_connections: requests for content beyond so many at once are answered with 429.
        rate_per_request: cap of each request for content that the server itself keeps, in bytes
            per second; the first second's worth comes at once.
    """

    tls: bool = False
    delay_seconds: float = 0.0
    rate_per_connection: int | None = None
    rate_total: int | None = None
    most_connections: int | None = None
    rate_per_request: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether nothing between server and client slows it down."""
        return not (self.delay_seconds or self.rate_per_connection or self.rate_total)


PLAIN = Line()


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests by method and kind (`GET resolve`), bytes of content sent, seconds it took.

    The seconds, where the server knows them, are those from the first request for content to the
    end of the last one.
    """

    requests: Counter[str] = field(default_factory=Counter)
    data_bytes: int = 0
    data_seconds: float | None = None


class Server(Protocol):
    """What tools download from."""

    @property
    def endpoint(self) -> str:
        """Its address, without a trailing slash."""
        ...

    @property
    def ca(self) -> Path | None:
        """The certificate that its own must be checked against."""
        ...

    def traffic(self) -> Traffic:
        """Return what went over the line since the last call."""
        ...
