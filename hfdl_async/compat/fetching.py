"""Carrying out a call, and what answers where the Hub does not."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import huggingface_hub as library
from huggingface_hub import DryRunFileInfo
from huggingface_hub import errors as theirs
from huggingface_hub.utils import (  # type: ignore[attr-defined] # lazy export
    are_progress_bars_disabled,
)

from hfdl_async import api
from hfdl_async.blocking import block_on
from hfdl_async.compat import failures
from hfdl_async.compat.asked import Asked
from hfdl_async.core.model import Plan, Report
from hfdl_async.core.options import DownloadOptions
from hfdl_async.errors import (
    DownloadError,
    GatedError,
    HfdlError,
    NetworkError,
    NotFoundError,
    OtherRepoError,
    Refusal,
    UnsafeError,
)

Found = TypeVar("Found")
logger = logging.getLogger("hfdl_async.compat")


def plan(name: str, path: str | None, options: DownloadOptions, *, answered: bool) -> Plan:
    """Return what a download would do; *answered* as for `fetch`.

    Raises:
        HfdlError: there can be no plan.
    """
    looking = _hasty(options) if answered else options.copy()
    looking["force"] = False  # what is there counts, whatever will be done about it
    return block_on(lambda: api.plan(name, path, **looking))


def fetch(name: str, path: str | None, options: DownloadOptions, *, answered: bool) -> Report:
    """Carry out a download; *answered* says that the cache may answer in place of the Hub.

    Then a Hub that is out of reach is not waited for, as the library does not either; once it has
    answered, there is all the patience that files deserve.

    Raises:
        HfdlError: it failed.
    """
    progress = False if are_progress_bars_disabled() else None
    if answered:
        hasty = _hasty(options)
        try:
            return _noted(block_on(lambda: api.download(name, path, progress=progress, **hasty)))
        except (NetworkError, DownloadError) as error:
            if not had_begun(error):
                raise
    return _noted(block_on(lambda: api.download(name, path, progress=progress, **options)))


def _hasty(options: DownloadOptions) -> DownloadOptions:
    hasty = options.copy()
    hasty["max_retries"] = 0
    hasty["give_up_after"] = 0
    return hasty


def _noted(report: Report) -> Report:
    for warning in report.warnings:
        logger.info("%s: %s", report.repo.repo_id, warning)
    return report


def had_begun(error: HfdlError) -> bool:
    """Return whether *error* ended a run that knew what to fetch."""
    return error.report is not None and bool(error.report.files)


def is_about_the_selection(error: HfdlError) -> bool:
    """Return whether it is the listing that has not what was asked for."""
    return isinstance(error, NotFoundError) and error.refusal is None and not had_begun(error)


def missing(
    error: HfdlError, asked: Asked, path: str, endpoint: str | None, there: Callable[..., object]
) -> Exception:
    """Return the library's exception for a file that the repo does not have.

    The library is asked as for a dry run, which fetches nothing: so the answer is the Hub's own,
    and that there is no such file is noted in the cache where readers look for it.
    """
    text = failures.text_of(error)
    try:
        there(dry_run=True)
    except theirs.HfHubHTTPError as answered:
        answered.append_to_message(f"\n{text}")
        return answered.with_traceback(None)
    except ValueError as wrong:  # a name that can be no path
        return wrong.with_traceback(None)
    except theirs.LocalEntryNotFoundError:
        pass  # the Hub went away meanwhile; its listing was clear enough
    url = library.hf_hub_url(
        asked.repo_id,
        path,
        repo_type=asked.repo_type,
        revision=asked.revision,
        endpoint=endpoint,
    )
    return failures.answer_of(Refusal(url, 404, "EntryNotFound"), text)


def snapshot_without_the_hub(
    error: HfdlError,
    asked: Asked,
    there: Callable[..., str | list[DryRunFileInfo]],
    *,
    dry_run: bool,
) -> str | list[DryRunFileInfo]:
    """Return the snapshot that the cache has, where the library would settle for it.

    Raises:
        Exception: it would not, or there is none: what *error* means to the library.
    """
    hidden = isinstance(error, GatedError) and error.refusal is None  # told by the listing itself
    contents = hidden or had_begun(error)
    if contents or not failures.is_out_of_reach(error):
        raise _ours(error, asked, contents=contents) from error
    if dry_run:
        raise theirs.DryRunError(
            f"{failures.text_of(error)}\nA dry run needs to know what the Hub has."
        ) from (failures.as_answer(error) or error)
    return _stored(error, there)


def file_without_the_hub(
    error: HfdlError, asked: Asked, there: Callable[..., str | DryRunFileInfo]
) -> str | DryRunFileInfo:
    """Return the file that the cache has, where the library would settle for it.

    Raises:
        Exception: it would not, or there is none: what *error* means to the library.
    """
    lost = isinstance(error, NetworkError) and had_begun(error)
    if lost or not failures.is_out_of_reach(error):
        raise _ours(error, asked, contents=had_begun(error)) from error
    if asked.force:
        raise ValueError(f"Force download failed: {failures.text_of(error)}") from (
            failures.as_answer(error) or error
        )
    return _stored(error, there)


def _stored(error: HfdlError, there: Callable[..., Found]) -> Found:
    """Return what the cache has in place of what *error* kept from us.

    Raises:
        IncompleteSnapshotError: it has a part of it.
        Exception: it has nothing: what *error* means to the library.
    """
    try:
        found = there(local_files_only=True)
    except theirs.IncompleteSnapshotError as incomplete:
        raise theirs.IncompleteSnapshotError(
            f"{incomplete}\n{failures.text_of(error)}", incomplete.snapshot_path
        ) from error
    except theirs.LocalEntryNotFoundError:
        raise failures.translated(error) from error
    logger.warning("%s; what is on disk is used as it is", error.message)
    return found


def _ours(error: HfdlError, asked: Asked, *, contents: bool) -> Exception:
    """Return *error* as the library's, with what to do about a folder that is in the way."""
    raised = failures.translated(error, contents=contents)
    if isinstance(error, UnsafeError) and asked.local_dir is not None and not asked.force:
        advice = "The reference client overwrites files; here force_download=True says so."
        if isinstance(error, OtherRepoError):
            advice = "Here a local_dir is one repo's: give each repo a folder of its own."
        raised.args = (f"{raised.args[0]}\n{advice}",)
    return raised
