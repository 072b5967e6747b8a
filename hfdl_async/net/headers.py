"""Header fields and other strings of a server, parsed strictly into values.

Every parser is total: whatever a server sends, the answer is a value within bounds or None.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, urlsplit

from hfdl_async.core.model import ByteRange, Digest

MAX_WAIT_SECONDS = 86_400.0  # no server is believed to want more patience than a day
MAX_LIFETIME_SECONDS = 7 * 86_400.0  # the longest a presigned URL can live
DEFAULT_LIFETIME_SECONDS = 3600.0  # what the Hub's signed URLs were seen to have
MAX_TEXT_CHARS = 500
MAX_FIELD_CHARS = 32_768

_INTEGER = re.compile(r"[0-9]{1,18}")
_RANGE = re.compile(r"bytes[ \t]+([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)", re.IGNORECASE)
_UNSATISFIED = re.compile(r"bytes[ \t]+\*/([0-9]{1,18})", re.IGNORECASE)
_LINK = re.compile(r"<([^<>]*)>([^<>]*)")
_REL = re.compile(r";[ \t]*rel[ \t]*=[ \t]*(?:\"([^\"]*)\"|([^\s\",;]+))", re.IGNORECASE)
_LIMIT = re.compile(r"([rt])=([0-9]{1,9})(?:\.[0-9]{1,9})?")
_AMZ_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_HEX = re.compile(r"[0-9a-fA-F]{40}|[0-9a-fA-F]{64}")


def clean_text(text: str, limit: int = MAX_TEXT_CHARS) -> str:
    """Return *text* of a server in a form that cannot drive a terminal or a log.

    Controls, escape sequences, direction marks, line ends and unassigned characters become
    escapes; what is longer than *limit* characters is cut.
    """
    if len(text) <= limit and text.isprintable():
        return text  # nearly always; names go through here for every request
    shown: list[str] = []
    room = limit
    for mark in text[: limit + 1]:
        piece = mark
        if unicodedata.category(mark) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"}:
            piece = mark.encode("unicode_escape").decode("ascii")
        if len(piece) > room:
            return "".join(shown)[: max(0, limit - 1)] + "…"
        shown.append(piece)
        room -= len(piece)
    return "".join(shown)


def integer(text: str | None) -> int | None:
    """Return a non-negative decimal number of at most 18 digits."""
    return int(text) if text is not None and _INTEGER.fullmatch(text.strip(" \t")) else None


@dataclass(frozen=True, slots=True)
class ContentRange:
    """What a `Content-Range` says: the span (None in a 416) and the total, if stated."""

    span: ByteRange | None
    total: int | None


def content_range(text: str | None) -> ContentRange | None:
    """Parse a `Content-Range` field (RFC 9110, 14.4)."""
    if text is None or len(text) > 200:
        return None
    text = text.strip(" \t")
    if found := _UNSATISFIED.fullmatch(text):
        return ContentRange(None, int(found[1]))
    if not (found := _RANGE.fullmatch(text)):
        return None
    start, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    if last < start or (total is not None and last >= total):
        return None
    return ContentRange(ByteRange(start, last + 1), total)


def http_date(text: str | None) -> float | None:
    """Return an HTTP date as UNIX seconds."""
    if text is None or len(text) > 100:
        return None
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=timezone.utc)
        return moment.timestamp()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def retry_after(text: str | None, *, now: float, server_date: str | None = None) -> float | None:
    """Return the seconds a `Retry-After` asks for, in either form.

    A date is measured from the server's own `Date` where there is one, so that a wrong clock here
    changes nothing; *now* (UNIX seconds) serves otherwise.
    """
    if text is None:
        return None
    if (seconds := integer(text)) is not None:
        return min(float(seconds), MAX_WAIT_SECONDS)
    if (until := http_date(text)) is None:
        return None
    start = http_date(server_date)
    return min(max(0.0, until - (now if start is None else start)), MAX_WAIT_SECONDS)


@dataclass(frozen=True, slots=True)
class Budget:
    """What one policy of a `RateLimit` field leaves: requests, and seconds until it is full."""

    left: int
    reset_seconds: float


def budgets(text: str | None) -> tuple[Budget, ...]:
    """Return what a `RateLimit` field says of each policy (IETF draft, RateLimit header fields).

    Nothing where the field is missing or unreadable; a policy without `r` and `t` is left out.
    """
    if text is None or len(text) > MAX_FIELD_CHARS:
        return ()
    stated = []
    for policy in text.split(","):
        members = (_LIMIT.fullmatch(part.strip(" \t")) for part in policy.split(";"))
        values = {found[1]: int(found[2]) for found in members if found}
        if "r" in values and "t" in values:
            stated.append(Budget(values["r"], min(float(values["t"]), MAX_WAIT_SECONDS)))
    return tuple(stated)


def rate_limit_wait(text: str | None) -> float | None:
    """Return the seconds until a `RateLimit` window that has nothing left starts anew.

    None when the field is missing, unreadable, or says that something is left.
    """
    return max((one.reset_seconds for one in budgets(text) if not one.left), default=None)


def next_link(fields: Iterable[str]) -> str | None:
    """Return the target of the first `rel="next"` among `Link` fields (RFC 8288)."""
    for field in fields:
        if len(field) > MAX_FIELD_CHARS:
            continue
        for target, parameters in _LINK.findall(field):
            found = _REL.search(parameters)
            if found and "next" in (found[1] or found[2] or "").lower().split():
                return str(target)
    return None


def signed_lifetime(url: str, *, now: float) -> float:
    """Return for how many seconds a signed *url* stays good, from *now* (the server's UNIX time).

    Understands CloudFront (`Expires`), S3 and GCS (`X-Amz-Date` + `X-Amz-Expires`, `X-Goog-…`);
    the sooner counts. Anything else is taken for an hour.
    """
    try:
        pairs = parse_qsl(urlsplit(url).query, max_num_fields=200)
    except ValueError:
        return DEFAULT_LIFETIME_SECONDS
    query = {name.lower(): value for name, value in pairs}
    ends: list[float] = []
    if (epoch := integer(query.get("expires"))) is not None:
        ends.append(epoch - now)
    for maker in ("amz", "goog"):
        lifetime = integer(query.get(f"x-{maker}-expires"))
        signed_at = query.get(f"x-{maker}-date", "")
        if lifetime is not None and _AMZ_DATE.fullmatch(signed_at):
            try:
                moment = datetime.strptime(f"{signed_at[:-1]}+0000", "%Y%m%dT%H%M%S%z")
            except ValueError:
                continue
            ends.append(moment.timestamp() + lifetime - now)
    lifetime_seconds = min(ends, default=DEFAULT_LIFETIME_SECONDS)
    return min(max(0.0, lifetime_seconds), MAX_LIFETIME_SECONDS)


def normal_etag(text: str | None) -> str | None:
    """Return an entity tag without quotes and weakness mark, or None if it is empty or absurd."""
    if text is None or len(text) > MAX_TEXT_CHARS:
        return None
    return text.strip(" \t").removeprefix("W/").strip('"') or None


def etag_digest(text: str | None) -> Digest | None:
    """Return the digest an entity tag of the Hub is, or None when it is something else."""
    tag = normal_etag(text)
    if tag is None or not _HEX.fullmatch(tag):
        return None
    return Digest("git-sha1" if len(tag) == 40 else "sha256", tag.lower())
