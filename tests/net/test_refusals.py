from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.model import RepoRef
from hfdl_async.errors import (
    AccessError,
    GatedError,
    HfdlError,
    NetworkError,
    NotFoundError,
    ProtocolError,
    RateLimitedError,
    Refusal,
    ServerError,
)
from hfdl_async.net.answer import Answer
from hfdl_async.net.refusals import Asked, refusal, storage_reason
from hfdl_async.net.urls import parse_url

NOW = 1_800_000_000.0
REPO = RepoRef("org/name", "model", "v9", "https://hub.example")


class Said:
    """The part of an answer that a refusal is read from."""

    def __init__(self, status: int, headers: Mapping[str, str]) -> None:
        self.status = status
        self.url = parse_url("https://hub.example/x?Signature=secret")
        self._headers = headers

    def header(self, name: str) -> str | None:
        return self._headers.get(name)


def read(
    status: int,
    body: bytes = b"",
    *,
    anonymous: bool = False,
    path: str | None = None,
    **headers: str,
) -> HfdlError:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = cast("Answer", Said(status, fields))
    return refusal(answer, body, Asked(REPO, anonymous, path), now=NOW)


@pytest.mark.parametrize(
    ("status", "code", "anonymous", "path", "kind", "words"),
    [
        (401, "", True, None, NotFoundError, "not found, or private"),
        (401, "RepoNotFound", True, None, NotFoundError, "no such model"),
        (404, "RepoNotFound", False, None, NotFoundError, "no such model"),
        (404, "", False, None, NotFoundError, "no such model"),
        (401, "", False, None, AccessError, "does not accept the token"),
        (401, "GatedRepo", True, "a.bin", GatedError, "a.bin of org/name: access is restricted"),
        (403, "GatedRepo", False, None, GatedError, "access is restricted"),
        (404, "RevisionNotFound", False, None, NotFoundError, "no revision 'v9'"),
        (404, "EntryNotFound", False, "a.bin", NotFoundError, "a.bin of org/name: there is no"),
        (404, "", False, "a.bin", NotFoundError, "no such file"),
        (403, "", False, "a.bin", AccessError, "the Hub refused access (HTTP 403)"),
        (451, "", False, None, AccessError, "legal reasons"),
        (407, "", False, None, NetworkError, "proxy"),
        (408, "", False, None, ServerError, "HTTP 408"),
        (425, "", False, None, ServerError, "HTTP 425"),
        (500, "", False, None, ServerError, "HTTP 500"),
        (503, "", False, None, ServerError, "HTTP 503"),
        (429, "", False, None, RateLimitedError, "patience"),
        (204, "", False, None, ProtocolError, "without content"),
        (304, "", False, None, ProtocolError, "without content"),
        (400, "", False, None, NetworkError, "HTTP 400"),
        (409, "", False, None, NetworkError, "HTTP 409"),
    ],
)
def test_each_refusal_of_the_hub_is_the_error_it_stands_for(
    status: int, code: str, anonymous: bool, path: str | None, kind: type[HfdlError], words: str
) -> None:
    error = read(status, anonymous=anonymous, path=path, X_Error_Code=code)
    assert type(error) is kind
    assert words in error.message


def test_an_error_carries_what_was_answered_and_no_signature() -> None:
    error = read(
        404, X_Error_Code="RepoNotFound", X_Error_Message="gone\x1b[2J", X_Request_Id="Root=1-2"
    )
    assert error.refusal is not None
    assert error.refusal.message.startswith("gone")
    assert "\x1b" not in error.refusal.message
    message = error.refusal.message
    expected = Refusal("https://hub.example/x", 404, "RepoNotFound", message, "Root=1-2")
    assert error.refusal == expected


def test_a_gate_names_the_page_where_it_opens() -> None:
    error = read(403, X_Error_Code="GatedRepo", X_Error_Message="Your request is pending")
    assert isinstance(error, GatedError)
    assert error.url == "https://hub.example/org/name"
    assert error.url in str(error.hint)
    assert "Your request is pending" in error.message


def test_an_anonymous_caller_is_told_to_log_in() -> None:
    assert "hf auth login" in str(read(401, anonymous=True).hint)
    assert "hf auth login" in str(read(401).hint)


def test_a_disabled_repo_is_said_to_be_disabled() -> None:
    error = read(403, X_Error_Message="Access to this resource is disabled.")
    assert type(error) is AccessError
    assert "disabled this repo" in error.message


def test_a_web_page_instead_of_a_404_of_the_hub_is_no_hub() -> None:
    for error in (read(404, b"<!DOCTYPE html>"), read(404, Content_Type="text/html; charset=x")):
        assert type(error) is ProtocolError
        assert "not a Hub" in error.message


@pytest.mark.parametrize(
    ("headers", "wait"),
    [({"Retry_After": "12"}, 12.0), ({"RateLimit": '"api";r=0;t=8'}, 8.0), ({}, None)],
)
def test_a_throttle_keeps_the_wait_that_was_stated(
    headers: dict[str, str], wait: float | None
) -> None:
    error = read(429, b"", **headers)  # type: ignore[arg-type]
    assert isinstance(error, RateLimitedError)
    assert error.retry_after_seconds == wait
    busy = read(503, Retry_After="3")
    assert isinstance(busy, RateLimitedError)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"error": "first"}', "first"),
        (b'{"error": ["one", "two"]}', "one; two"),
        (b'{"error": "code", "error_description": "why"}', "why"),
        (b'{"errors": [{"message": "deep"}]}', "deep"),
        (b"plain words", "plain words"),
    ],
)
def test_the_message_of_a_body_is_found_in_every_known_form(body: bytes, words: str) -> None:
    assert read(400, body).message.endswith(f": {words}")


@pytest.mark.parametrize(
    "body", [b"<html>x</html>", b'{"error": ', b"[" * 60_000, b"{}", b"x" * 70_000, b"\xff\xfe\x00"]
)
def test_a_body_that_says_nothing_adds_nothing_harmful(body: bytes) -> None:
    message = read(400, body).message
    assert len(message) < 700
    assert message.isprintable()


@given(st.binary(max_size=200), st.sampled_from([400, 401, 403, 404, 429, 500]))
def test_no_body_breaks_the_reading_of_a_refusal(body: bytes, status: int) -> None:
    assert read(status, body).message.isprintable()


@given(st.recursive(st.none() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)))
def test_no_json_breaks_the_reading_of_a_refusal(value: object) -> None:
    assert read(400, json.dumps({"error": value}).encode()).message.isprintable()


def test_names_and_messages_of_a_server_cannot_drive_the_terminal() -> None:
    error = read(404, path="a\x1b[2J.bin", X_Error_Message="\u202eevil\n")
    assert error.message.isprintable()
    assert "a\\x1b[2J.bin" in error.message


def test_of_a_storage_hosts_xml_only_the_code_is_told() -> None:
    body = b"<Error><Code>AccessDenied</Code><StringToSign>secret</StringToSign></Error>"
    assert storage_reason(body) == "AccessDenied"
    assert storage_reason(b"<Code>" + b"x" * 100 + b"</Code>") == ""
