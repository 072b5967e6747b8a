"""What is said and heard before the bytes of a large body flow: one request, one head, by h11.

Only the plainest answer is *content*: HTTP/1.1, 200 or 206, one `Content-Length`, no coding of any
kind. Its body is not parsed at all, it is counted. An answer of another status is read here to the
end, whatever its framing, for as long as it is short. Everything else is *odd*: aiohttp may know
what it means.
"""

from __future__ import annotations

import h11

from hfdl_async.core.model import KIB
from hfdl_async.net.answer import MAX_FIELD_BYTES, MAX_FIELDS, Request, wire_headers

MAX_HEAD_BYTES = 2 * MAX_FIELD_BYTES
MAX_TOLD_BYTES = 64 * KIB + 1  # of an answer that is not content; messages read less
CONTENT = frozenset({200, 206})


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
        self._talk = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._said = bytearray()
        self.heard = False
        self.settled = False
        self.odd = False
        self.status = 0
        self.fields: list[tuple[str, str]] = []
        self.told: bytes | None = None
        self.rest = b""
        self.length = 0
        self.keep = True

    def request(self, request: Request, user_agent: str) -> bytes:
        """Return the bytes that ask for *request*.

        Raises:
            h11.LocalProtocolError: it cannot be said in HTTP.
        """
        return self._talk.send(
            h11.Request(
                method="GET",
                target=request.url.target,  # byte for byte: it may be signed
                headers=[
                    ("Host", request.url.origin.authority),
                    ("User-Agent", user_agent),
                    ("Accept", "*/*"),
                    *wire_headers(request).items(),
                ],
            )
        ) + self._talk.send(h11.EndOfMessage())

    def hear(self, data: bytes) -> None:
        """Take in what arrived."""
        self.heard = True
        try:
            self._talk.receive_data(data)
            while not self.settled:
                event = self._talk.next_event()
                if event is h11.NEED_DATA:
                    return
                self._understand(event)
        except h11.RemoteProtocolError:
            if not self.cut():
                self._settle_odd()

    def cut(self) -> bool:
        """Note that nothing more will come; return whether what was heard is enough.

        The status and the fields of a refusal say all that is needed.
        """
        if not self.settled and self.status:
            self._settle_told(keep=False)
        return self.settled

    def _understand(self, event: h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]) -> None:
        if isinstance(event, h11.Response):
            self._begin(event)
        elif isinstance(event, h11.Data):
            self._said += event.data
            if len(self._said) >= MAX_TOLD_BYTES:
                self._settle_told(keep=False)
        elif isinstance(event, h11.EndOfMessage):
            waits = self._talk.their_state is h11.DONE and not self._talk.trailing_data[0]
            self._settle_told(keep=waits)
        elif not isinstance(event, h11.InformationalResponse):
            self._settle_odd()

    def _begin(self, head: h11.Response) -> None:
        fields = [(_text(name), _text(value)) for name, value in head.headers]
        values = dict(fields)
        length = values.get("content-length")
        if len(fields) > MAX_FIELDS:
            self._settle_odd()
        elif head.status_code not in CONTENT:
            self.status, self.fields = head.status_code, fields
        elif (
            head.http_version != b"1.1"
            or length is None
            or "transfer-encoding" in values
            or "content-encoding" in values
        ):
            self._settle_odd()
        else:
            self.status, self.fields, self.length = head.status_code, fields, int(length)
            self.keep = not any(
                "close" in value.lower() for name, value in fields if name == "connection"
            )
            self.rest = self._talk.trailing_data[0]
            self.settled = True

    def _settle_told(self, *, keep: bool) -> None:
        self.told, self.keep, self.settled = bytes(self._said), keep, True

    def _settle_odd(self) -> None:
        self.odd = self.settled = True
        self.keep = False


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape")
