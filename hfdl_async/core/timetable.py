"""What `--bandwidth` may say: a rate, a percentage of the line, none, or a timetable of these."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_OFF = ("off", "none", "unlimited")


@dataclass(frozen=True, slots=True)
class Limit:
    """At most this: a rate in bytes a second or a percentage of the line; neither: no limit."""

    rate: float | None = None
    percent: float | None = None


NO_LIMIT = Limit()


@dataclass(frozen=True, slots=True)
class Timetable:
    """Limits by minute of the local day, in order; the last one of a day holds over midnight."""

    entries: tuple[tuple[int, Limit], ...]

    def limit_at(self, minute: float) -> Limit:
        """Return the limit in force at *minute* of the day."""
        current = self.entries[-1][1]
        for start, limit in self.entries:
            if start > minute:
                break
            current = limit
        return current


Bandwidth = Limit | Timetable


def parse_limits(value: object, parse_size: Callable[[str], int]) -> Bandwidth:
    """Return what *value* limits to: `20MB/s`, `80%`, a bare `95` (percent), `08:00,5MB 19:00,off`.

    *parse_size* turns `20MB` into bytes, and raises ValueError for what is no size.

    Raises:
        ValueError: it is none of these.
    """
    text = str(value).strip()
    if re.match(r"\d{1,2}:\d", text):
        return _timetable(text, parse_size)
    return _limit(text, parse_size)


def _limit(text: str, parse_size: Callable[[str], int]) -> Limit:
    if text.lower() in _OFF:
        return Limit()
    if match := re.fullmatch(r"(\d{1,3}(?:\.\d{1,3})?)\s*%?", text):
        percent = float(match[1])
        if not 0 < percent <= 100:
            raise ValueError(f"{text!r}: a percentage of the line is above 0 and up to 100")
        return Limit(percent=percent)
    rate = parse_size(re.sub(r"(?i)(/s|ps)$", "", text))
    if rate <= 0:
        raise ValueError(f"{text!r} would never let a byte pass; `off` lifts the limit")
    return Limit(rate=float(rate))


def _timetable(text: str, parse_size: Callable[[str], int]) -> Timetable:
    entries: dict[int, Limit] = {}
    for entry in text.split():
        match = re.fullmatch(r"(\d{1,2}):(\d{2}),(.+)", entry)
        if match is None or int(match[1]) > 23 or int(match[2]) > 59:
            raise ValueError(f"{entry!r} is not a time and a limit such as 08:00,5MB")
        minute = 60 * int(match[1]) + int(match[2])
        if minute in entries:
            raise ValueError(f"{entry!r}: there are two limits for {match[1]}:{match[2]}")
        entries[minute] = _limit(match[3], parse_size)
    return Timetable(tuple(sorted(entries.items(), key=lambda each: each[0])))
