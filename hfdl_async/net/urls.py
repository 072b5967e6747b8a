"""URLs kept byte for byte, compared by origin, and never shown with their query.

A signed URL is a password and its exact bytes are part of the signature. So the text of a URL is
never normalised or re-quoted, and neither `str` nor `repr` shows a query. The authority, however,
must follow a grammar so narrow that no two parsers can read it differently.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, urljoin

from hfdl_async.errors import UnsafeError
from hfdl_async.net.headers import clean_text

MAX_URL_CHARS = 16_000  # signed URLs are 1-2 KB
DEFAULT_PORTS = {"http": 80, "https": 443}

# Everything printable stays as it is; only what may not stand in a request line is escaped.
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_END_OF_AUTHORITY = re.compile("[/?]")
_AUTHORITY = re.compile(r"([A-Za-z0-9._\-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5})?)?")


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: what a token is bound to. Host in lower case, IPv6 unbracketed."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.scheme}://{self.site}"

    @property
    def site(self) -> str:
        """Host, and port where it is not the usual one: what messages name."""
        return _site(self.scheme, self.host, self.port)

    @property
    def authority(self) -> str:
        """What the `Host` field says: as `site`, without the dot that ends a full name."""
        return _site(self.scheme, self.host.rstrip("."), self.port)


@lru_cache(maxsize=64)  # asked several times for each request
def _site(scheme: str, host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if DEFAULT_PORTS[scheme] == port else f"{shown}:{port}"


@dataclass(frozen=True, slots=True)
class Url:
    """An http(s) URL: `exact` is what goes on the wire; printing it hides the query."""

    exact: str
    origin: Origin

    def __str__(self) -> str:
        base, mark, _ = self.exact.partition("?")
        return clean_text(base + ("?…" if mark else ""))

    def __repr__(self) -> str:
        return f"Url({str(self)!r})"

    @property
    def target(self) -> str:
        """The path and query as they stand in the request line."""
        rest = self.exact.split("/", 3)
        return "/" + (rest[3] if len(rest) > 3 else "")

    @property
    def path(self) -> str:
        """The path, still quoted."""
        return self.target.partition("?")[0]


def parse_url(text: str) -> Url:
    """Return *text* as a URL that may be asked for.

    Raises:
        UnsafeError: not http(s), credentials in it, or an authority that parsers could read
            differently.
    """
    if len(text) > MAX_URL_CHARS:
        raise UnsafeError(f"a URL of {len(text)} characters was refused")
    exact = _escaped(text).partition("#")[0]
    scheme, mark, rest = exact.partition("://")
    scheme = scheme.lower()
    if not mark or scheme not in DEFAULT_PORTS:
        raise UnsafeError(
            f"refused to follow to {clean_text(exact.partition('?')[0], 100)!r}: "
            "only http and https are followed"
        )
    authority = _END_OF_AUTHORITY.split(rest, maxsplit=1)[0]
    if "@" in authority:
        # Nothing of the authority is shown: it holds a password.
        raise UnsafeError("refused a URL with credentials in it")
    tail = rest[len(authority) :]
    if not tail.startswith("/"):
        tail = "/" + tail
    return Url(f"{scheme}://{authority}{tail}", _origin(scheme, authority))


@lru_cache(maxsize=64)  # thousands of signed URLs name the same few hosts
def _origin(scheme: str, authority: str) -> Origin:
    found = _AUTHORITY.fullmatch(authority)
    port = int(found[2] or DEFAULT_PORTS[scheme]) if found else 0
    if not found or not 1 <= port <= 65535:
        raise UnsafeError(f"refused a URL with the odd host {clean_text(authority, 100)!r}")
    return Origin(scheme, found[1].lower().strip("[]"), port)


def _escaped(text: str) -> str:
    if text.isascii() and text.isprintable() and " " not in text:
        return text
    try:
        return quote(text.encode("utf-8", "surrogateescape"), safe=_PRINTABLE)
    except UnicodeEncodeError:
        raise UnsafeError("a URL that is not text was refused") from None


def join_url(base: Url, location: str) -> Url:
    """Return where *location*, as a server wrote it, points from *base*.

    Raises:
        UnsafeError: as `parse_url`.
    """
    location = location.strip(" \t")
    if location.startswith("//"):
        return parse_url(f"{base.origin.scheme}:{location}")
    if _SCHEME.match(location):
        return parse_url(location)
    root = base.exact[: len(base.exact) - len(base.target)]
    if location.startswith("/"):
        return parse_url(root + location)
    if location.startswith("?") or not location:
        return parse_url(root + base.path + location)
    return parse_url(urljoin(root + base.path, location))
