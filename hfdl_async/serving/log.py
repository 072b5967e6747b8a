"""What was asked and what was sent, for assertions and for the demo's table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from hfdl_async.serving.answer import Call, Headers, Kind, Origin


@dataclass(slots=True)
class Entry:
    """One request. `bytes_sent` grows while its body is written."""

    origin: Origin
    kind: Kind
    what: str
    method: str
    target: str
    headers: Headers
    connection: tuple[str, int]
    path: str = ""
    status: int = 0
    bytes_sent: int = 0
    done: bool = False

    @property
    def range(self) -> str | None:
        """The Range header."""
        return self.headers.get("Range")

    @property
    def authorization(self) -> str | None:
        """The Authorization header."""
        return self.headers.get("Authorization")


@dataclass(slots=True)
class RequestLog:
    """All requests in the order of their arrival, with running sums.

    With `keep` off only the sums grow, so that a server can run for days.
    """

    keep: bool = True
    entries: list[Entry] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)
    peak_in_flight: Counter[str] = field(default_factory=Counter)
    open_connections: Counter[str] = field(default_factory=Counter)
    peak_connections: Counter[str] = field(default_factory=Counter)

    def begin(self, call: Call) -> Entry:
        """Note that a request arrived."""
        entry = Entry(
            call.origin,
            call.kind,
            call.what,
            call.method,
            call.target,
            call.headers,
            call.connection,
            call.path,
        )
        self.counts[call.kind] += 1
        self.in_flight[call.origin] += 1
        self.peak_in_flight[call.origin] = max(
            self.peak_in_flight[call.origin], self.in_flight[call.origin]
        )
        if self.keep:
            self.entries.append(entry)
        return entry

    def end(self, entry: Entry) -> None:
        """Note that nothing more of it will be sent."""
        entry.done = True
        self.in_flight[entry.origin] -= 1
        self.sent[entry.kind] += entry.bytes_sent

    def connections(self, origin: Origin, number: int) -> None:
        """Note how many connections are open just now."""
        self.open_connections[origin] = number
        self.peak_connections[origin] = max(self.peak_connections[origin], number)

    def clear(self) -> None:
        """Forget everything except what is going on now."""
        self.entries.clear()
        for sums in (self.counts, self.sent, self.peak_in_flight, self.peak_connections):
            sums.clear()

    def of(self, kind: str, path: str | None = None) -> list[Entry]:
        """Return the requests of one kind (or of one API route), of one file if *path* is given."""
        return [
            entry
            for entry in self.entries
            if kind in (entry.kind, entry.what) and path in (None, entry.path)
        ]

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def to_dict(self) -> dict[str, object]:
        """Return the sums for a report."""
        return {
            "requests": dict(self.counts),
            "bytes_sent": dict(self.sent),
            "peak_connections": dict(self.peak_connections),
        }
