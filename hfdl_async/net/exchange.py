"""What is said and heard before the bytes of a body flow: one request, one head.

Only the plainest answer is *content*: HTTP/1.1, 200 or 206, one `Content-Length`, no coding of any
kind. Its body is not parsed at all, it is counted. An answer of another status is read here to the
end, whatever its framing, for as long as it is short. Everything else is *odd*: aiohttp may know
what it means.

A head that `heads.recognise` knows is taken at its word. From the first one that it does not know,
h11 reads on.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from hfdl_async.core.model import KIB
from hfdl_async.net.answer import MAX_FIELD_BYTES, MAX_FIELDS, Request, wire_headers
from hfdl_async.net.heads import END, Fields, Head, keeps, recognise

if TYPE_CHECKING:
    import h11

MAX_HEAD_BYTES = 2 * MAX_FIELD_BYTES
MAX_TOLD_BYTES = 64 * KIB + 1  # of an answer that is not content; messages read less
CONTENT = frozenset({200, 206})
BODILESS = frozenset({204, 304})

_TARGET = re.compile(r"[\x21-\x7e]+")
_LINE = re.compile(r"[\x20-\x7e]+")


class Exchange:
    """One request and what is heard of its answer. No I/O.

    Attributes:
        settled: everything that is needed was heard.
        odd: this is not for us.
        told: the body of an answer that is no content.
        rest: what came along behind the head of content, in part or more than its body.
        length: how long the body of content is.
        keep: the connection can carry another request after this body.
    """

    def __init__(self) -> None:
        self._unread = b""  # the beginning of a head
        self._short = -1  # bytes still to come of a body that is told
        self._talk: h11.Connection | None = None
        self._said = bytearray()
        self.heard = False
        self.settled = False
        self.odd = False
        self.status = 0
        self.fields: Fields = {}
        self.told: bytes | None = None
        self.rest = b""
        self.length = 0
        self.keep = True

    def request(self, request: Request, user_agent: str) -> bytes:
        """Return the bytes that ask for *request*.

        Raises:
            ValueError: it cannot be said in HTTP. The message shows nothing of it.
        """
        target = request.url.target  # byte for byte: it may be signed
        lines = [
            f"GET {target} HTTP/1.1",
            f"Host: {request.url.origin.authority}",
            f"User-Agent: {user_agent}",
            "Accept: */*",
            *(f"{name}: {value}" for name, value in wire_headers(request).items()),
        ]
        if not _TARGET.fullmatch(target) or not all(map(_LINE.fullmatch, lines)):
            raise ValueError("not a line of HTTP")
        return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"

    def hear(self, data: bytes) -> None:
        """Take in what arrived."""
        self.heard = True
        if self._talk is not None:
            self._hear_all(data)
        elif self._short >= 0:
            self._hear_told(data)
        else:
            self._hear_head(self._unread + data if self._unread else data)

    def cut(self) -> bool:
        """Note that nothing more will come; return whether what was heard is enough.

        The status and the fields of a refusal say all that is needed.
        """
        if not self.settled and self.status:
            self._settle_told(keep=False)
        return self.settled

    # -- the plain form --------------------------------------------------------------------

    def _hear_head(self, data: bytes) -> None:
        end = END.search(data)
        if end is None and len(data) <= MAX_HEAD_BYTES:
            self._unread = data
        elif end is None or (head := recognise(data[: end.end()], MAX_FIELDS)) is None:
            self._hear_all(data)
        else:
            self._begin(head, data[end.end() :])

    def _begin(self, head: Head, rest: bytes) -> None:
        if head.status in CONTENT:
            self._settle_content(head.status, head.fields, head.length, head.keep, rest)
            return
        self.status, self.fields, self.keep = head.status, head.fields, head.keep
        self._short = 0 if head.status in BODILESS else head.length
        self._hear_told(rest)

    def _hear_told(self, data: bytes) -> None:
        self._said += data[: self._short]
        clean = len(data) <= self._short
        self._short -= min(len(data), self._short)
        if not self._short:
            self._settle_told(keep=self.keep and clean)
        elif len(self._said) >= MAX_TOLD_BYTES:
            self._settle_told(keep=False)

    # -- any form --------------------------------------------------------------------------

    def _hear_all(self, data: bytes) -> None:
        """Have h11 read *data*, from the beginning of a head if it was not asked before."""
        import h11  # rarely needed

        if self._talk is None:
            # What was asked does not matter to it, only that something was.
            self._talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
            self._talk.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
            self._talk.send(h11.EndOfMessage())
        try:
            self._talk.receive_data(data)
            while not self.settled:
                event = self._talk.next_event()
                if event is h11.NEED_DATA:
                    return
                self._understand(self._talk, event)
        except h11.RemoteProtocolError:
            if not self.cut():
                self._settle_odd()

    def _understand(
        self, talk: h11.Connection, event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]
    ) -> None:
        import h11

        if isinstance(event, h11.Response):
            self._understand_head(talk, event)
        elif isinstance(event, h11.Data):
            self._said += event.data
            if len(self._said) >= MAX_TOLD_BYTES:
                self._settle_told(keep=False)
        elif isinstance(event, h11.EndOfMessage):
            waits = talk.their_state is h11.DONE and not talk.trailing_data[0]
            self._settle_told(keep=waits)
        elif not isinstance(event, h11.InformationalResponse):
            self._settle_odd()

    def _understand_head(self, talk: h11.Connection, head: h11.Response) -> None:
        fields: Fields = {}
        for name, value in head.headers:
            fields.setdefault(_text(name), []).append(_text(value))
        length = fields.get("content-length")
        if len(head.headers) > MAX_FIELDS:
            self._settle_odd()
        elif head.status_code not in CONTENT:
            self.status, self.fields = head.status_code, fields
        elif head.http_version != b"1.1" or length is None or "transfer-encoding" in fields:
            self._settle_odd()
        else:
            rest = talk.trailing_data[0]
            self._settle_content(head.status_code, fields, int(length[0]), keeps(fields), rest)

    # -- the end ---------------------------------------------------------------------------

    def _settle_content(
        self, status: int, fields: Fields, length: int, keep: bool, rest: bytes
    ) -> None:
        if "content-encoding" in fields:
            self._settle_odd()
            return
        self.status, self.fields, self.length = status, fields, length
        self.keep, self.rest = keep, rest
        self.settled = True

    def _settle_told(self, *, keep: bool) -> None:
        self.told, self.keep, self.settled = bytes(self._said), keep, True

    def _settle_odd(self) -> None:
        self.odd = self.settled = True
        self.keep = False


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")
