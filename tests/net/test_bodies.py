from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.model import ByteRange, Digest, RemoteFile
from hfdl_async.core.retry import may_retry
from hfdl_async.errors import (
    HfdlError,
    IntegrityError,
    NetworkError,
    ProtocolError,
    RangeIgnoredError,
)
from hfdl_async.net.answer import Answer
from hfdl_async.net.bodies import INFLATED_BYTES, Identity, Inflater, Steady, admit, unsatisfied
from hfdl_async.net.headers import ContentRange, content_range, integer
from hfdl_async.net.urls import parse_url
from tests.net.wire import COMMIT

SHA1, SHA256 = "a" * 40, "b" * 64
FILE = RemoteFile("a.bin", 100, Digest("sha256", SHA256))
SMALL = RemoteFile("a.json", 100, Digest("git-sha1", SHA1))
RIGHT = "bytes 10-19/100"
MIDDLE, WHOLE = ByteRange(10, 20), ByteRange(0, 100)


class Said:
    """The part of an answer that is looked at before its body."""

    what = "a.bin of org/name"

    def __init__(self, status: int, host: str, headers: Mapping[str, str]) -> None:
        self.status = status
        self.url = parse_url(f"https://{host}/x")
        self._headers = headers

    def header(self, name: str) -> str | None:
        return self._headers.get(name)

    @property
    def length(self) -> int | None:
        return integer(self.header("Content-Length"))

    @property
    def content_range(self) -> ContentRange | None:
        return content_range(self.header("Content-Range"))


def said(status: int, host: str = "cdn.example", **headers: str) -> Answer:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return cast("Answer", Said(status, host, fields))


@pytest.mark.parametrize(
    ("span", "whole", "answer", "coding"),
    [
        (MIDDLE, False, said(206, Content_Range="bytes 10-19/100"), "identity"),
        (MIDDLE, False, said(206, Content_Range="bytes 10-19/*"), "identity"),
        (MIDDLE, False, said(200, Content_Range="bytes 10-19/100"), "identity"),
        (MIDDLE, False, said(206, Content_Range=RIGHT, Content_Encoding="identity"), "identity"),
        (WHOLE, False, said(200), "identity"),
        (WHOLE, True, said(200, Content_Length="100"), "identity"),
        (WHOLE, True, said(200, Content_Encoding="gzip"), "deflated"),
        (WHOLE, False, said(200, Content_Encoding="deflate"), "deflated"),
        (WHOLE, False, said(200, Content_Type="text/html", Content_Length="100"), "identity"),
    ],
)  # fmt: skip
def test_what_covers_the_span_exactly_is_let_in(
    span: ByteRange, whole: bool, answer: Answer, coding: str
) -> None:
    assert admit(answer, FILE, span, whole=whole) == coding


@pytest.mark.parametrize(
    ("span", "answer", "kind", "words"),
    [
        (MIDDLE, said(206, Content_Range="bytes 11-19/100"), ProtocolError, "bytes 11-19 of 100"),
        (MIDDLE, said(206, Content_Range="bytes 10-18/100"), ProtocolError, "asked was bytes"),
        (MIDDLE, said(206, Content_Range="bytes 10-20/100"), ProtocolError, "bytes 10-20"),
        (MIDDLE, said(206, Content_Range="bytes 10-19/101"), ProtocolError, "of 101"),
        (MIDDLE, said(206), ProtocolError, "unnamed range"),
        (MIDDLE, said(206, Content_Range="pages 1-2/3"), ProtocolError, "unnamed range"),
        (MIDDLE, said(206, Content_Type="multipart/byteranges; x=y"), ProtocolError, "unnamed"),
        (MIDDLE, said(200, Content_Range="bytes 0-19/100"), ProtocolError, "bytes 0-19"),
        (MIDDLE, said(200), RangeIgnoredError, "whole files only"),
        (MIDDLE, said(200, Content_Encoding="gzip"), RangeIgnoredError, "whole files only"),
        (MIDDLE, said(206, Content_Range=RIGHT, Content_Encoding="gzip"), RangeIgnoredError, "."),
        (WHOLE, said(200, Content_Encoding="br"), ProtocolError, "encoded as 'br'"),
        (WHOLE, said(200, Content_Type="text/html; charset=utf-8"), ProtocolError, "not a Hub"),
        (MIDDLE, said(200, Content_Type="text/html", Content_Length="7"), ProtocolError, "Hub"),
    ],
)  # fmt: skip
def test_what_does_not_is_kept_out(
    span: ByteRange, answer: Answer, kind: type[HfdlError], words: str
) -> None:
    with pytest.raises(kind, match=words):
        admit(answer, FILE, span, whole=False)


def test_a_range_for_a_whole_stream_is_not_a_whole_stream() -> None:
    with pytest.raises(ProtocolError):
        admit(said(206, Content_Range="bytes 10-99/100"), FILE, WHOLE, whole=True)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_only_the_very_span_that_was_asked_for_is_let_in(a: int, b: int, c: int, d: int) -> None:
    asked, sent = ByteRange(min(a, b), max(a, b) + 1), ByteRange(min(c, d), max(c, d) + 1)
    answer = said(206, Content_Range=f"bytes {sent.start}-{sent.stop - 1}/100")
    if asked == sent:
        assert admit(answer, FILE, asked, whole=False) == "identity"
    else:
        with pytest.raises(ProtocolError):
            admit(answer, FILE, asked, whole=False)


def test_a_range_that_cannot_be_satisfied_means_another_size_or_a_confused_server() -> None:
    assert type(unsatisfied(said(416, Content_Range="bytes */90"), FILE)) is IntegrityError
    for confused in (said(416, Content_Range="bytes */100"), said(416)):
        error = unsatisfied(confused, FILE)
        assert isinstance(error, NetworkError)
        assert not may_retry(error)


def check(file: RemoteFile, *answers: Answer) -> Identity:
    identity = Identity()
    for answer in answers:
        identity = identity.update(answer)
        identity.check(file, COMMIT, "x")
    return identity


def test_an_unchanged_file_passes_with_whatever_its_storage_calls_it() -> None:
    linked = said(302, X_Repo_Commit=COMMIT, X_Linked_Etag=f'"{SHA256}"', X_Linked_Size="100")
    cdn = said(200, ETag='"' + "f" * 64 + '"')
    assert check(FILE, linked, cdn) == Identity(COMMIT, FILE.digest, 100)
    direct = said(200, X_Repo_Commit=COMMIT, ETag=f'W/"{SHA1}"')
    assert (
        check(SMALL, said(307, X_Repo_Commit=COMMIT, ETag='"odd"'), direct).digest == SMALL.digest
    )
    xet = said(200, X_Repo_Commit=COMMIT, ETag='"' + "f" * 64 + '"', X_Xet_Hash="f" * 64)
    assert check(FILE, xet).digest is None
    assert check(RemoteFile("a", 100, None), direct).commit == COMMIT


@pytest.mark.parametrize(
    ("file", "answer", "words"),
    [
        (FILE, said(302, X_Repo_Commit="d" * 40), "commit was listed as c{40}, now it is d{40}"),
        (FILE, said(302, X_Linked_Size="99"), "listed as 100 bytes, now it is 99 bytes"),
        (FILE, said(302, X_Linked_Etag=f'"{"e" * 64}"'), "sha256 b{64}, now it is sha256 e{64}"),
        (SMALL, said(200, X_Repo_Commit=COMMIT, ETag=f'"{"e" * 40}"'), "now it is git-sha1 e{40}"),
    ],
)
def test_a_file_that_changed_is_refused_with_both_facts(
    file: RemoteFile, answer: Answer, words: str
) -> None:
    with pytest.raises(IntegrityError, match=words):
        check(file, answer)


def test_segments_of_two_versions_are_never_mixed() -> None:
    steady = Steady()
    for answer in (
        said(206, ETag='"one"', Content_Range="bytes 0-9/100"),
        said(206, ETag='"one"', Content_Range="bytes 10-19/100"),
        said(206, "other.example", ETag='"two"', Content_Range="bytes 10-19/100"),
    ):
        steady.check_total(answer)
        steady.take(answer)
    with pytest.raises(IntegrityError, match="entity tag was listed as one, now it is two"):
        steady.take(said(206, ETag='"two"'))
    with pytest.raises(IntegrityError, match="size was listed as 100 bytes, now it is 101 bytes"):
        steady.check_total(said(206, Content_Range="bytes 0-9/101"))


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


@given(
    st.binary(max_size=2000),
    st.integers(1, 50),
    st.sampled_from([gzip.compress, zlib.compress, raw_deflate]),
)
def test_compressed_content_comes_back_however_it_is_cut(
    data: bytes, size: int, pack: type[bytes]
) -> None:
    packed = pack(data)
    inflater, plain = Inflater("x"), b""
    for at in range(0, len(packed), size):
        left = packed[at : at + size]
        while left:
            piece, left = inflater.feed(left, 100)
            assert len(piece) <= 100
            plain += piece
    assert plain == data


def test_a_bomb_comes_in_bounded_pieces() -> None:
    plain, left = Inflater("x").feed(gzip.compress(bytes(50_000_000)), 10**9)
    assert len(plain) == INFLATED_BYTES
    assert left


def test_damaged_compression_is_an_error() -> None:
    with pytest.raises(ProtocolError, match="damaged"):
        Inflater("x").feed(b"\xff\xff\xff\xff", 100)
