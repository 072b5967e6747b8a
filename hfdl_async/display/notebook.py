"""Live progress in a notebook cell: one output that is updated in place, no widgets needed."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from html import escape
from typing import Protocol

from hfdl_async.core.events import Event, Finished
from hfdl_async.core.model import Report
from hfdl_async.core.progress import ActiveFile, Snapshot
from hfdl_async.display.narrator import Line, Narrator
from hfdl_async.display.plain import progress_line
from hfdl_async.display.summary import summary
from hfdl_async.display.text import (
    clean,
    count,
    duration,
    percent,
    rate,
    shorten,
    size,
    size_of,
)

BEAT_SECONDS = 0.25
ROWS_MOST = 6
LINES_MOST = 8
NAME_CELLS = 48

_COLOURS = {"good": "#2da44e", "failed": "#cf222e", "trouble": "#9a6700", "waiting": "#9a6700"}


class _Handle(Protocol):
    def update(self, obj: object, *, raw: bool) -> None: ...


class NotebookDisplay:
    """Draws with IPython's display handle; what stays in the cell is a compact summary."""

    beat_seconds = BEAT_SECONDS

    def __init__(self) -> None:
        self._narrator = Narrator()
        self._title = ""
        self._handle: _Handle | None = None
        self._lines: list[Line] = []
        # A caller that is cancelled abandons the frame it was drawing: the end waits for it.
        self._lock = threading.Lock()

    def open(self, title: str) -> None:
        """Create the one output of this run."""
        from IPython import display as ipython

        show: Callable[..., _Handle | None] = ipython.display
        self._title = clean(title)
        self._handle = show(self._bundle(Snapshot()), raw=True, display_id=True)

    def draw(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        """Replace the output."""
        with self._lock:
            self._remember(self._narrator.tell(facts))
            if self._handle is not None:
                self._handle.update(self._bundle(snapshot), raw=True)

    def close(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        """Leave the summary, and below it what went wrong."""
        with self._lock:
            self._remember([*self._narrator.tell(facts), *self._narrator.rest()])
            ends = [fact.report for fact in facts if isinstance(fact, Finished)]
            handle, self._handle = self._handle, None
            if handle is not None:
                bundle = self._last(ends[-1]) if ends else self._bundle(snapshot)
                handle.update(bundle, raw=True)

    def _last(self, report: Report) -> dict[str, str]:
        lines = summary(report) or [Line("failed", f"{clean(report.repo.repo_id)}: failed")]
        kept = [told for told in self._lines if told.tone in ("failed", "resumed")]
        html = "".join(map(_line, [*lines, *kept[-LINES_MOST:]]))
        return {"text/html": _box(html), "text/plain": "\n".join(told.text for told in lines)}

    def _remember(self, lines: Sequence[Line]) -> None:
        self._lines = [*self._lines, *lines][-100:]

    def _bundle(self, snapshot: Snapshot) -> dict[str, str]:
        html = _total(self._title, snapshot)
        ordered = sorted(snapshot.active, key=lambda file: (-file.size_bytes, file.path))
        html += "".join(map(_file, ordered[:ROWS_MOST]))
        if len(ordered) > ROWS_MOST:
            html += f"<div>… and {count(len(ordered) - ROWS_MOST, 'more file')}</div>"
        html += "".join(map(_line, self._lines[-LINES_MOST:]))
        return {"text/html": _box(html), "text/plain": progress_line(self._title, snapshot)}


def _box(html: str) -> str:
    style = "font-family:var(--jp-code-font-family,monospace);font-size:13px;line-height:1.6"
    return f'<div style="{style}">{html}</div>'


def _total(title: str, snapshot: Snapshot) -> str:
    head = f"<b>{escape(title)}</b> "
    if not snapshot.bytes_total:
        shown = progress_line("", snapshot)
        return f"<div>{head}{escape(shown)}</div>"
    done, total = snapshot.bytes_done, snapshot.bytes_total
    parts = [percent(done, total), size_of(done, total)]
    if snapshot.phase != "checking":
        parts.append(rate(snapshot.rate_bytes_per_second))
    if snapshot.eta_seconds is not None and done < total:
        parts.append(f"{duration(snapshot.eta_seconds)} left")
    if snapshot.connections_allowed:
        parts.append(f"{snapshot.connections}/{snapshot.connections_allowed} connections")
    parts.append(f"{snapshot.files_done:,}/{count(snapshot.files_total, 'file')}")
    note = f" <i>{escape(clean(snapshot.note))}</i>" if snapshot.note else ""
    bar = _bar(done / total, 10)
    return f"<div>{head}{escape(' · '.join(parts))}{note}</div>{bar}"


def _file(file: ActiveFile) -> str:
    name = escape(shorten(clean(file.path), NAME_CELLS))
    share = file.done_bytes / file.size_bytes if file.size_bytes else 1.0
    numbers = f"{percent(file.done_bytes, file.size_bytes)} of {size(file.size_bytes)}"
    return (
        '<div style="display:flex;gap:1em">'
        f'<span style="flex:0 0 {NAME_CELLS / 2:.0f}em;overflow:hidden">{name}</span>'
        f'<span style="flex:1;align-self:center">{_bar(share, 6)}</span>'
        f'<span style="flex:0 0 11em">{escape(numbers)}</span></div>'
    )


def _bar(share: float, height_pixels: int) -> str:
    width = 100 * min(1.0, max(0.0, share))
    return (
        f'<div style="background:#8884;border-radius:3px;height:{height_pixels}px">'
        '<div style="background:#2da44e;border-radius:3px;'
        f'height:{height_pixels}px;width:{width:.1f}%"></div></div>'
    )


def _line(told: Line) -> str:
    colour = _COLOURS.get(told.tone)
    style = f' style="color:{colour}"' if colour else ' style="opacity:.75"'
    return f"<div{style}>{escape(told.text)}</div>"


def in_notebook() -> bool:
    """Return whether this code runs in a notebook's kernel; imports nothing to find out."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None
