from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.errors import UnsafeError
from hfdl_async.net.urls import Origin, join_url, parse_url


@pytest.mark.parametrize(
    "text",
    [
        "https://h.example/a%7Eb/c%27d?sig=%2F%2B~*'()&x=%28%29",
        "http://127.0.0.1:8642/x",
        "https://[2001:db8::1]:444/p?q",
        "https://h/a//b/../c",
    ],
)
def test_the_bytes_of_a_url_are_kept(text: str) -> None:
    assert parse_url(text).exact == text


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("https://hub.example/a", "https://HUB.Example:443/b", True),
        ("http://hub.example", "http://hub.example:80/", True),
        ("https://hub.example", "http://hub.example", False),
        ("https://hub.example", "https://hub.example:8443", False),
        ("https://hub.example", "https://hub.example.evil.example", False),
        ("https://hub.example", "https://hub.example./", False),
        ("http://localhost:1", "http://127.0.0.1:1", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(one: str, other: str, same: bool) -> None:
    assert (parse_url(one).origin == parse_url(other).origin) is same


@pytest.mark.parametrize(
    "text",
    [
        "ftp://h/p",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "//h/p",
        "https:h/p",
        "https://",
        "https://user:secret@h/p",
        "https://secret@h",
        "https://h\\@evil/p",
        "https://h:0/p",
        "https://h:99999/p",
        "https://h:8x/p",
        "https://a b/p",
        "https://é.example/p",
        "https://h%2eexample/p",
        "https://[::1/p",
        "https://h/\ud800",
        "https://h/" + "a" * 20_000,
    ],
)
def test_an_address_that_parsers_could_disagree_on_is_refused(text: str) -> None:
    with pytest.raises(UnsafeError) as caught:
        parse_url(text)
    assert "secret" not in str(caught.value)


@given(st.text(max_size=60))
def test_whatever_is_accepted_can_stand_in_a_request_line(text: str) -> None:
    try:
        url = parse_url(f"https://h/{text}")
    except UnsafeError:
        return
    assert url.exact.isascii()
    assert url.exact.isprintable()
    assert " " not in url.exact
    assert url.origin == Origin("https", "h", 443)


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/x?%2Fa=&etag=%22b%22", "https://h:1/x?%2Fa=&etag=%22b%22"),
        ("//other/p", "https://other/p"),
        ("http://other/p", "http://other/p"),
        ("?b=2", "https://h:1/dir/file?b=2"),
        ("sib", "https://h:1/dir/sib"),
        ("../up", "https://h:1/up"),
        ("/with space/é", "https://h:1/with%20space/%C3%A9"),
        ("/a#fragment", "https://h:1/a"),
    ],
)
def test_a_location_points_where_a_browser_would_go(location: str, expected: str) -> None:
    assert join_url(parse_url("https://h:1/dir/file?a=1"), location).exact == expected


def test_neither_text_nor_repr_shows_a_query() -> None:
    url = parse_url("https://h/p?Signature=secret")
    assert "secret" not in f"{url} {url!r} {url}"
    assert str(url) == "https://h/p?…"
    assert url.target == "/p?Signature=secret"
    assert url.path == "/p"
    assert parse_url("https://h?x=1").target == "/?x=1"


def test_a_site_is_named_without_its_usual_port() -> None:
    assert parse_url("https://h:443/").origin.site == "h"
    assert parse_url("http://[::1]:8/").origin.site == "[::1]:8"


def test_the_host_field_has_no_dot_at_its_end() -> None:
    assert parse_url("https://h.example.:444/").origin.authority == "h.example:444"
    assert parse_url("http://[::1]:80/").origin.authority == "[::1]"
