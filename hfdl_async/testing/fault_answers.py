"""Faults that change what is said: status, headers, redirects, pages that are no answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Literal
from urllib.parse import parse_qs

from hfdl_async.serving.answer import Answer, Call, text_answer
from hfdl_async.serving.datahost import storage_error

_PAGE = b"<!doctype html><html><title>Sign in</title><body>Please accept the terms.</body></html>"
_HTML = {"Content-Type": "text/html; charset=utf-8"}


def with_headers(answer: Answer, headers: Mapping[str, str]) -> Answer:
    """Return *answer* with *headers* set."""
    return replace(answer, headers={**answer.headers, **headers})


def without_header(answer: Answer, name: str) -> Answer:
    """Return *answer* without the header *name*, or itself when it has none."""
    kept = {key: value for key, value in answer.headers.items() if key.lower() != name.lower()}
    return answer if len(kept) == len(answer.headers) else replace(answer, headers=kept)


def is_content(answer: Answer) -> bool:
    """Tell whether *answer* carries the content of a file."""
    return answer.status in (200, 206) and "ETag" in answer.headers


@dataclass(frozen=True, slots=True)
class Status:
    """Answer with this status; `headers` are added to those an error of it would have."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = "scripted failure"

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the error."""
        return text_answer(self.status, self.body, self.headers)


@dataclass(frozen=True, slots=True)
class Throttle:
    """Answer 429 in one of the forms that exist.

    `by`: Retry-After in seconds or as a date, `RateLimit: …;r=0;t=N`, or nothing at all.
    """

    seconds: int = 1
    by: Literal["seconds", "date", "ratelimit", "nothing"] = "seconds"

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the refusal; the usual RateLimit headers stay unless it speaks through them."""
        headers = {k: v for k, v in answer.headers.items() if k.startswith("RateLimit")}
        if self.by == "seconds":
            headers["Retry-After"] = str(self.seconds)
        elif self.by == "date":
            headers["Retry-After"] = formatdate(time.time() + self.seconds, usegmt=True)
        elif self.by == "ratelimit":
            headers["RateLimit"] = f'"resolvers";r=0;t={self.seconds}'
        else:
            headers.clear()
        return text_answer(429, "Too Many Requests", headers)


@dataclass(frozen=True, slots=True)
class HtmlPage:
    """Answer with a page, as portals and proxies do; without a word that a Hub would say."""

    status: int = 200

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the page."""
        return Answer(self.status, _HTML, _PAGE)


@dataclass(frozen=True, slots=True)
class Body:
    """Keep status and headers, say something else."""

    body: bytes
    status: int | None = None

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the answer with the other body."""
        return replace(answer, status=self.status or answer.status, body=self.body)


@dataclass(frozen=True, slots=True)
class SetHeaders:
    """Set headers on whatever is answered."""

    headers: Mapping[str, str]

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the answer with the headers."""
        return with_headers(answer, self.headers)


@dataclass(frozen=True, slots=True)
class MissingHeader:
    """Leave out one header, for example `X-Repo-Commit`."""

    name: str

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the answer without it."""
        return without_header(answer, self.name)


@dataclass(frozen=True, slots=True)
class EtagChange:
    """Give content another ETag than before."""

    etag: str = '"' + "e" * 64 + '"'

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the content under the other ETag."""
        return with_headers(answer, {"ETag": self.etag}) if is_content(answer) else answer


@dataclass(frozen=True, slots=True)
class LinkedEtagChange:
    """Claim another digest (and size) on the redirect to the storage."""

    digest: str = "e" * 64
    size: int | None = None

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the redirect with the other claims."""
        if "X-Linked-Etag" not in answer.headers:
            return answer
        changed = {"X-Linked-Etag": f'"{self.digest}"'}
        if self.size is not None:
            changed["X-Linked-Size"] = str(self.size)
        return with_headers(answer, changed)


@dataclass(frozen=True, slots=True)
class RefuseLink:
    """Let the storage refuse a link that is good."""

    status: int = 403
    code: str = "AccessDenied"
    message: str = "Request has expired"

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the storage's refusal."""
        return storage_error(self.status, self.code, self.message)


@dataclass(frozen=True, slots=True)
class RedirectTo:
    """Redirect elsewhere. Headers of a true redirect are kept, so that it looks like one."""

    location: str
    status: int = 302

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the redirect."""
        kept = answer.headers if "Location" in answer.headers else {}
        return text_answer(self.status, "Redirecting", {**kept, "Location": self.location})


@dataclass(frozen=True, slots=True)
class RedirectLoop:
    """Redirect to the very same address."""

    status: int = 302

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the redirect."""
        return text_answer(self.status, "Redirecting", {"Location": call.target})


@dataclass(frozen=True, slots=True)
class RedirectChain:
    """Redirect *hops* times on the same host before answering."""

    hops: int

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the next redirect, or the true answer at the end of the chain."""
        path, _, query = call.target.partition("?")
        done = int(parse_qs(query).get("hop", ["0"])[0])
        if done >= self.hops:
            return answer
        return text_answer(307, "Redirecting", {"Location": f"{path}?hop={done + 1}"})


@dataclass(frozen=True, slots=True)
class Alter:
    """Do anything: the function gets call and answer, and returns what is sent."""

    change: Callable[[Call, Answer], Answer]

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return what the function returns."""
        return self.change(call, answer)
