"""What the embedded hub says about a repo, kept, so that another server can say the same.

The pages of the listing are stored as files; the ids of all contents are read from them.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing: what asks for it, the file it was stored in, its `Link` header."""

    folder: str
    recursive: str
    cursors: tuple[str, ...]
    name: str
    link: str


@dataclass(frozen=True, slots=True)
class Large:
    """What the redirect of a file in LFS says; `target` is path and query at the storage."""

    path: str
    target: str
    headers: dict[str, str]


@dataclass(slots=True)
class Captured:
    """A repo as the hub describes it; *small* is git blob ids by path."""

    repo_id: str
    commit: str
    pages: list[Page] = field(default_factory=list)
    small: dict[str, str] = field(default_factory=dict)
    large: list[Large] = field(default_factory=list)


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _Stay())


def ask(url: str, *, method: str = "GET") -> tuple[int, Message, bytes]:
    """Return status, headers and body of the answer to one request; redirects are answers.

    Raises:
        urllib.error.URLError: nobody answered.
    """
    try:
        with _opener.open(urllib.request.Request(url, method=method), timeout=300) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as refusal:  # what urllib calls everything that is not 2xx
        with refusal:
            return refusal.code, refusal.headers, refusal.read()


def capture(
    endpoint: str, repo_id: str, pages: Path, *, public: str, content: bool = True
) -> Captured:
    """Ask the hub at *endpoint* for everything about *repo_id*; store its answers in *pages*.

    *public* is the address that clients will see in place of *endpoint*. Without *content* only the
    listing is kept.
    """
    pages.mkdir(parents=True, exist_ok=True)
    api = f"{endpoint}/api/models/{repo_id}"
    _, _, info = ask(f"{api}/revision/main")
    (pages / "info.json").write_bytes(info)
    captured = Captured(repo_id, json.loads(info)["sha"])
    tree = f"{api}/tree/main"
    for body in _crawl(tree, "", "true", captured, pages, (endpoint, public)):
        if content:
            _note(json.loads(body), captured, endpoint, public)
    root = _crawl(tree, "", "false", captured, pages, (endpoint, public))
    folders = [
        entry["path"] for body in root for entry in json.loads(body) if entry["type"] == "directory"
    ]
    for folder in folders:
        below = f"{tree}/{folder}", f"/{folder}", "true"
        for _ in _crawl(*below, captured, pages, (endpoint, public)):
            pass
    return captured


def _crawl(
    tree: str,
    folder: str,
    recursive: str,
    captured: Captured,
    pages: Path,
    addresses: tuple[str, str],
) -> Iterator[bytes]:
    """Follow the links of one listing, store and yield its pages."""
    url: str | None = f"{tree}?recursive={recursive}&expand=false"
    cursors: tuple[str, ...] = ("",)
    while url:
        _, headers, body = ask(url)
        name = f"{len(captured.pages):06}.json"
        (pages / name).write_bytes(body)
        link = str(headers.get("Link", ""))
        captured.pages.append(
            Page(folder, recursive, cursors, name, link.replace(addresses[0], addresses[1]))
        )
        yield body
        url = link[1:].partition(">")[0] if link else None
        cursors = _cursors(url) if url else ()


def _cursors(url: str) -> tuple[str, ...]:
    """Return the cursor as the link quotes it, and as a client may send it that quotes anew."""
    raw = urlsplit(url).query.rpartition("cursor=")[2]
    return tuple(dict.fromkeys((raw, unquote(raw))))


def _note(entries: list[dict[str, object]], captured: Captured, endpoint: str, public: str) -> None:
    for entry in entries:
        path = str(entry["path"])
        if entry["type"] != "file":
            continue
        if "lfs" not in entry:
            captured.small[path] = str(entry["oid"])
            continue
        _, headers, _ = ask(f"{endpoint}/{captured.repo_id}/resolve/main/{path}")
        place = urlsplit(headers["Location"])
        names = ("X-Linked-Size", "X-Linked-Etag", "X-Xet-Hash", "Link")
        told = {name: str(headers[name]).replace(endpoint, public) for name in names}
        captured.large.append(Large(path, f"{place.path}?{place.query}", told))
