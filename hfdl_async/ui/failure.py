"""An error as two lines for a person: what happened to what, and what to do."""

from __future__ import annotations

import os
import re
import traceback
from collections.abc import Iterable, Sequence

from hfdl_async.core.model import FileReport, Report
from hfdl_async.display.text import clean, count, short_digests
from hfdl_async.errors import DownloadError, HfdlError, StorageError

MESSAGE_LIMIT = 4000  # of a whole message; names and server text in it are shorter by far
FILES_PER_CLASS = 5
_REFUSED = " refused: "  # how a refusal before the first byte lists its files
_DEFAULT_HINTS = {
    "usage": "see hfdl --help, or --help-all for every option",
    "network": "run the same command again: it continues with what is missing",
}


def error_lines(error: HfdlError, report: Report | None = None) -> list[str]:
    """Return `error: …`, the files that failed where there are several, and a hint per class."""
    failed = [file for file in report.files if file.error is not None] if report else []
    several = error.errors if isinstance(error, DownloadError) else ()
    if several and not failed:
        lines = _refusals(several)
    else:
        headline, *refused = _clauses(error.message)
        lines = [f"error: {headline}", *(f"  {text}" for text in refused)]
        lines += _failed_files(failed, headline) if len(failed) > 1 else []
    hints = dict.fromkeys(_hint(item) for item in (error, *_first_of_each_kind(several)))
    return lines + [f"hint: {hint}" for hint in hints if hint]


def _hint(error: HfdlError) -> str:
    return clean(error.hint or _DEFAULT_HINTS.get(error.kind, ""), MESSAGE_LIMIT)


def _first_of_each_kind(errors: Iterable[HfdlError]) -> Iterable[HfdlError]:
    first: dict[str, HfdlError] = {}
    for error in errors:
        first.setdefault(error.kind, error)
    return first.values()


def _clauses(message: str) -> list[str]:
    """Return a message as lines: `folder: 2 refused:`, then what was refused and why."""
    message = short_digests(clean(message, MESSAGE_LIMIT))
    head, mark, rest = message.partition(_REFUSED)
    if not mark or "; " not in rest:
        return [message]
    return [head + mark.rstrip(), *rest.split("; ")]


def _refusals(errors: Sequence[HfdlError]) -> list[str]:
    """Return what several errors refuse, a line per file; their folder only once."""
    folders = {error.message.partition(": ")[0] for error in errors}
    folder = f"{folders.pop()}: " if len(folders) == 1 else ""
    kinds = ", ".join(sorted({error.kind for error in errors}))
    lines = [f"error: {clean(folder)}refused for different reasons ({kinds})"]
    for error in errors:
        *_, rest = error.message.removeprefix(folder).partition(_REFUSED)
        text = short_digests(clean(rest or error.message.removeprefix(folder), MESSAGE_LIMIT))
        lines += [f"  {error.kind}: {clause}" for clause in text.split("; ")]
    return lines


def _failed_files(failed: Iterable[FileReport], told: str) -> list[str]:
    by_kind: dict[str, list[str]] = {}
    for file in failed:
        if file.error is not None:
            message = short_digests(clean(file.error.message))
            name = clean(file.path)
            text = message if name in message else f"{name}: {message}"
            if text not in told:
                by_kind.setdefault(file.error.kind, []).append(text)
    lines = []
    for kind, texts in by_kind.items():
        lines += [f"  {kind}: {text}" for text in texts[:FILES_PER_CLASS]]
        if len(texts) > FILES_PER_CLASS:
            more = count(len(texts) - FILES_PER_CLASS, "more file")
            lines.append(f"  {kind}: and {more} (all of them with --json)")
    return lines


def lost_folder(error: BaseException) -> StorageError | None:
    """Return what to say when *error* only means that the current folder was deleted."""
    if not isinstance(_innermost(error), FileNotFoundError):
        return None
    try:
        os.getcwd()
    except FileNotFoundError:
        return StorageError("the current folder no longer exists", hint="cd to one that exists")
    return None


def bug_lines(error: BaseException) -> list[str]:
    """Return the two lines for an exception that nobody expected."""
    error = _innermost(error)
    what = without_secrets(f"{type(error).__name__}: {error}")
    return [
        f"error: {clean(what)}: this is a bug of hfdl",
        "hint: what arrived is saved; run again with --verbose and report what it prints",
    ]


def traceback_text(error: BaseException) -> str:
    """Return the traceback for `--verbose`, without secrets and control characters."""
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return "\n".join(clean(line) for line in without_secrets(text).splitlines())


def without_secrets(text: str) -> str:
    """Return *text* without the queries of URLs (signatures) and without tokens."""
    text = re.sub(r"(https?://[^\s?'\"]+)\?[^\s'\")]*", r"\1?...", text)
    return re.sub(r"\bhf_[A-Za-z0-9]{4,}", "hf_...", text)


def _innermost(error: BaseException) -> BaseException:
    """Return the one exception inside of groups of one."""
    inner: Sequence[BaseException] = getattr(error, "exceptions", ())
    return _innermost(inner[0]) if len(inner) == 1 else error
