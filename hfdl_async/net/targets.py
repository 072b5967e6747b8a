"""What a user types for a repo: a name, an `hf://` address, or what the browser shows.

The library's parser knows `hf://` and web addresses of namespaced repos; this one also knows
single names (`gpt2`), single-name web addresses and an endpoint with a port, and says which two
things contradict each other. A test holds it against the library's wherever both can read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from hfdl_async.core.model import RepoRef, RepoType
from hfdl_async.errors import UnsafeError, UsageError
from hfdl_async.net.endpoints import DEFAULT_ENDPOINT, default_endpoint, normalise_endpoint
from hfdl_async.net.headers import clean_text
from hfdl_async.net.urls import parse_url

_TYPES: dict[str, RepoType] = {"models": "model", "datasets": "dataset", "spaces": "space"}
_NOT_OURS = {"kernels", "buckets", "collections", "papers", "docs", "blog"}
_SINGULAR = {"model": "models", "dataset": "datasets", "space": "spaces"}
_FILE_ROUTES = {"blob", "resolve", "raw", "blame"}
_ROUTES = _FILE_ROUTES | {"tree"}
_SLASHED = re.compile(r"refs/(?:convert/[\w.\-]+|pr/[0-9]+)(?=/|$)")  # revisions with a slash
# What every grammar of ids has allowed; the library, which knows the rest, is slow to load.
_PLAIN_ID = re.compile(r"(\w+([-.]\w+)*/)?\w+([-.]\w+)*", re.ASCII)
_PLAIN_ID_LENGTH = 96
HINT = "write org/name, datasets/org/name, hf://… or the address of the repo's web page"


@dataclass(frozen=True, slots=True)
class Target:
    """A repo, and the path in it that an address named; a path that ends in `/` is a folder."""

    repo: RepoRef
    path: str | None = None


@dataclass(frozen=True, slots=True)
class _Parts:
    """What an address says; None is "does not say"."""

    repo_id: str
    repo_type: RepoType | None = None
    revision: str | None = None
    path: str | None = None


def parse_target(
    text: str,
    *,
    repo_type: RepoType | None = None,
    revision: str | None = None,
    endpoint: str | None = None,
) -> Target:
    """Return what *text* names, with the options *repo_type*, *revision* and *endpoint* if given.

    Raises:
        UsageError: it names no repo, or contradicts an option.
    """
    text = text.strip()
    base = default_endpoint() if endpoint is None else normalise_endpoint(endpoint)
    if text.lower().startswith(("http://", "https://")):
        parts = _from_web(text, base)
    elif _host_of(text) in _web_hosts(base):
        scheme = "https" if _host_of(text) != parse_url(base).origin.site else base.split(":")[0]
        parts = _from_web(f"{scheme}://{text}", base)
    elif text.startswith("hf://"):
        parts = _from_uri(text, text[len("hf://") :])
    elif "://" in text:
        raise UsageError(f"{_shown(text)} is not the address of a repo", hint=HINT)
    else:
        parts = _from_name(text)
    if not valid_repo_id(parts.repo_id):
        raise UsageError(f"{_shown(parts.repo_id)} is not the name of a repo", hint=HINT)
    _agreed("type", parts.repo_type, repo_type, "--repo-type")
    kind: RepoType = repo_type or parts.repo_type or "model"
    asked = _agreed("revision", parts.revision, revision, "--revision")
    asked = "main" if asked is None else asked
    if not asked or not asked.isprintable() or " " in asked or len(asked) > 500:
        raise UsageError(f"{_shown(asked)} is not a revision", hint="a branch, tag or commit")
    return Target(RepoRef(parts.repo_id, kind, asked, base), parts.path)


def valid_repo_id(text: str) -> bool:
    """Return whether *text* is a repo id by the library's grammar."""
    if len(text) <= _PLAIN_ID_LENGTH and _PLAIN_ID.fullmatch(text) and not text.endswith(".git"):
        return True
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined] # lazy export

    try:
        validate_repo_id(text)
    except HFValidationError:
        return False
    return True


def _agreed(word: str, said: str | None, option: str | None, flag: str) -> str | None:
    if said is not None and option is not None and said != option:
        raise UsageError(
            f"the address says {word} {_shown(said)}, {flag} says {_shown(option)}",
            hint=f"leave one of them out: the address or {flag}",
        )
    return option if said is None else said


def _from_name(text: str) -> _Parts:
    """Read `[type/]name` or `[type/]org/name`, with `@revision`; a revision may have slashes."""
    name, mark, revision = text.partition("@")
    kind, name = _split_type(text, name.strip("/"))
    if name.count("/") > 1:
        repo, path = _cut(name, 2)
        raise UsageError(
            f"{_shown(text)} has too many parts for the name of a repo",
            hint=f"to name a file, write: {_bare(repo)} {_bare(path)}",
        )
    return _Parts(name, kind, revision if mark else None)


def _from_uri(text: str, body: str) -> _Parts:
    """Read what follows `hf://`: `[type/]org/name[@revision][/path]`, or `name[@revision]`."""
    kind, rest = _split_type(text, body.strip("/"))
    head, mark, tail = rest.partition("@")
    if not mark or head.count("/") > 1:  # an @ further on is part of a file name
        repo_id, path = _cut(rest, 2)
        return _Parts(repo_id, kind, None, path or None)
    found = _SLASHED.match(tail)
    revision, path = (found[0], tail[found.end() + 1 :]) if found else _cut(tail, 1)
    return _Parts(head, kind, unquote(revision), path or None)


def _from_web(text: str, base: str) -> _Parts:
    """Read the address of a page of the endpoint, or of the public Hub whatever the endpoint."""
    try:
        url = parse_url(text)
    except UnsafeError:
        raise UsageError("that web address cannot be used", hint=HINT) from None
    home = parse_url(base)
    path = url.path
    if url.origin == home.origin:
        prefix = home.path.rstrip("/")
        path = path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path
    elif url.origin.host not in {"huggingface.co", "hf.co"}:
        raise UsageError(
            f"{url.origin.site} is not the endpoint ({home.origin.site})",
            hint=f"to download from there, pass --endpoint {url.origin} and the repo's name",
        )
    segments = [part for part in path.split("/") if part]
    kind, rest = _split_type(text, "/".join(segments))
    repo, mark, revision = rest.partition("@")
    if mark and repo.count("/") <= 1:  # org/name@revision, as the address bar never shows
        return _Parts(repo, kind or "model", unquote(revision))
    # Everything on the web has a namespace, save a few old models: gpt2/tree/main.
    parts = rest.split("/")
    single = len(parts) > 2 and parts[1] in _ROUTES and parts[2] not in _ROUTES
    repo, rest = _cut(rest, 1 if single else 2)
    route, tail = _cut(rest, 1)
    if not route or (route == "tree" and not tail):
        return _Parts(repo, kind or "model")
    if route not in _ROUTES or not tail:
        raise UsageError(f"{_shown(str(url))} is no page of a repo, folder or file", hint=HINT)
    found = _SLASHED.match(tail)
    revision, path = (found[0], tail[found.end() + 1 :]) if found else _cut(tail, 1)
    path = unquote(path)
    if path and route == "tree":
        path = path.rstrip("/") + "/"
    return _Parts(repo, kind or "model", unquote(revision), path or None)


def _split_type(text: str, body: str) -> tuple[RepoType | None, str]:
    first, rest = _cut(body, 1)
    if first in _TYPES:
        if not rest:
            raise UsageError(f"{_shown(text)} names no repo", hint=HINT)
        return _TYPES[first], rest
    if first in _SINGULAR and rest:
        raise UsageError(
            f"{_shown(text)}: the type is written in the plural",
            hint=f"write {_SINGULAR[first]}/{_bare(rest)}",
        )
    if first in _NOT_OURS and rest:
        raise UsageError(f"{_shown(text)}: {first} cannot be downloaded", hint=HINT)
    return None, body


def _cut(text: str, segments: int) -> tuple[str, str]:
    """Return the first *segments* of *text*, and the rest without the slash between."""
    parts = text.split("/", segments)
    return "/".join(parts[:segments]), "/".join(parts[segments:])


def _host_of(text: str) -> str:
    return text.partition("/")[0].lower() if "/" in text else ""


def _web_hosts(base: str) -> set[str]:
    return {parse_url(DEFAULT_ENDPOINT).origin.site, "hf.co", parse_url(base).origin.site}


def _shown(text: str) -> str:
    return repr(_bare(text))


def _bare(text: str) -> str:
    return clean_text(text, 200)
