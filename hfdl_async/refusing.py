"""Saying no before the first byte: every problem named at once, and the command that would do."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import list2cmdline

from hfdl_async.core.model import Problem, RepoRef
from hfdl_async.core.options import Options
from hfdl_async.errors import (
    DownloadError,
    HfdlError,
    IntegrityError,
    StorageError,
    UnsafeError,
)

MOST_NAMES_SHOWN = 20

_ERRORS: dict[str, type[HfdlError]] = {
    "unsafe": UnsafeError,
    "storage": StorageError,
    "integrity": IntegrityError,
}
_HINTS = {
    "unsafe": "--exclude leaves files out; --force replaces files that are in the way "
    "(--fix-broken those of ours that were changed)",
    "storage": "move what is in the way, or choose another folder with --local-dir",
    "integrity": "--fix-broken replaces what is bad",
}


def shorten(paths: Sequence[str]) -> str:
    """Return *paths* for a message: all of them, or the first few and how many more."""
    return _join(paths, ", ", " and")


def _join(texts: Sequence[str], comma: str, last: str) -> str:
    more = len(texts) - MOST_NAMES_SHOWN
    return comma.join(texts[:MOST_NAMES_SHOWN]) + (f"{last} {more} more" if more > 0 else "")


def raise_problems(problems: Sequence[Problem], folder: Path) -> None:
    """Raise one error that names all *problems* with *folder*, if there are any.

    Raises:
        UnsafeError, StorageError, IntegrityError: the kind of all of them.
        DownloadError: there are several kinds.
    """
    errors = []
    for kind, error in _ERRORS.items():
        named = [
            f"{problem.path}: {problem.message}" for problem in problems if problem.kind == kind
        ]
        if named:
            text = f"{folder}: {len(named)} refused: {_join(named, '; ', '; and')}"
            errors.append(error(text, hint=_HINTS[kind]))
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise DownloadError("; ".join(error.message for error in errors), errors=errors)


def other_folder_command(
    repo: RepoRef, files: Sequence[str], options: Options, folder: Path
) -> str:
    """Return the complete command that puts the same selection beside *folder*, on its own."""
    beside = folder.with_name(repo.repo_id.replace("/", "--"))
    if beside == folder:
        beside = folder.with_name(f"{beside.name}-2")
    prefix = "" if repo.repo_type == "model" else f"{repo.repo_type}s/"
    words = ["hfdl", f"{prefix}{repo.repo_id}", *files]
    if repo.revision != "main":
        words += ["--revision", repo.revision]
    for flag, patterns in (("--include", options.include), ("--exclude", options.exclude)):
        words += [word for pattern in patterns for word in (flag, pattern)]
    if options.safe_only:
        words.append("--safe-only")
    if options.endpoint:
        words += ["--endpoint", options.endpoint]
    words += ["--local-dir", str(beside)]
    return list2cmdline(words) if sys.platform == "win32" else shlex.join(words)
