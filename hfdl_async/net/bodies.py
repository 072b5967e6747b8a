"""Whether the body of an answer is the bytes that were asked for: table C of the promises.

A decision about headers only; nothing of a body is read here. The answer to "is this the content"
is left to the digest, the answer to "do these bytes belong there" is given here.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal

from hfdl_async.core.model import KIB, ByteRange, Digest, RemoteFile
from hfdl_async.errors import (
    HfdlError,
    IntegrityError,
    NetworkError,
    ProtocolError,
    RangeIgnoredError,
)
from hfdl_async.net.answer import Answer
from hfdl_async.net.headers import ContentRange, etag_digest, integer, normal_etag
from hfdl_async.net.refusals import is_html, not_a_hub

INFLATED_BYTES = 256 * KIB  # of one compressed chunk at a time: a bomb fills no memory

Coding = Literal["identity", "deflated"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What answers said about the file itself: the facts that must not change while it comes."""

    commit: str | None = None
    digest: Digest | None = None
    size: int | None = None

    def update(self, answer: Answer) -> Identity:
        """Return the facts with those of one more answer of the Hub."""
        commit = answer.header("X-Repo-Commit")
        linked = answer.header("X-Linked-Etag")
        digest = etag_digest(linked)
        if linked is None and commit is not None and answer.status < 300:
            # Without a link the ETag is the Hub's own. A cache in between may put there what the
            # storage says, which for Xet is a hash of another kind but of the same length.
            digest = etag_digest(answer.header("ETag"))
            xet_hash = answer.header("X-Xet-Hash")
            digest = None if digest and xet_hash == digest.hex else digest
        size = integer(answer.header("X-Linked-Size"))
        return Identity(
            commit or self.commit,
            digest or self.digest,
            self.size if size is None else size,
        )

    def check(self, file: RemoteFile, commit: str, what: str) -> None:
        """Compare with what the listing of *commit* said.

        Raises:
            IntegrityError: it is not that file any more.
        """
        if self.commit is not None and self.commit != commit:
            raise _changed(what, "commit", commit, self.commit)
        if self.size is not None and self.size != file.size_bytes:
            raise _changed(what, "size", f"{file.size_bytes} bytes", f"{self.size} bytes")
        if self.digest is not None and file.digest is not None and self.digest != file.digest:
            raise _changed(what, "digest", _named(file.digest), _named(self.digest))


def _named(digest: Digest) -> str:
    return f"{digest.algorithm} {digest.hex}"


def _changed(what: str, fact: str, listed: str, found: str) -> IntegrityError:
    return IntegrityError(
        f"{what} changed on the server: its {fact} was listed as {listed}, now it is {found}",
        hint="run the same command again; if it stays, the endpoint contradicts itself",
    )


class Steady:
    """The storage's own marks of one file, which must be the same for all of its segments."""

    def __init__(self) -> None:
        self._etags: dict[str, str] = {}
        self._total: int | None = None

    def check_total(self, answer: Answer) -> None:
        """Compare the total that *answer* states with the one seen before.

        Raises:
            IntegrityError: the file has grown or shrunk while it comes.
        """
        stated = answer.content_range
        total = None if stated is None else stated.total
        if self._total is not None and total not in (None, self._total):
            raise _changed(answer.what, "size", f"{self._total} bytes", f"{total} bytes")

    def take(self, answer: Answer) -> None:
        """Remember the marks of an *answer* that was let in.

        Raises:
            IntegrityError: its entity tag is another: bytes of two versions would be mixed.
        """
        # Another host of the same storage may count its tags differently.
        site = answer.url.origin.site
        if tag := normal_etag(answer.header("ETag")):
            known = self._etags.setdefault(site, tag)
            if known != tag:
                raise _changed(answer.what, "entity tag", known[:100], tag[:100])
        stated = answer.content_range
        self._total = stated.total if stated is not None else self._total


def admit(answer: Answer, file: RemoteFile, span: ByteRange, *, whole: bool) -> Coding:
    """Return how the body of *answer* (200 or 206) is to be read as *span* of *file*.

    Raises:
        RangeIgnoredError: only a stream from the first byte can be had here.
        ProtocolError: these are not the bytes asked for.
    """
    site = answer.url.origin.site
    coding = (answer.header("Content-Encoding") or "identity").strip().lower()
    stated = answer.content_range
    if answer.status == 206 or (answer.header("Content-Range") is not None and not whole):
        if coding != "identity":
            raise RangeIgnoredError(f"{answer.what}: {site} sent a range of something compressed")
        _check_range(answer, stated, file, span)
        return "identity"
    if _is_portal(answer, file):
        raise not_a_hub(answer.what, site, "a web page came instead of the file")
    if span != ByteRange(0, file.size_bytes):
        raise RangeIgnoredError(f"{answer.what}: {site} sends whole files only")
    if coding == "identity":
        return "identity"
    if coding in {"gzip", "x-gzip", "deflate"}:
        return "deflated"
    raise ProtocolError(f"{answer.what}: {site} sent it encoded as {coding[:30]!r}, unasked")


def _check_range(
    answer: Answer, stated: ContentRange | None, file: RemoteFile, span: ByteRange
) -> None:
    wanted = f"bytes {span.start}-{span.stop - 1} of {file.size_bytes}"
    site = answer.url.origin.site
    if stated is None or stated.span is None:
        raise ProtocolError(f"{answer.what}: {site} sent an unnamed range, asked was {wanted}")
    if stated.span != span or stated.total not in (None, file.size_bytes):
        raise ProtocolError(
            f"{answer.what}: {site} sent bytes {stated.span.start}-{stated.span.stop - 1} "
            f"of {'*' if stated.total is None else stated.total}, asked was {wanted}"
        )


def unsatisfied(answer: Answer, file: RemoteFile) -> HfdlError:
    """Return what a 416 means: the file has another size, or the server is confused.

    Either is final: the same question gets the same answer.
    """
    stated = answer.content_range
    if stated is not None and stated.total not in (None, file.size_bytes):
        return _changed(answer.what, "size", f"{file.size_bytes} bytes", f"{stated.total} bytes")
    return NetworkError(
        f"{answer.what}: {answer.url.origin.site} refused a range inside the file (HTTP 416)",
        hint="run the same command later, or try another --endpoint",
    )


def _is_portal(answer: Answer, file: RemoteFile) -> bool:
    if not is_html(answer) or file.path.lower().endswith((".html", ".htm", ".xhtml")):
        return False
    return answer.length != file.size_bytes


class Inflater:
    """Undoes gzip or deflate, a bounded piece at a time."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._head = b""
        self._stream: zlib._Decompress | None = None

    def feed(self, data: bytes, limit: int) -> tuple[bytes, bytes]:
        """Return at most *limit* decoded bytes of *data*, and what of *data* is left for later.

        Raises:
            ProtocolError: it is neither gzip nor deflate.
        """
        if self._stream is None:
            data, self._head = self._head + data, b""
            if len(data) < 2:
                self._head = data  # two bytes tell what it is
                return b"", b""
            self._stream = zlib.decompressobj(wbits=_wbits(data))
        try:
            plain = self._stream.decompress(data, min(limit, INFLATED_BYTES))
        except zlib.error as error:
            raise ProtocolError(f"{self._what}: the compressed answer is damaged") from error
        return plain, self._stream.unconsumed_tail


def _wbits(data: bytes) -> int:
    """Return what to tell zlib of a stream that begins with *data*."""
    headed = data[:2] == b"\x1f\x8b" or (
        data[0] & 0x0F == 8 and int.from_bytes(data[:2], "big") % 31 == 0
    )
    # "deflate" without its header is wrong by the book, and common.
    return 47 if headed else -15
