"""Faults in what the API lists."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from hfdl_async.serving.answer import Answer, Call
from hfdl_async.serving.listing import MASK
from hfdl_async.testing.fault_answers import with_headers, without_header

Entries = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class EditTree:
    """Change the entries of a tree page."""

    change: Callable[[Entries], Entries]

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the page with the changed entries."""
        if call.what != "tree" or answer.status != 200 or not isinstance(answer.body, bytes):
            return answer
        return replace(answer, body=json.dumps(self.change(json.loads(answer.body))).encode())


def hostile_names(names: Sequence[str]) -> EditTree:
    """List these names, exactly as they are, as small files behind the true ones."""

    def change(entries: Entries) -> Entries:
        extra: Entries = [
            {"type": "file", "oid": "1" * 40, "size": 3, "path": name} for name in names
        ]
        return entries + extra

    return EditTree(change)


def without_field(name: str) -> EditTree:
    """Leave out one field of every file (`size`, `oid`, `lfs`, `xetHash`)."""
    return EditTree(
        lambda entries: [
            {key: value for key, value in entry.items() if key != name}
            if entry["type"] == "file"
            else entry
            for entry in entries
        ]
    )


def without_digests() -> EditTree:
    """Publish no digest of anything, as some mirrors do."""

    def bare(entry: dict[str, Any]) -> dict[str, Any]:
        kept = ("type", "path", "size")
        return {key: value for key, value in entry.items() if key in kept}

    return EditTree(lambda entries: [bare(entry) for entry in entries])


def masked() -> EditTree:
    """Hide the hashes of large files behind asterisks."""

    def mask(entry: dict[str, Any]) -> dict[str, Any]:
        if "lfs" not in entry:
            return entry
        return {**entry, "lfs": {**entry["lfs"], "oid": MASK}, "xetHash": MASK}

    return EditTree(lambda entries: [mask(entry) for entry in entries])


def wrong_sizes(by: int = 1) -> EditTree:
    """List every file with another size than it has."""
    return EditTree(
        lambda entries: [
            {**entry, "size": entry["size"] + by} if entry["type"] == "file" else entry
            for entry in entries
        ]
    )


@dataclass(frozen=True, slots=True)
class ForeignLink:
    """Name another origin in the Link to the next page, as mirrors that only pass on do."""

    origin: str = "https://huggingface.co"

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the page with the other Link."""
        link = answer.headers.get("Link", "")
        if call.what != "tree" or not link.startswith("<"):
            return answer
        parts = urlsplit(link[1:].partition(">")[0])
        foreign = f'<{self.origin}{parts.path}?{parts.query}>; rel="next"'
        return with_headers(answer, {"Link": foreign})


@dataclass(frozen=True, slots=True)
class LoopingCursor:
    """Let every page say that the first one comes next."""

    endpoint: str

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the page with a Link to a page that was read already."""
        if call.what != "tree" or answer.status != 200:
            return answer
        path = call.target.partition("?")[0]
        link = f'<{self.endpoint}{path}?recursive=true&expand=false&cursor=MDow>; rel="next"'
        return with_headers(without_header(answer, "Link"), {"Link": link})


@dataclass(frozen=True, slots=True)
class JsonErrorList:
    """Refuse with a list of errors in JSON, one of the forms the Hub has."""

    status: int = 400
    messages: tuple[str, ...] = ("first complaint", "second complaint")

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return the refusal."""
        return Answer(
            self.status,
            {"Content-Type": "application/json; charset=utf-8"},
            json.dumps({"error": list(self.messages)}).encode(),
        )
