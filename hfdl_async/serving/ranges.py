"""Single byte ranges as a server reads them (RFC 9110, section 14)."""

from __future__ import annotations

import re

from hfdl_async.core.model import ByteRange
from hfdl_async.serving.answer import Answer, ContentBody, Headers
from hfdl_async.serving.content import BytesContent, Content

_SINGLE = re.compile(r"bytes=(\d*)-(\d*)")


def parse_range(value: str | None, size: int) -> ByteRange | None:
    """Return the half-open range asked for, or None for the whole content.

    What is no single range of bytes counts as not asked, as the RFC allows.

    Raises:
        ValueError: the range lies outside of the content (416).
    """
    match = _SINGLE.fullmatch(value) if value else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start = int(match[1])
        stop = min(int(match[2]) + 1, size) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= size or start >= stop:
        raise ValueError(value)
    return ByteRange(start, stop)


def answer_content(content: Content, headers: Headers, asked: Headers) -> Answer:
    """Answer 200, 206, 304 or 416 with *content*, as the request's headers *asked* want it."""
    etag = headers["ETag"]
    if asked.get("If-None-Match") in (etag, "*"):
        return Answer(304, headers)
    wanted = asked.get("Range")
    if wanted is not None and asked.get("If-Range", etag) != etag:
        wanted = None
    try:
        span = parse_range(wanted, content.size)
    except ValueError:
        return Answer(416, {**headers, "Content-Range": f"bytes */{content.size}"})
    if span is None:
        whole = content.data if isinstance(content, BytesContent) else None
        return Answer(
            200, headers, ContentBody(content, 0, content.size) if whole is None else whole
        )
    where = f"bytes {span.start}-{span.stop - 1}/{content.size}"
    body = ContentBody(content, span.start, span.stop)
    return Answer(206, {**headers, "Content-Range": where}, body)
