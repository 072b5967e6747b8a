"""What an answer that is not the content means: the Hub's refusals as errors of ours.

The Hub names the class in `X-Error-Code`; mirrors and proxies often do not, so the status and the
form of the body decide then. The order of the checks is the Hub's own: the gate wins over
existence.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

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
from hfdl_async.net.headers import clean_text, rate_limit_wait, retry_after

MAX_ERROR_BYTES = 64 * 1024
LOGIN_HINT = "log in with `hf auth login`, or pass --token, if it is private; else check the name"
_S3_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,60})</Code>")
_PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for, and as whom."""

    repo: RepoRef
    anonymous: bool
    path: str | None = None

    @property
    def subject(self) -> str:
        """What messages begin with."""
        if self.path is None:
            return self.repo.repo_id
        return f"{clean_text(self.path, 200)} of {self.repo.repo_id}"

    @property
    def page(self) -> str:
        """The web page of the repo."""
        return f"{self.repo.endpoint}/{_PREFIXES[self.repo.repo_type]}{self.repo.repo_id}"


def stated_wait(answer: Answer, *, now: float) -> float | None:
    """Return the seconds of patience *answer* asks for, or None when it states none."""
    stated = retry_after(answer.header("Retry-After"), now=now, server_date=answer.header("Date"))
    if stated is not None:
        return stated
    return rate_limit_wait(answer.header("RateLimit"))


def is_throttle(answer: Answer) -> bool:
    """Return whether *answer* asks the whole client for patience."""
    return answer.status == 429 or (
        answer.status == 503 and answer.header("Retry-After") is not None
    )


async def read_refusal(answer: Answer, asked: Asked, *, now: float) -> HfdlError:
    """Return the error that *answer*, which is not the content, stands for; closes it.

    At most `MAX_ERROR_BYTES` of its body are read, and none of them are trusted.
    """
    try:
        body = await answer.body(MAX_ERROR_BYTES)
    except NetworkError:
        body = b""
    return refusal(answer, body, asked, now=now)


def refusal(answer: Answer, body: bytes, asked: Asked, *, now: float) -> HfdlError:
    """Return the error that the status, the headers and the *body* of *answer* stand for."""
    said = clean_text(" ".join((answer.header("X-Error-Message") or _text_of(body)).split()))
    error = _classified(answer, body, said, asked, now=now)
    error.refusal = Refusal(
        answer.url.exact.partition("?")[0],  # a query may be a signature
        answer.status,
        clean_text(answer.header("X-Error-Code") or "", 100),
        said,
        clean_text(answer.header("X-Request-Id") or "", 200),
    )
    return error


def _classified(answer: Answer, body: bytes, said: str, asked: Asked, *, now: float) -> HfdlError:
    status, site = answer.status, answer.url.origin.site
    code = answer.header("X-Error-Code") or ""
    tail = f": {said}" if said else ""
    if is_throttle(answer):
        return RateLimitedError(
            f"{asked.subject}: {site} asks for patience (HTTP {status}){tail}",
            hint="fewer connections (-t), or log in: the limits are higher then",
            retry_after_seconds=stated_wait(answer, now=now),
        )
    if status in {408, 425} or status >= 500:
        return ServerError(f"{asked.subject}: {site} failed (HTTP {status}){tail}")
    if code == "GatedRepo" and status in {401, 403}:
        return _gated(status, said, asked)
    refused_token = status == 401 and not asked.anonymous  # whatever else is said: it comes first
    if code in {"RepoNotFound", "RevisionNotFound", "EntryNotFound"} and not refused_token:
        return _not_found(code, status, asked)
    if status in {401, 403, 451}:
        return _no_access(status, tail, asked)
    if status == 407:
        return NetworkError(
            f"{asked.subject}: a proxy wants a login (HTTP 407)",
            hint="check the proxy settings",
        )
    if status == 404:
        if _is_page(answer, body):
            return not_a_hub(asked.subject, site, "a web page says HTTP 404")
        return _not_found(code, status, asked)
    if 200 <= status < 400:
        return ProtocolError(f"{asked.subject}: {site} gave an answer without content ({status})")
    return NetworkError(f"{asked.subject}: {site} refused the request (HTTP {status}){tail}")


def not_a_hub(subject: str, site: str, seen: str) -> ProtocolError:
    """Return the error for an answer that no Hub gives: *seen* says what it was."""
    return ProtocolError(
        f"{subject}: {site} is not a Hub: {seen}",
        hint="a sign-in portal or a proxy in between? check the network and --endpoint",
    )


def storage_reason(body: bytes) -> str:
    """Return the error code of a storage host's XML, or nothing.

    Only the code: the rest of such a body repeats parts of the signed request.
    """
    found = _S3_CODE.search(body.decode("utf-8", "replace"))
    return found[1] if found else ""


def is_html(answer: Answer) -> bool:
    """Return whether the body claims to be a web page."""
    kind = (answer.header("Content-Type") or "").partition(";")[0].strip().lower()
    return kind in {"text/html", "application/xhtml+xml"}


def _is_page(answer: Answer, body: bytes) -> bool:
    return is_html(answer) or body[:256].lstrip().lower().startswith((b"<!doctype", b"<html"))


def _gated(status: int, said: str, asked: Asked) -> GatedError:
    hint = f"ask for access on {asked.page}"
    if asked.anonymous:
        hint += ", then run `hf auth login` or pass --token"
    return GatedError(
        f"{asked.subject}: access is restricted (HTTP {status}){': ' + said if said else ''}",
        hint=hint,
        url=asked.page,
    )


def _not_found(code: str, status: int, asked: Asked) -> NotFoundError:
    repo = asked.repo
    if code == "RevisionNotFound":
        revision = clean_text(repo.revision, 100)
        return NotFoundError(
            f"{repo.repo_id}: there is no revision {revision!r} (HTTP {status})",
            hint="check --revision; a commit may have been removed by a force push",
        )
    if code == "EntryNotFound" or (asked.path is not None and code != "RepoNotFound"):
        return NotFoundError(
            f"{asked.subject}: there is no such file in this revision (HTTP {status})",
            hint="check the name and --revision",
        )
    hint = f"check the name: is it really a {repo.repo_type}?"
    if asked.anonymous:
        hint = LOGIN_HINT
    elif repo.repo_type == "model":
        hint = "check the name, and that the token may read it; a data set needs -r dataset"
    return NotFoundError(
        f"{repo.repo_id}: no such {repo.repo_type} on {repo.endpoint} (HTTP {status})", hint=hint
    )


def _no_access(status: int, tail: str, asked: Asked) -> HfdlError:
    repo = asked.repo
    if status == 451:
        return AccessError(
            f"{asked.subject}: not available for legal reasons (HTTP 451){tail}",
            hint=f"see {asked.page}",
        )
    if status == 401 and asked.anonymous:
        # The Hub answers a stranger alike for what is private and for what does not exist.
        return NotFoundError(f"{repo.repo_id}: not found, or private (HTTP 401)", hint=LOGIN_HINT)
    if status == 401:
        return AccessError(
            f"{asked.subject}: the Hub does not accept the token (HTTP 401){tail}",
            hint="it may be expired or mistyped: run `hf auth login`, or pass another --token",
        )
    if "resource is disabled" in tail:
        return AccessError(f"{asked.subject}: the Hub disabled this repo (HTTP 403)")
    return AccessError(
        f"{asked.subject}: the Hub refused access (HTTP 403){tail}",
        hint=LOGIN_HINT if asked.anonymous else "does the token have the right to read this repo?",
    )


def _text_of(body: bytes) -> str:
    """Return the message in an error body: JSON in its known forms, or plain text."""
    text = body.decode("utf-8", "replace").strip()
    if not text or len(body) > MAX_ERROR_BYTES or text.startswith("<"):
        return ""
    try:
        return _message_in(json.loads(text))
    except (ValueError, RecursionError):
        return "" if text.startswith(("{", "[")) else text


def _message_in(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "; ".join(filter(None, map(_message_in, value[:5])))
    if isinstance(value, dict):
        for key in ("error_description", "error", "message", "errors"):
            if text := _message_in(value.get(key)):
                return text
    return ""
