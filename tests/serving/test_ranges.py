from __future__ import annotations

import pytest

from hfdl_async.core.model import ByteRange
from hfdl_async.serving.answer import ContentBody
from hfdl_async.serving.content import BytesContent
from hfdl_async.serving.ranges import answer_content, parse_range

CONTENT = BytesContent(b"0123456789")
HEADERS = {"ETag": '"e"'}


@pytest.mark.parametrize(
    ("value", "span"),
    [
        (None, None),
        ("bytes=0-0", ByteRange(0, 1)),
        ("bytes=2-4", ByteRange(2, 5)),
        ("bytes=8-", ByteRange(8, 10)),
        ("bytes=8-99", ByteRange(8, 10)),
        ("bytes=-3", ByteRange(7, 10)),
        ("bytes=-99", ByteRange(0, 10)),
        ("bytes=5-4", None),
        ("bytes=0-1,4-5", None),
        ("lines=0-1", None),
        ("bytes=-", None),
    ],
)
def test_ranges_are_read(value: str | None, span: ByteRange | None) -> None:
    assert parse_range(value, 10) == span


@pytest.mark.parametrize("value", ["bytes=10-", "bytes=11-12", "bytes=-0"])
def test_a_range_outside_is_416_with_the_size(value: str) -> None:
    answer = answer_content(CONTENT, HEADERS, {"Range": value})
    assert answer.status == 416
    assert answer.headers["Content-Range"] == "bytes */10"


def test_an_empty_file_has_no_ranges() -> None:
    assert answer_content(BytesContent(b""), HEADERS, {"Range": "bytes=0-"}).status == 416
    assert answer_content(BytesContent(b""), HEADERS, {}).status == 200


def test_a_range_is_206_and_says_where_it_lies() -> None:
    answer = answer_content(CONTENT, HEADERS, {"Range": "bytes=2-4"})
    assert answer.status == 206
    assert answer.headers["Content-Range"] == "bytes 2-4/10"
    assert answer.body == ContentBody(CONTENT, 2, 5)


def test_what_the_client_has_already_is_304() -> None:
    answer = answer_content(CONTENT, HEADERS, {"If-None-Match": '"e"'})
    assert (answer.status, answer.body) == (304, b"")


def test_if_range_with_another_etag_gives_everything() -> None:
    asked = {"Range": "bytes=2-4"}
    assert answer_content(CONTENT, HEADERS, {**asked, "If-Range": '"e"'}).status == 206
    assert answer_content(CONTENT, HEADERS, {**asked, "If-Range": '"other"'}).status == 200
