"""From the request line, exactly as it came, to what it means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import get_args
from urllib.parse import parse_qs, unquote

from hfdl_async.core.model import RepoType
from hfdl_async.serving.answer import Call
from hfdl_async.serving.repos import HostedRepo

REPO_TYPES: tuple[RepoType, ...] = get_args(RepoType)
_VERBS = frozenset(
    ("revision", "tree", "paths-info", "refs", "auth-check", "xet-read-token", "resolve-cache")
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
# Refs that are not one segment; the web interface does not quote their slashes.
_SLASHED_REVISION = re.compile(r"(refs/(?:pr|convert|heads|tags)/[^/]+)(?:/(.*))?")


class RepoIndex:
    """All repos of a server by type and id, old ids included."""

    def __init__(self, repos: list[HostedRepo]) -> None:
        self._by_name: dict[tuple[RepoType, str], HostedRepo] = {}
        for repo in repos:
            self.add(repo)

    def add(self, repo: HostedRepo) -> None:
        """Serve *repo* from now on."""
        for name in (repo.repo_id, *repo.renamed_from):
            self._by_name[repo.repo_type, name] = repo

    def find(self, repo_type: RepoType, repo_id: str) -> HostedRepo | None:
        """Return the repo of that name, or None."""
        return self._by_name.get((repo_type, repo_id))

    def split(self, repo_type: RepoType, segments: list[str]) -> tuple[str, list[str]]:
        """Cut the repo id (one segment or two) off *segments*; return it and what follows."""
        two = "/".join(segments[:2])
        legacy = len(segments) < 2 or (segments[1] in _VERBS and not self.find(repo_type, two))
        count = 1 if legacy else 2
        return "/".join(segments[:count]), segments[count:]


def understand(call: Call, repos: RepoIndex) -> str:
    """Fill *call* from its target; return the repo id it names, or an empty string."""
    path, _, query = call.target.partition("?")
    if query:
        call.query = {name: values[-1] for name, values in parse_qs(query, True).items()}
    if path.startswith("/api/"):
        return _understand_api(call, path[5:].split("/"), repos)
    before, found, after = path.partition("/resolve/")
    if not found:
        return ""
    call.kind = call.what = "resolve"
    segments = before.strip("/").split("/")
    repo_type: RepoType = "model"
    if len(segments) > 1 and segments[0] in ("datasets", "spaces"):
        repo_type = "dataset" if segments[0] == "datasets" else "space"
        segments = segments[1:]
    repo_id = unquote("/".join(segments))
    call.repo = repos.find(repo_type, repo_id)
    call.revision, call.path = split_revision(after)
    return repo_id


def _understand_api(call: Call, segments: list[str], repos: RepoIndex) -> str:
    call.kind = "api"
    call.what = segments[0]
    cached = segments[0] == "resolve-cache"
    if cached:
        segments = segments[1:]
    plural = segments[0] if segments else ""
    repo_type = next((name for name in REPO_TYPES if f"{name}s" == plural), None)
    if repo_type is None or len(segments) < 2:
        return ""
    if cached:
        place = next(
            (i for i, name in enumerate(segments) if _COMMIT.fullmatch(name)), len(segments)
        )
        repo_id, rest = "/".join(segments[1:place]), ["resolve-cache", *segments[place:]]
        call.kind = "cache"
    else:
        repo_id, rest = repos.split(repo_type, segments[1:])
    repo_id = unquote(repo_id)
    call.what = rest[0] if rest else "info"
    call.repo = repos.find(repo_type, repo_id)
    if rest[1:]:
        call.revision, call.path = split_revision("/".join(rest[1:]))
    return repo_id


def split_revision(rest: str) -> tuple[str, str]:
    """Cut *rest* into revision and path, both decoded; `refs/pr/1/x` may come unquoted."""
    if match := _SLASHED_REVISION.fullmatch(rest):
        return unquote(match[1]), unquote(match[2] or "")
    revision, _, path = rest.partition("/")
    return unquote(revision), unquote(path)


def parse_form(body: bytes) -> Mapping[str, list[str]]:
    """Return the fields of an `application/x-www-form-urlencoded` body."""
    return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True)
