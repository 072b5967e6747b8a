"""Hints that need to know what the user typed."""

from __future__ import annotations

from collections.abc import Sequence

from hfdl_async.core.model import Report
from hfdl_async.errors import HfdlError, NetworkError, NotFoundError, UsageError

CHECK_THE_ADDRESS = "check the address (--endpoint, HF_ENDPOINT) and the network"
_CONTINUING = "run the same command again: it continues"
_GLOB = "*?["


def better_hint(
    error: HfdlError, report: Report | None, repo: str, files: Sequence[str] = ()
) -> str | None:
    """Return the hint for *error*, knowing what was typed and whether the Hub ever answered."""
    if isinstance(error, UsageError) and "//" in repo and "://" not in repo:
        return f"did you mean {'/'.join(part for part in repo.split('/') if part)}?"
    if isinstance(error, NotFoundError):
        unknown = [name for name in files if repr(name) in error.message]
        return _for_files(unknown) or error.hint
    if isinstance(error, NetworkError) and (report is None or report.commit is None):
        promises = error.hint is None or error.hint.startswith(_CONTINUING)
        return CHECK_THE_ADDRESS if promises else error.hint
    return error.hint


def _for_files(unknown: Sequence[str]) -> str | None:
    for name in unknown:
        if name.startswith("./"):
            return f"paths in a repo have no ./ in front: {name.removeprefix('./')}"
        if any(char in name for char in _GLOB):
            return f"FILES are names, not patterns: --include '{name}'"
    return None
