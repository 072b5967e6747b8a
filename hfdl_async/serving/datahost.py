"""The storage origin: large files behind signed links that expire.

The signature is nothing but a rare string: a link is good if its path and query are, byte for
byte, what was handed out. A client that quotes them anew is thereby found out.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from hfdl_async.serving.answer import Answer, Call
from hfdl_async.serving.ranges import answer_content
from hfdl_async.serving.repos import HostedFile, HostedRepo

# Every one of these is changed by some URL library that "normalises".
TOUCHY = "~%7E%2B%27+%2A%28%2F!"


@dataclass(frozen=True, slots=True)
class SignedLink:
    """What a link gives, and until when (UNIX seconds)."""

    file: HostedFile
    deadline: float


@dataclass
class LinkSigner:
    """Hands out links to the storage origin and knows them again."""

    origin: str
    clock: Callable[[], float] = time.time
    issued: int = 0
    _links: dict[str, SignedLink] = field(default_factory=dict)

    def sign(self, repo: HostedRepo, file: HostedFile, lifetime_seconds: float) -> str:
        """Return an absolute URL that gives *file* for *lifetime_seconds*."""
        assert file.lfs is not None
        self.issued += 1
        deadline = self.clock() + lifetime_seconds
        expires = math.ceil(deadline)
        policy = base64.urlsafe_b64encode(
            json.dumps({"until": deadline, "number": self.issued}).encode()
        ).decode()
        secret = hashlib.sha256(f"{policy}{file.lfs.xet_hash}".encode()).digest()
        signature = base64.urlsafe_b64encode(secret).decode().rstrip("=") + TOUCHY
        name = quote(f"inline; filename*=UTF-8''{quote(file.path.rsplit('/', 1)[-1])}", safe="")
        target = (
            f"/xet-bridge-us/{repo.internal_id}/{file.lfs.xet_hash}"
            f"?response-content-disposition={name}&Expires={expires}&Policy={policy}"
            f"&Signature={signature}&Key-Pair-Id=KLOOPBACK"
        )
        self._links[target] = SignedLink(file, deadline)
        return self.origin + target

    def find(self, target: str) -> SignedLink | None:
        """Return what the path and query *target* gives, expired or not; None if never issued."""
        return self._links.get(target)

    def expire_all(self) -> None:
        """Let every link that was handed out so far expire now."""
        now = self.clock()
        for target, link in self._links.items():
            self._links[target] = SignedLink(link.file, min(link.deadline, now))


def storage_error(status: int, code: str, message: str) -> Answer:
    """Return an error as object stores word it."""
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    )
    return Answer(status, {"Content-Type": "application/xml"}, body.encode())


def understand_data(call: Call, signer: LinkSigner) -> SignedLink | None:
    """Fill *call* from its link, if it is one of ours."""
    call.kind = call.what = "data"
    link = signer.find(call.target)
    if link is not None:
        call.path = link.file.path
    return link


def answer_data(call: Call, link: SignedLink | None, signer: LinkSigner) -> Answer:
    """Answer a request to the storage origin."""
    if "Authorization" in call.headers:
        return storage_error(400, "InvalidArgument", "Only one auth mechanism allowed")
    if link is None:
        return storage_error(403, "SignatureDoesNotMatch", "The signature does not match")
    if signer.clock() >= link.deadline:
        return storage_error(403, "AccessDenied", "Request has expired")
    file = link.file
    assert file.lfs is not None
    headers = {
        "Content-Type": "application/octet-stream",
        "ETag": f'"{file.lfs.xet_hash}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "public, max-age=31536000",
        "X-Cache": "Hit from cloudfront",
    }
    return answer_content(file.content, headers, call.headers)
