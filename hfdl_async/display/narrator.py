"""From facts to short lines a person wants to read, and not the same line a hundred times."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from hfdl_async.core.events import (
    ConcurrencyChanged,
    ConnectionReplaced,
    Event,
    FileFailed,
    FilePublished,
    FileResumed,
    FileStarted,
    FileVerified,
    Finished,
    PlanMade,
    Progress,
    RateLimited,
    SegmentRetried,
)
from hfdl_async.core.model import MIB
from hfdl_async.display.text import clean, count, duration, short_digests, shorten, size

Tone = Literal["plan", "good", "resumed", "trouble", "waiting", "failed"]

BIG_FILE_BYTES = 32 * MIB  # a finished file of this size earns a line; smaller ones are counted
FAILURES_SHOWN = 5  # of one kind; the others are counted
CALM_SECONDS = 5.0  # lines of one kind within this time are counted instead of shown
REASON_LIMIT = 160
NAME_CELLS = 60


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to tell: harmless text, and the tone to say it in."""

    tone: Tone
    text: str


class Narrator:
    """Turns the facts of one run into lines; a storm of one kind becomes one line and a count.

    Time is that of the facts themselves, so nothing here reads a clock.
    """

    def __init__(self) -> None:
        self._last_told: dict[str, float] = {}
        self._held: dict[str, int] = {}
        self._failures: dict[str, int] = {}

    def tell(self, facts: Iterable[Event]) -> list[Line]:
        """Return the lines for *facts*, in their order."""
        return [line for fact in facts for line in self._lines(fact)]

    def rest(self) -> list[Line]:
        """Return what was counted and not told yet, at the end of a run."""
        lines = [
            Line("trouble", f"{count(number, 'more time')} {kind}")
            for kind, number in self._held.items()
            if number
        ]
        self._held.clear()
        for kind, number in self._failures.items():
            if number > FAILURES_SHOWN:
                more = count(number - FAILURES_SHOWN, "more file")
                lines.append(Line("failed", f"... and {more} failed ({clean(kind)})"))
        self._failures.clear()
        return lines

    def _lines(self, fact: Event) -> Iterator[Line]:
        match fact:
            case PlanMade():
                yield _plan(fact)
            case FileResumed():
                yield _resumed(fact)
            case SegmentRetried():
                text = (
                    f"{_name(fact.path)}: {clean(fact.reason, REASON_LIMIT)}; asking again for "
                    f"{size(fact.stop - fact.start)} in {duration(fact.delay_seconds)}"
                )
                yield from self._calmly("a request was repeated", fact.time, text)
            case ConnectionReplaced():
                text = (
                    f"{_name(fact.path)}: connection replaced ({clean(fact.reason, REASON_LIMIT)})"
                )
                yield from self._calmly("a connection was replaced", fact.time, text)
            case RateLimited():
                text = f"{clean(fact.host)} asks for patience: {duration(fact.wait_seconds)}"
                kind = f"{clean(fact.host)} asked for patience"
                yield from self._calmly(kind, fact.time, text, "waiting")
            case FilePublished():
                if fact.size_bytes >= BIG_FILE_BYTES:
                    yield Line("good", f"{_name(fact.path)}  {size(fact.size_bytes)}, verified")
            case FileFailed():
                number = self._failures[fact.kind] = self._failures.get(fact.kind, 0) + 1
                if number <= FAILURES_SHOWN:
                    yield Line("failed", _failure(fact))
            case FileStarted() | FileVerified() | ConcurrencyChanged() | Progress() | Finished():
                pass  # the bars, the counts and the summary show these

    def _calmly(
        self, kind: str, now_seconds: float, text: str, tone: Tone = "trouble"
    ) -> Iterator[Line]:
        last = self._last_told.get(kind)
        if last is not None and now_seconds - last < CALM_SECONDS:
            self._held[kind] = self._held.get(kind, 0) + 1
            return
        self._last_told[kind] = now_seconds
        if held := self._held.pop(kind, 0):
            text += f" (and {held:,} more like it)"
        yield Line(tone, text)


def _name(path: str) -> str:
    return shorten(clean(path), NAME_CELLS, dots="...")


def _plan(fact: PlanMade) -> Line:
    text = f"{count(fact.files, 'file')}, {size(fact.bytes_selected)}"
    if fact.bytes_to_fetch == 0:
        text += ", nothing to fetch"
    elif fact.bytes_to_fetch < fact.bytes_selected:
        text += f", {size(fact.bytes_to_fetch)} of it to fetch"
    return Line("plan", f"{text}, commit {clean(fact.commit[:10])}")


def _resumed(fact: FileResumed) -> Line:
    parts = []
    if fact.resumed_bytes:
        parts.append(f"{size(fact.resumed_bytes)} here already, proven")
    if fact.rejected_bytes:
        parts.append(f"{size(fact.rejected_bytes)} damaged, fetching it again")
    return Line("resumed", f"{_name(fact.path)}: {'; '.join(parts)}")


def _failure(fact: FileFailed) -> str:
    message = short_digests(clean(fact.message))
    if message.startswith(clean(fact.path)):
        return message
    return f"{_name(fact.path)}: {message}"
