"""Addresses at the Hub: the endpoint itself, its API routes, its files.

Built here, and compared by a test with the library's byte for byte: its own builder is bound to
the endpoint of import time.
"""

from __future__ import annotations

import os
from urllib.parse import quote

from hfdl_async.core.model import RepoRef
from hfdl_async.errors import UnsafeError, UsageError
from hfdl_async.net.headers import clean_text
from hfdl_async.net.urls import parse_url

DEFAULT_ENDPOINT = "https://huggingface.co"
PREFIXES = {"model": "", "dataset": "datasets/", "space": "spaces/"}
_API_KINDS = {"model": "models", "dataset": "datasets", "space": "spaces"}


def default_endpoint() -> str:
    """Return the endpoint of the environment, read now and not at import.

    Raises:
        UsageError: `HF_ENDPOINT` is no endpoint.
    """
    return normalise_endpoint(os.environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT)


def normalise_endpoint(text: str) -> str:
    """Return *text* as an endpoint: http(s), no credentials, no query, no trailing slash.

    Raises:
        UsageError: it is none.
    """
    hint = "an endpoint looks like https://huggingface.co or http://localhost:8642"
    try:
        url = parse_url(text.strip())
    except UnsafeError:
        # Not chained and not shown: what was refused may be a password in the address.
        raise UsageError("the endpoint is not an http or https address", hint=hint) from None
    if "?" in text or "#" in text:
        raise UsageError("an endpoint has no query and no fragment", hint=hint)
    return url.exact.rstrip("/")


def api_url(repo: RepoRef, tail: str) -> str:
    """Return the address of an API route of *repo*; *tail* is quoted already."""
    return f"{repo.endpoint}/api/{_API_KINDS[repo.repo_type]}/{repo.repo_id}/{tail}"


def resolve_url(repo: RepoRef, commit: str, path: str) -> str:
    """Return the address of a file, quoted exactly as the library's `hf_hub_url` does.

    Raises:
        UnsafeError: *path* is not text (a lone surrogate).
    """
    try:
        quoted_path = quote(path)
    except UnicodeEncodeError as error:
        raise UnsafeError(f"{clean_text(path, 200)}: the name is not valid Unicode") from error
    prefix = PREFIXES[repo.repo_type]
    return f"{repo.endpoint}/{prefix}{repo.repo_id}/resolve/{quoted(commit)}/{quoted_path}"


def quoted(revision: str) -> str:
    """Return *revision* as one path segment: nothing is safe, not even a slash."""
    return quote(revision, safe="")
