from __future__ import annotations

import unicodedata
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.model import ByteRange, Digest
from hfdl_async.net import headers
from hfdl_async.net.headers import ContentRange

NOW = 1_800_000_000.0


@given(st.integers(0, 10**15), st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_content_range_comes_back_as_the_half_open_span_it_names(
    start: int, more: int, rest: int
) -> None:
    last = start + more
    text = f"bytes {start}-{last}/{last + 1 + rest}"
    expected = ContentRange(ByteRange(start, last + 1), last + 1 + rest)
    assert headers.content_range(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bytes 0-0/*", ContentRange(ByteRange(0, 1), None)),
        ("BYTES 0-9/10", ContentRange(ByteRange(0, 10), 10)),
        ("bytes */123", ContentRange(None, 123)),
        ("bytes 5-4/10", None),
        ("bytes 0-10/10", None),
        ("bytes */*", None),
        ("items 0-1/2", None),
        ("bytes=0-1/2", None),
        ("bytes 0-1", None),
        ("bytes -1-2/5", None),
        ("bytes \u0661-\u0662/\u0665", None),
        ("bytes 0-1/2, bytes 3-4/5", None),
        (f"bytes 0-{'9' * 30}/{'9' * 31}", None),
        (None, None),
    ],
)
def test_a_content_range_is_read_strictly(text: str | None, expected: ContentRange | None) -> None:
    assert headers.content_range(text) == expected


@given(st.text(max_size=80))
def test_no_text_breaks_a_parser_or_leaves_its_bounds(text: str) -> None:
    headers.content_range(text)
    headers.next_link([text])
    headers.etag_digest(text)
    headers.http_date(text)
    for wait in (headers.retry_after(text, now=NOW), headers.rate_limit_wait(text)):
        assert wait is None or 0 <= wait <= headers.MAX_WAIT_SECONDS
    lifetime = headers.signed_lifetime(f"https://h/p?{text}", now=NOW)
    assert 0 <= lifetime <= headers.MAX_LIFETIME_SECONDS


@given(st.integers(0, 10**17))
def test_whole_seconds_to_wait_are_taken_but_not_beyond_a_day(seconds: int) -> None:
    wait = headers.retry_after(str(seconds), now=NOW)
    assert wait == min(seconds, headers.MAX_WAIT_SECONDS)


@given(st.integers(0, 80_000), st.integers(-(10**8), 10**8))
def test_a_date_to_wait_for_is_measured_with_the_clock_of_the_server(
    seconds: int, skew: int
) -> None:
    there = NOW + skew
    wait = headers.retry_after(
        formatdate(there + seconds, usegmt=True),
        now=NOW,
        server_date=formatdate(there, usegmt=True),
    )
    assert wait == seconds


def test_a_date_to_wait_for_without_a_server_clock_uses_ours_and_never_goes_back() -> None:
    assert headers.retry_after(formatdate(NOW + 30, usegmt=True), now=NOW) == 30
    assert headers.retry_after(formatdate(NOW - 30, usegmt=True), now=NOW) == 0
    assert headers.retry_after("soon", now=NOW) is None
    assert headers.retry_after("-5", now=NOW) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"resolvers";r=0;t=172', 172.0),
        ('"api";r=5;t=10, "resolvers";r=0;t=20', 20.0),
        ('"resolvers";r=1;t=172', None),
        ('"resolvers";t=172', None),
        ('"resolvers";r=0', None),
        ("r=0; t=3", 3.0),
        ("", None),
        (None, None),
    ],
)
def test_a_rate_limit_means_waiting_only_when_nothing_is_left(
    text: str | None, expected: float | None
) -> None:
    assert headers.rate_limit_wait(text) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (['<https://h/p?a=1,2;3>; rel="next"'], "https://h/p?a=1,2;3"),
        (["</p>; rel=next"], "/p"),
        (['<a>; rel="prev", <b>; title="x"; rel="last next"'], "b"),
        (['<a>; rel="prev"', "<b>; REL=Next"], "b"),
        (['<a>; rel="nextish"'], None),
        (["a; rel=next"], None),
        ([f"<{'a' * 40_000}>; rel=next"], None),
        ([], None),
    ],
)
def test_the_next_page_is_the_link_that_says_so(fields: list[str], expected: str | None) -> None:
    assert headers.next_link(fields) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"Expires={int(NOW) + 100}&Signature=x", 100),
        (f"Expires={int(NOW) - 100}", 0),
        ("X-Amz-Date=20270115T080000Z&X-Amz-Expires=3600", 3600),
        ("x-amz-date=20270115T080000Z&x-amz-expires=600&Expires=1800009999", 600),
        ("X-Goog-Date=20270115T080000Z&X-Goog-Expires=50", 50),
        ("X-Amz-Date=20271399T080000Z&X-Amz-Expires=3600", 3600),
        ("X-Amz-Expires=60", 3600),
        ("Expires=never", 3600),
        ("Expires=999999999999999999", headers.MAX_LIFETIME_SECONDS),
        ("", 3600),
    ],
)
def test_the_life_of_a_signed_url_is_read_from_its_query(query: str, expected: float) -> None:
    assert headers.signed_lifetime(f"https://h/p?{query}", now=1_800_000_000) == expected


def test_an_entity_tag_is_a_digest_only_in_one_of_two_lengths() -> None:
    assert headers.etag_digest(f'"{"a" * 40}"') == Digest("git-sha1", "a" * 40)
    assert headers.etag_digest(f'W/"{"B" * 64}"') == Digest("sha256", "b" * 64)
    assert headers.etag_digest('"abc-1"') is None
    assert headers.normal_etag('W/"x"') == "x"
    assert headers.normal_etag('""') is None


@given(st.text(max_size=800))
def test_cleaned_text_has_nothing_that_drives_a_terminal(text: str) -> None:
    shown = headers.clean_text(text)
    assert len(shown) <= headers.MAX_TEXT_CHARS
    assert not any(unicodedata.category(mark) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for mark in shown)


def test_cleaned_text_shows_what_was_there() -> None:
    assert headers.clean_text("a\x1b[31mb\nc\u202ed é 漢") == "a\\x1b[31mb\\nc\\u202ed é 漢"
    assert headers.clean_text("x" * 600) == "x" * 499 + "…"
    assert headers.clean_text("\n" * 300, 10) == "\\n\\n\\n\\n\\n"[:9] + "…"
