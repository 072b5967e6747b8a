from __future__ import annotations

import json
from typing import Literal

import pytest

from hfdl_async.serving.access import (
    Persona,
    bearer,
    check,
    entry_missing,
    persona,
    refusal,
    repo_missing,
    revision_missing,
    sees_hashes,
)
from hfdl_async.serving.answer import Answer, Call, Kind
from hfdl_async.serving.repos import HostedRepo
from hfdl_async.serving.settings import READER_TOKEN, STRANGER_TOKEN, Settings

TOKENS = {"anonymous": None, "reader": READER_TOKEN, "stranger": STRANGER_TOKEN, "unknown": "hf_x"}
OPEN = HostedRepo.from_files("o/open", {"README.md": b"", "f": b""})
GATED = HostedRepo.from_files("o/gated", {"README.md": b"", "f": b""}, gated="auto")
PRIVATE = HostedRepo.from_files("o/private", {"f": b""}, private=True)
DISABLED = HostedRepo("o/disabled", disabled=True)


def call(who: str, kind: Kind = "resolve") -> Call:
    return Call("hub", "GET", "/", {}, ("", 0), kind=kind, token=TOKENS[who])


def said(answer: Answer | None) -> tuple[int, str | None] | None:
    return None if answer is None else (answer.status, answer.headers.get("X-Error-Code"))


@pytest.mark.parametrize(
    ("repo", "route", "who", "refused"),
    [
        (OPEN, "content", "anonymous", None),
        (OPEN, "content", "stranger", None),
        (OPEN, "content", "unknown", (401, None)),
        (GATED, "content", "anonymous", (401, "GatedRepo")),
        (GATED, "content", "stranger", (403, "GatedRepo")),
        (GATED, "content", "unknown", (401, None)),
        (GATED, "content", "reader", None),
        (GATED, "facts", "anonymous", None),
        (GATED, "facts", "stranger", None),
        (PRIVATE, "facts", "anonymous", (401, "RepoNotFound")),
        (PRIVATE, "facts", "unknown", (401, "RepoNotFound")),
        (PRIVATE, "content", "stranger", (404, "RepoNotFound")),
        (PRIVATE, "content", "reader", None),
        (DISABLED, "content", "reader", (403, None)),
    ],
)
def test_the_table_of_refusals(
    repo: HostedRepo,
    route: Literal["facts", "content"],
    who: str,
    refused: tuple[int, str | None] | None,
) -> None:
    assert said(check(call(who), repo, Settings(), route=route)) == refused


def test_card_of_a_gated_repo_is_for_everybody_and_the_rest_is_not() -> None:
    assert GATED.head is not None
    files = GATED.head.files
    who = call("anonymous")
    assert check(who, GATED, Settings(), route="content", file=files["README.md"]) is None
    assert check(who, GATED, Settings(), route="content", file=files["f"]) is not None


def test_a_missing_repo_cannot_be_told_from_a_private_one() -> None:
    for who in ("anonymous", "stranger", "unknown"):
        hidden = check(call(who), PRIVATE, Settings(), route="content")
        assert repo_missing(call(who), Settings()) == hidden


def test_the_code_on_401_can_be_left_out_as_the_hub_does() -> None:
    answer = repo_missing(call("anonymous"), Settings(code_on_401=False))
    assert said(answer) == (401, None)
    assert answer.headers["X-Error-Message"] == "Invalid username or password."
    assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


def test_errors_are_json_under_api_and_text_elsewhere() -> None:
    assert isinstance(refusal(call("reader", "api"), 404, None, "gone").body, bytes)
    body = refusal(call("reader", "api"), 404, None, "gone").body
    assert isinstance(body, bytes)
    assert json.loads(body) == {"error": "gone"}
    assert refusal(call("reader"), 404, None, "gone").body == b"gone"


def test_missing_revisions_and_files_have_their_codes() -> None:
    assert OPEN.head is not None
    assert said(revision_missing(call("reader"))) == (404, "RevisionNotFound")
    missing = entry_missing(call("reader"), OPEN.head)
    assert said(missing) == (404, "EntryNotFound")
    assert missing.headers["X-Repo-Commit"] == OPEN.head.oid


def test_hashes_of_a_gated_repo_are_shown_to_readers_only() -> None:
    seen = {who: sees_hashes(call(who), GATED, Settings()) for who in TOKENS}
    assert seen == {"anonymous": False, "reader": True, "stranger": False, "unknown": False}
    assert sees_hashes(call("anonymous"), OPEN, Settings())


def test_personas_are_known_by_their_token() -> None:
    settings = Settings()
    assert {persona(token, settings) for token in TOKENS.values()} == set(Persona)
    assert bearer({"Authorization": "Bearer hf_a"}) == "hf_a"
    assert bearer({}) is None
