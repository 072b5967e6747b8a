"""An error as two lines for a person: what happened to what, and what to do."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterable, Sequence

from hfdl_async.core.model import FileReport, Report
from hfdl_async.display.text import clean, count
from hfdl_async.errors import HfdlError

MESSAGE_LIMIT = 4000  # of a whole message; names and server text in it are shorter by far
FILES_PER_CLASS = 5
_DEFAULT_HINTS = {
    "usage": "see hfdl --help, or --help-all for every option",
    "network": "run the same command again: it continues with what is missing",
}


def error_lines(error: HfdlError, report: Report | None = None) -> list[str]:
    """Return `error: …`, the files that failed where there are several, and `hint: …`."""
    lines = [f"error: {clean(error.message, MESSAGE_LIMIT)}"]
    failed = [file for file in report.files if file.error is not None] if report else []
    if len(failed) > 1:
        lines += _failed_files(failed)
    hint = error.hint or _DEFAULT_HINTS.get(error.kind)
    if hint:
        lines.append(f"hint: {clean(hint, MESSAGE_LIMIT)}")
    return lines


def _failed_files(failed: Iterable[FileReport]) -> list[str]:
    by_kind: dict[str, list[str]] = {}
    for file in failed:
        if file.error is not None:
            message = clean(file.error.message)
            name = clean(file.path)
            text = message if name in message else f"{name}: {message}"
            by_kind.setdefault(file.error.kind, []).append(text)
    lines = []
    for kind, texts in by_kind.items():
        lines += [f"  {kind}: {text}" for text in texts[:FILES_PER_CLASS]]
        if len(texts) > FILES_PER_CLASS:
            more = count(len(texts) - FILES_PER_CLASS, "more file")
            lines.append(f"  {kind}: and {more} (all of them with --json)")
    return lines


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
