"""The heads that nearly every server sends, recognised at a glance.

Not a parser of HTTP: a test whether a head is of the plainest form, in which no two parsers could
differ, and what it then says. RFC 9112 allows more (folded lines, bare line feeds, lengths that
are repeated); whatever is not recognised here is left to h11, which knows it all and takes five
times as long.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Fields = dict[str, list[str]]

END = re.compile(rb"\n\r?\n")  # of a head, be it well-formed or not

_TEXT = r"[^\x00-\x08\x0a-\x1f\x7f]*"  # no control but the tab
_PLAIN = re.compile(
    rf"HTTP/1\.1 ([2-9][0-9]{{2}})(?: {_TEXT})?\r\n"
    rf"((?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:{_TEXT}\r\n)*)\r\n"
)
_FIELD = re.compile(r"([^:]+):([^\r]*)\r\n")
_LENGTH = re.compile("[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class Head:
    """A status, fields by their names in lower case, and what they say of the body."""

    status: int
    fields: Fields
    length: int
    keep: bool  # the connection can carry another request after this body


def recognise(data: bytes, most_fields: int) -> Head | None:
    """Return what *data*, from the status line to the empty line, says; None if it is not plain.

    Plain is a final status of HTTP/1.1, lines that end in CRLF, one `Content-Length`, no transfer
    coding, and at most *most_fields* fields.
    """
    text = data.decode("utf-8", "surrogateescape")
    plain = _PLAIN.fullmatch(text)
    found = _FIELD.findall(plain[2]) if plain is not None else []
    if plain is None or len(found) > most_fields:
        return None
    fields: Fields = {}
    for name, value in found:
        fields.setdefault(name.lower(), []).append(value.strip(" \t"))
    lengths = fields.get("content-length", ())
    if len(lengths) != 1 or not _LENGTH.fullmatch(lengths[0]) or "transfer-encoding" in fields:
        return None
    return Head(int(plain[1]), fields, int(lengths[0]), keeps(fields))


def keeps(fields: Fields) -> bool:
    """Return whether a server that speaks HTTP/1.1 will take another request."""
    return not any("close" in value.lower() for value in fields.get("connection", ()))
