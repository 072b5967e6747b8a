"""Text for people: harmless, short enough, and with readable numbers."""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len

OUTSIDE_TEXT_LIMIT = 500  # characters of a name or message that came from elsewhere

# Controls, invisible format characters (bidi overrides among them), lone surrogates, line and
# paragraph separators: everything that could drive a terminal or hide what a name really is.
_HARMFUL = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,52}\b")
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def clean(text: str, limit: int = OUTSIDE_TEXT_LIMIT) -> str:
    """Return *text* with harmful characters escaped, cut at *limit* characters."""
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _escape(char) if unicodedata.category(char) in _HARMFUL else char for char in text
    )


def _escape(char: str) -> str:
    code = ord(char)
    if char in _NAMED:
        return _NAMED[char]
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def short_digests(text: str) -> str:
    """Return *text* with digests and commits cut to the digits that tell two apart."""
    return _DIGEST.sub(r"\1...", text)


def shorten(text: str, width: int, *, dots: str = "…") -> str:
    """Return *text* in at most *width* terminal cells, its middle left out.

    The end is kept longer than the beginning: there the names of shards differ.
    """
    if cell_len(text) <= width:
        return text
    room = width - cell_len(dots)
    if room < 4:
        return _cells(text, max(width, 0))
    head = room // 3
    tail = room - head
    return _cells(text, head) + dots + _cells(text[::-1], tail)[::-1]


def cut(text: str, width: int, *, dots: str = "…") -> str:
    """Return *text* in at most *width* terminal cells, its end left out."""
    if cell_len(text) <= width:
        return text
    return _cells(text, max(0, width - cell_len(dots))) + _cells(dots, width)


def _cells(text: str, width: int) -> str:
    """Return the longest beginning of *text* that fits into *width* cells."""
    used = 0
    for index, char in enumerate(text):
        used += cell_len(char)
        if used > width:
            return text[:index]
    return text


_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def size(count: float) -> str:
    """Return a number of bytes with three digits and its decimal unit: `16.4 GB`."""
    number, unit = _scaled(count)
    return f"{number} {unit}"


def size_of(done: float, total: float) -> str:
    """Return how much of a total is done: `10.1 of 16.4 GB`."""
    whole, unit = _scaled(total)
    if done >= total:
        return f"{whole} {unit}"
    part = _digits(done / 1000 ** _UNITS.index(unit)) if done else "0"
    return f"{part} of {whole} {unit}"


def rate(bytes_per_second: float) -> str:
    """Return a rate: `118 MB/s`."""
    return f"{size(bytes_per_second)}/s"


def _scaled(count: float) -> tuple[str, str]:
    value = float(max(count, 0))
    for unit in _UNITS[:-1]:
        if value < 999.5:
            return (_digits(value) if unit != "B" else f"{value:.0f}"), unit
        value /= 1000
    return _digits(value), _UNITS[-1]


def _digits(value: float) -> str:
    if value < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """Return a time: `4.2 s`, `2:21`, `1:02:03`, `2 d 3 h`."""
    if seconds < 9.95:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    if hours >= 24:
        return f"{hours // 24} d {hours % 24} h"
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minutes}:{second:02d}"


def percent(done: float, total: float) -> str:
    """Return `62 %`; 100 only when nothing is missing."""
    if total <= 0 or done >= total:
        return "100 %"
    return f"{min(99, int(100 * done / total))} %"


def count(number: int, noun: str) -> str:
    """Return `1 file`, `1,234 files`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
