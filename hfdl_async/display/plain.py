"""Progress where no terminal is: a plain line every ten seconds and on facts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from hfdl_async.core.events import Event, Finished
from hfdl_async.core.progress import Snapshot
from hfdl_async.display.narrator import Line, Narrator
from hfdl_async.display.summary import summary
from hfdl_async.display.text import clean, count, duration, percent, rate, size_of

BEAT_SECONDS = 0.5  # how late a fact may be told
LINE_EVERY_SECONDS = 10.0


class PlainDisplay:
    """Writes lines to standard error (or to *stream*), never a control character."""

    beat_seconds = BEAT_SECONDS

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._narrator = Narrator()
        self._title = ""
        self._next_line_seconds = LINE_EVERY_SECONDS
        self._note = ""

    def open(self, title: str) -> None:
        """Remember what the lines are about."""
        self._title = clean(title)

    def draw(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        """Write the facts, a new note, and every ten seconds how far the run is."""
        self._tell(self._narrator.tell(facts))
        if snapshot.elapsed_seconds >= self._next_line_seconds:
            self._next_line_seconds = snapshot.elapsed_seconds + LINE_EVERY_SECONDS
            self._write(progress_line(self._title, snapshot))
        elif snapshot.note and _words(snapshot.note) != self._note:
            self._write(_about(self._title, clean(snapshot.note)))
        self._note = _words(snapshot.note)

    def close(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        """Write the last facts and the summary."""
        self._tell(self._narrator.tell(facts))
        self._tell(self._narrator.rest())
        for fact in facts:
            if isinstance(fact, Finished):
                for told in summary(fact.report):
                    self._write(told.text)

    def _tell(self, lines: Iterable[Line]) -> None:
        for told in lines:
            self._write(_about(self._title, told.text))

    def _write(self, text: str) -> None:
        stream = self._stream if self._stream is not None else sys.stderr
        if stream is None:
            return
        encoding = getattr(stream, "encoding", None) or "utf-8"
        shown = text.encode(encoding, "backslashreplace").decode(encoding)
        try:
            stream.write(shown + "\n")
            stream.flush()
        except (OSError, ValueError):
            return  # whoever read this has gone; the download goes on


def _words(note: str) -> str:
    """Return a note without its numbers: a countdown is one note, not one a second."""
    return "".join(char for char in note if not char.isdigit())


def progress_line(title: str, snapshot: Snapshot) -> str:
    """Return how far a run is, in one line of plain text."""
    if not snapshot.bytes_total:
        parts = [_doing(snapshot), clean(snapshot.note)]
        return _about(title, ", ".join(part for part in parts if part))
    done, total = snapshot.bytes_done, snapshot.bytes_total
    parts = [percent(done, total), size_of(done, total)]
    if snapshot.phase != "checking":  # then nothing comes from the network yet
        parts.append(rate(snapshot.rate_bytes_per_second))
    if snapshot.eta_seconds is not None and done < total:
        parts.append(f"{duration(snapshot.eta_seconds)} left")
    if snapshot.connections_allowed:
        parts.append(f"{snapshot.connections}/{snapshot.connections_allowed} connections")
    if snapshot.limit_bytes_per_second is not None:
        parts.append(f"limit {rate(snapshot.limit_bytes_per_second)}")
    parts.append(f"{snapshot.files_done:,}/{count(snapshot.files_total, 'file')}")
    if snapshot.files_failed:
        parts.append(f"{snapshot.files_failed:,} failed")
    if snapshot.note:
        parts.append(clean(snapshot.note))
    return _about(title, ", ".join(parts))


def _doing(snapshot: Snapshot) -> str:
    seen = count(snapshot.listed_files, "file")
    match snapshot.phase:
        case "listing":
            return f"listed {seen}" if snapshot.listed_files else "asking the Hub"
        case "checking":
            return f"checked {seen}" if snapshot.listed_files else "checking what is here"
        case _:
            return snapshot.phase


def _about(title: str, text: str) -> str:
    return f"{title}: {text}" if title else text
