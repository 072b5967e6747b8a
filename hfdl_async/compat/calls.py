"""`snapshot_download` and `hf_hub_download` as the reference client has them.

Theory of operation. Arguments are checked first. Whatever may use no network is the library's own
business: it is handed the call. Otherwise a download, or a plan for `dry_run`, is carried out and
its report becomes a path. When that fails before the first file is fetched, the cache may still
have an answer: the library is asked for it, as it would have looked itself.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import huggingface_hub as library
from huggingface_hub import DryRunFileInfo, constants

from hfdl_async.compat import fetching
from hfdl_async.compat.asked import Asked
from hfdl_async.core.controller import MAX_CONNECTIONS
from hfdl_async.errors import HfdlError, NotFoundError
from hfdl_async.net import reference

THEIR_WORKERS = 8  # what `max_workers` is when the caller did not say

F = TypeVar("F", bound=Callable[..., object])


def _typed_as(_reference: F) -> Callable[[Callable[..., object]], F]:
    """Give a function the type that callers of the library know, overloads included."""
    return lambda function: cast("F", function)


@_typed_as(library.snapshot_download)
def snapshot_download(
    repo_id: str,
    *,
    repo_type: str | None = None,
    revision: str | None = None,
    cache_dir: str | Path | None = None,
    local_dir: str | Path | None = None,
    library_name: str | None = None,
    library_version: str | None = None,
    user_agent: dict[str, str] | str | None = None,
    etag_timeout: float = constants.DEFAULT_ETAG_TIMEOUT,
    force_download: bool = False,
    token: bool | str | None = None,
    local_files_only: bool = False,
    allow_patterns: list[str] | str | None = None,
    ignore_patterns: list[str] | str | None = None,
    max_workers: int = THEIR_WORKERS,
    tqdm_class: type[Any] | None = None,
    headers: dict[str, str] | None = None,
    endpoint: str | None = None,
    dry_run: bool = False,
) -> str | list[DryRunFileInfo]:
    """Download a repo, or what the patterns select of it, and return the folder of the files.

    That is the commit's folder in the shared cache, or *local_dir*. With *dry_run*: what would be
    done about each file, in the order of the repo.

    Args:
        repo_id: `org/name`, or the name alone.
        repo_type: `model` (None), `dataset` or `space`.
        revision: a branch, a tag, `refs/pr/1`, a commit or a `ResolvedRevision`.
        cache_dir: the shared cache, if it is not the one of the environment.
        local_dir: a plain folder instead; a file there that differs and is not from an earlier
            download is refused, unless *force_download* says to replace it.
        library_name: accepted, and not sent.
        library_version: the same.
        user_agent: the same.
        etag_timeout: accepted; what a dead server costs is a matter of our own timeouts.
        force_download: fetch again what is there.
        token: a token; True the stored login; False none; None the stored login if there is one.
        local_files_only: look at what is here and ask nobody; the library does this.
        allow_patterns: only what matches one of them.
        ignore_patterns: nothing that matches one of them.
        max_workers: most connections at a time, where it is not the default.
        tqdm_class: refused: our progress has another shape.
        headers: refused: requests carry what the engine needs, and nothing else.
        endpoint: a Hub or mirror, if it is not the one of the environment.
        dry_run: fetch nothing, and return what would be fetched.

    Raises:
        RepositoryNotFoundError, GatedRepoError, RevisionNotFoundError: the Hub says no.
        HfHubHTTPError: it says something else that is final.
        LocalEntryNotFoundError: it cannot be asked, and the cache has no such snapshot.
        IncompleteSnapshotError: it cannot be asked, and the snapshot lacks files.
        DryRunError: it cannot be asked, and *dry_run* was.
        OSError: the disk refuses, content is not what the Hub says, or *local_dir* is not ours.
        ValueError: an argument that cannot be.
    """
    _refuse(headers=headers, tqdm_class=tqdm_class)
    asked = Asked.checked(repo_id, repo_type, revision, cache_dir, local_dir, force_download)
    there = partial(
        library.snapshot_download,
        repo_id,
        repo_type=repo_type,
        revision=revision,
        cache_dir=cache_dir,
        local_dir=local_dir,
        etag_timeout=etag_timeout,
        token=token,
        allow_patterns=allow_patterns,
        ignore_patterns=ignore_patterns,
        endpoint=endpoint,
    )
    offline = reference.is_offline()
    if local_files_only or offline or _is_empty(allow_patterns):
        # The library read the environment at its import, and what it read decides its wording.
        local = local_files_only or (offline and not constants.is_offline_mode())
        return there(local_files_only=local, dry_run=dry_run)
    options = asked.options(token, endpoint, cache_dir)
    options["include"] = allow_patterns or ()
    options["exclude"] = ignore_patterns or ()
    if max_workers != THEIR_WORKERS:
        options["connections"] = min(max_workers, MAX_CONNECTIONS)
    answered = asked.has_snapshot()
    try:
        if dry_run:
            return asked.previews(fetching.plan(asked.name, None, options, answered=answered))
        report = fetching.fetch(asked.name, None, options, answered=answered)
        return asked.local_dir or str(report.path)
    except HfdlError as error:
        if fetching.is_about_the_selection(error):
            fetching.logger.warning("%s: %s", repo_id, error.message)
            # Nothing matches nothing: no file is fetched, but listing and ref are kept.
            return [] if dry_run else there(allow_patterns=[])
        return fetching.snapshot_without_the_hub(error, asked, there, dry_run=dry_run)


@_typed_as(library.hf_hub_download)
def hf_hub_download(
    repo_id: str,
    filename: str,
    *,
    subfolder: str | None = None,
    repo_type: str | None = None,
    revision: str | None = None,
    library_name: str | None = None,
    library_version: str | None = None,
    cache_dir: str | Path | None = None,
    local_dir: str | Path | None = None,
    user_agent: dict[str, str] | str | None = None,
    force_download: bool = False,
    etag_timeout: float = constants.DEFAULT_ETAG_TIMEOUT,
    token: bool | str | None = None,
    local_files_only: bool = False,
    headers: dict[str, str] | None = None,
    endpoint: str | None = None,
    tqdm_class: type[Any] | None = None,
    dry_run: bool = False,
) -> str | DryRunFileInfo:
    """Download one file of a repo and return its path: in the shared cache, or below *local_dir*.

    Only this file is fetched, but the listing of the commit is asked for the first time: it has
    the digest that proves the content. With *dry_run*: what would be done.

    Args:
        repo_id: `org/name`, or the name alone.
        filename: the path of the file in the repo.
        subfolder: what to put in front of it.
        repo_type: this and what follows is as for `snapshot_download`.
        revision: a branch, a tag, `refs/pr/1`, a commit or a `ResolvedRevision`.
        library_name: accepted, and not sent.
        library_version: the same.
        cache_dir: the shared cache, if it is not the one of the environment.
        local_dir: a plain folder instead, which gets the file at its path in the repo.
        user_agent: accepted, and not sent.
        force_download: fetch it again if it is there.
        etag_timeout: accepted without effect.
        token: a token; True the stored login; False none; None the stored login if there is one.
        local_files_only: look at what is here and ask nobody; the library does this.
        headers: refused: requests carry what the engine needs, and nothing else.
        endpoint: a Hub or mirror, if it is not the one of the environment.
        tqdm_class: refused: our progress has another shape.
        dry_run: fetch nothing, and return what would be done.

    Raises:
        RemoteEntryNotFoundError: the repo has no such file at this revision.
        RepositoryNotFoundError, GatedRepoError, RevisionNotFoundError: the Hub says no.
        HfHubHTTPError: it says something else that is final.
        LocalEntryNotFoundError: it cannot be asked, and the cache does not have the file.
        OSError: the disk refuses, content is not what the Hub says, or *local_dir* is not ours.
        ValueError: an argument that cannot be; or *force_download*, and the Hub cannot be asked.
    """
    _refuse(headers=headers, tqdm_class=tqdm_class)
    asked = Asked.checked(repo_id, repo_type, revision, cache_dir, local_dir, force_download)
    there = partial(
        library.hf_hub_download,
        repo_id,
        filename,
        subfolder=subfolder,
        repo_type=repo_type,
        revision=revision,
        cache_dir=cache_dir,
        local_dir=local_dir,
        etag_timeout=etag_timeout,
        token=token,
        endpoint=endpoint,
    )
    offline = reference.is_offline()
    if local_files_only or offline:
        local = local_files_only or not constants.is_offline_mode()
        return there(local_files_only=local, dry_run=dry_run, force_download=force_download)
    path = f"{subfolder}/{filename}" if subfolder else filename
    options = asked.options(token, endpoint, cache_dir)
    answered = asked.has_file(path)
    try:
        if path.endswith("/"):  # to the engine that is a folder, here it is the name of no file
            raise NotFoundError(f"{repo_id} has no file {path!r}")
        if dry_run:
            return asked.previews(fetching.plan(asked.name, path, options, answered=answered))[0]
        report = fetching.fetch(asked.name, path, options, answered=answered)
        return os.path.join(asked.local_dir or str(report.path), *path.split("/"))
    except HfdlError as error:
        if fetching.is_about_the_selection(error):
            raise fetching.missing(error, asked, path, endpoint, there) from error
        return fetching.file_without_the_hub(error, asked, partial(there, dry_run=dry_run))


def _refuse(*, headers: object, tqdm_class: object) -> None:
    """Check that nothing is asked for that would silently not happen.

    Raises:
        ValueError: something is.
    """
    if headers:
        raise ValueError(
            "headers: hfdl sends no headers of the caller's; pass token= for access, or call "
            "huggingface_hub's own function"
        )
    if tqdm_class is not None:
        raise ValueError(
            "tqdm_class: hfdl draws its own progress; leave it out, or use "
            "hfdl_async.download(..., on_event=...)"
        )


def _is_empty(patterns: list[str] | str | None) -> bool:
    """Return whether *patterns* is a list of none, which matches no file."""
    return patterns is not None and not isinstance(patterns, str) and not patterns
