"""What the user asked for: one frozen value, from keywords, flags or the environment alike.

Names are the first long names of the options with underscores, as in the public API; every value
may be a string as on the command line. Parsing happens here once, so no other module meets text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from os import PathLike, fspath
from pathlib import Path
from typing import Literal, TypedDict, cast

from hfdl_async.core.controller import MAX_CONNECTIONS, auto_connections
from hfdl_async.core.model import GIB, KIB, MB, MIB, RepoType
from hfdl_async.core.timetable import NO_LIMIT, Bandwidth, parse_limits
from hfdl_async.errors import UsageError

Link = Literal["clone", "hard", "copy"]
ALLOWABLE = {
    "http-token": "a token may travel unencrypted",
    "private-redirects": "redirects into private networks are followed",
    "symlinks": "links inside the folder are followed",
    "unverified": "content that the endpoint publishes no digest of is not proven",
}
"""What may be allowed, and what that means."""
ENVIRONMENT_PREFIX = "HFDL_"
PLACES = frozenset({"directory", "local_dir", "cache", "cache_dir"})

MEMORY_BYTES = 32 * MIB  # for what was received and is not written yet, unless said otherwise
MIN_MEMORY_BYTES = 1 * MIB

PathText = str | PathLike[str]
Many = str | Iterable[str]


class DownloadOptions(TypedDict, total=False):
    """The keywords of `download`, `plan` and `Downloader`; the README explains each."""

    repo_type: str
    revision: str
    include: Many
    exclude: Many
    directory: PathText
    local_dir: PathText | None
    cache: bool
    cache_dir: PathText | None
    reuse_from: PathText | Iterable[PathText]
    link: str
    prune: bool
    connections: int | str
    trace_controller: PathText | None
    chunk_size: int | str
    memory: int | float | str
    bandwidth: int | float | str | None
    speed_test_duration: float | str
    min_speed_percentage: float | str
    speed_check_interval: float | str
    file_size_threshold: int | float | str
    min_free_space: int | float | str
    verify: bool
    fix_broken: bool
    force: bool
    no_resume: bool
    max_retries: int | str
    give_up_after: float | str
    connect_timeout: float | str
    read_timeout: float | str
    wait: float | str | None
    endpoint: str | None
    token: str | bool | None
    allow: Many
    safe_only: bool


@dataclass(frozen=True, slots=True)
class Options:
    """Everything a download can be told. None means: decide it for me."""

    repo_type: RepoType | None = None
    revision: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    directory: Path = Path("downloads")
    local_dir: Path | None = None
    cache: bool = False
    cache_dir: Path | None = None
    reuse_from: tuple[Path, ...] = ()
    link: Link = "clone"
    prune: bool = False
    connections: int | None = None
    trace_controller: Path | None = None
    chunk_size_bytes: int | None = None
    memory_bytes: int = MEMORY_BYTES
    bandwidth: Bandwidth = NO_LIMIT
    speed_test_seconds: float = 5.0
    min_speed_percentage: float = 5.0
    speed_check_seconds: float = 5.0
    file_size_threshold_bytes: int = 200 * MB
    min_free_space_bytes: int | None = None
    verify: bool = False
    fix_broken: bool = False
    force: bool = False
    no_resume: bool = False
    max_retries: int = 5
    give_up_after_seconds: float | None = 300.0
    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 30.0
    wait_seconds: float | None = None
    endpoint: str | None = None
    token: str | bool | None = field(default=None, repr=False)
    allow: frozenset[str] = frozenset()
    safe_only: bool = False

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Options:
        """Return the options that *values* describe, by public name.

        Raises:
            UsageError: an unknown name, a value that cannot be, or two destinations.
        """
        known: dict[str, object] = {}
        for name, value in values.items():
            if name not in _PARSERS:
                raise UsageError(f"there is no option {name!r}", hint=_did_you_mean(name))
            target, parser = _PARSERS[name]
            try:
                known[target] = parser(value)
            except (ValueError, TypeError, OverflowError) as error:
                raise UsageError(f"{name}: {error}", hint=_HINTS.get(name)) from error
        _refuse_two_places(known)
        _refuse_to_prune_a_cache(known)
        options = cls(**known)  # type: ignore[arg-type]
        options._check()
        return options

    def _check(self) -> None:
        if self.fix_broken and not self.verify and not self.force:
            object.__setattr__(self, "verify", True)  # it repairs what a re-check finds

    def ceiling(self, cores: int) -> int:
        """Return the most connections at once, for a machine of so many *cores*."""
        return self.connections or auto_connections(cores, self.memory_bytes)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should hear on every run: which refusals were lifted."""
        return tuple(f"--allow {name}: {ALLOWABLE[name]}" for name in sorted(self.allow))


def _refuse_two_places(known: Mapping[str, object]) -> None:
    """Check that at most one destination is named: a folder, a base folder, or the cache.

    Raises:
        UsageError: there are two.
    """
    named = [name for name in ("directory", "local_dir") if known.get(name) is not None]
    if known.get("cache") or known.get("cache_dir") is not None:
        named.append("cache")
    if len(named) > 1:
        raise UsageError(
            f"{' and '.join(named)} name two destinations",
            hint="directory puts files into <directory>/<repo name>/, local_dir exactly there, "
            "cache into the shared cache",
        )


def _refuse_to_prune_a_cache(known: Mapping[str, object]) -> None:
    """Check that only folders are to be pruned.

    Raises:
        UsageError: it is a cache, which keeps each commit on its own.
    """
    if known.get("prune") and (known.get("cache") or known.get("cache_dir") is not None):
        raise UsageError(
            "prune is for folders, and the cache keeps every commit on its own",
            hint="leave out --prune; `hf cache prune` removes commits that nothing refers to",
        )


def overlaid(defaults: Mapping[str, object], values: Mapping[str, object]) -> dict[str, object]:
    """Return *defaults* with *values* laid over them; a destination replaces any kind of one."""
    kept = {
        name: value
        for name, value in defaults.items()
        if name not in PLACES or PLACES.isdisjoint(values)
    }
    return {**kept, **values}


def option_names() -> tuple[str, ...]:
    """Return the public names of all options."""
    return tuple(_PARSERS)


def from_environment(environ: Mapping[str, str]) -> dict[str, object]:
    """Return the options the environment sets: `HFDL_LOCAL_DIR` and so on.

    Repeatable ones take a value a line, flags take 1 or 0. Variables that a container platform
    injects for a service called hfdl (`HFDL_PORT=tcp://…`) name no option and are ignored.
    """
    values: dict[str, object] = {}
    for name in _PARSERS:
        text = environ.get(ENVIRONMENT_PREFIX + name.upper())
        if text is None or text == "":
            continue
        values[name] = text.splitlines() if name in _REPEATABLE else text
    return values


_UNITS = {
    "": None, "b": 1, "k": 1000, "kb": 1000, "m": MB, "mb": MB, "g": 10**9, "gb": 10**9,
    "t": 10**12, "tb": 10**12, "kib": KIB, "mib": MIB, "gib": GIB, "tib": 2**40,
}  # fmt: skip


def parse_bandwidth(value: object) -> Bandwidth:
    """Return what the option `bandwidth` limits to.

    Raises:
        UsageError: it is no such value.
    """
    return Options.parse({"bandwidth": value}).bandwidth


def parse_size(value: object, *, bare_unit: int) -> int:
    """Return bytes: `20MB` is 10^6-based, `1MiB` 2^20-based, a bare number counts *bare_unit*.

    Raises:
        ValueError: not a size, negative, or beyond 2^62.
    """
    text = str(value).strip()
    match = re.fullmatch(r"(\d{1,18}(?:\.\d{1,6})?)\s*([A-Za-z]{0,3})", text)
    unit = _UNITS.get(match[2].lower(), -1) if match else -1
    if match is None or unit == -1:
        raise ValueError(f"{text!r} is not a size such as 512, 20MB or 1MiB")
    size = float(match[1]) * (unit or bare_unit) if "." in match[1] else int(match[1]) * (
        unit or bare_unit
    )  # fmt: skip
    if size > 2**62:
        raise ValueError(f"{text!r} is larger than any disk")
    return int(size)


def parse_seconds(value: object, *, endless: Iterable[str] = ()) -> float | None:
    """Return seconds, or None for one of the words in *endless*.

    Raises:
        ValueError: not a finite number of seconds of zero or more.
    """
    text = str(value).strip().lower()
    if value is None or text in endless:
        return None
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = math.nan
    if not (math.isfinite(seconds) and seconds >= 0):
        words = "".join(f", or {word!r}" for word in endless)
        raise ValueError(f"{text!r} is not a number of seconds{words}")
    return seconds


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise ValueError(f"{text!r} is neither 1 nor 0")


def _whole(low: int, high: int) -> Callable[[object], int]:
    def parse(value: object) -> int:
        try:
            number = int(str(value).strip())
        except ValueError:
            number = low - 1
        if isinstance(value, bool) or not low <= number <= high:
            raise ValueError(f"{value!r} is not a whole number from {low} to {high}")
        return number

    return parse


def _connections(value: object) -> int | None:
    if str(value).strip().lower() in ("auto", "0"):
        return None
    try:
        return _whole(1, MAX_CONNECTIONS)(value)
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from None


def _auto_size(bare_unit: int, low: int = 0) -> Callable[[object], int | None]:
    def parse(value: object) -> int | None:
        if str(value).strip().lower() == "auto":
            return None
        size = parse_size(value, bare_unit=bare_unit)
        if size < low:
            raise ValueError(f"{value!r} is less than {low} bytes")
        return size

    return parse


def _memory(value: object) -> int:
    size = parse_size(value, bare_unit=MIB)
    if size < MIN_MEMORY_BYTES:
        raise ValueError(f"{value!r} is less than 1 MiB")
    return size


def _bandwidth(value: object) -> Bandwidth:
    if value is None:
        return NO_LIMIT
    return parse_limits(value, lambda text: parse_size(text, bare_unit=1))


def _percentage(value: object) -> float:
    text = str(value).strip()
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        number = math.nan
    if isinstance(value, bool) or not 1 <= number <= 100:
        raise ValueError(f"{value!r} is not a percentage from 1 to 100")
    return number


def _positive_seconds(value: object) -> float:
    seconds = parse_seconds(value)
    if not seconds:
        raise ValueError("must be more than 0 seconds")
    return seconds


def _choice(*choices: str) -> Callable[[object], str]:
    def parse(value: object) -> str:
        text = str(value).strip().lower()
        if text not in choices:
            raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
        return text

    return parse


def _texts(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, (str, PathLike)):
        return (str(fspath(value)),)
    return tuple(str(fspath(item)) for item in cast("Iterable[PathText]", value))


def _allow(value: object) -> frozenset[str]:
    return frozenset(_choice(*ALLOWABLE)(name) for name in _texts(value))


def _path(value: object) -> Path:
    text = fspath(cast("PathText", value))
    if not text or "\0" in text:
        raise ValueError(f"{text!r} is not a folder")
    return Path(text)


def _text(value: object) -> str:
    text = str(value).strip()
    if not text:
        raise ValueError("must not be empty")
    return text


def _optional(parser: Callable[[object], object]) -> Callable[[object], object]:
    return lambda value: None if value is None else parser(value)


def _token(value: object) -> str | bool | None:
    if value is None or isinstance(value, bool):
        return value
    text = str(value).strip()
    if not text.isascii() or not text.isprintable() or " " in text or not text:
        raise ValueError("not a token (the value is not shown)")
    return text


_HINTS = {
    "bandwidth": "a rate (20MB), a share of the line (80%), a timetable ('08:00,5MB 19:00,off'), "
    "or off"
}
_REPEATABLE = ("include", "exclude", "reuse_from", "allow")

_PARSERS: dict[str, tuple[str, Callable[[object], object]]] = {
    "repo_type": ("repo_type", _optional(_choice("model", "dataset", "space"))),
    "revision": ("revision", _optional(_text)),
    "include": ("include", _texts),
    "exclude": ("exclude", _texts),
    "directory": ("directory", _path),
    "local_dir": ("local_dir", _optional(_path)),
    "cache": ("cache", _flag),
    "cache_dir": ("cache_dir", _optional(_path)),
    "reuse_from": ("reuse_from", lambda value: tuple(map(_path, _texts(value)))),
    "link": ("link", _choice("clone", "hard", "copy")),
    "prune": ("prune", _flag),
    "connections": ("connections", _connections),
    "trace_controller": ("trace_controller", _optional(_path)),
    "chunk_size": ("chunk_size_bytes", _auto_size(1, low=KIB)),
    "memory": ("memory_bytes", _memory),
    "bandwidth": ("bandwidth", _bandwidth),
    "speed_test_duration": ("speed_test_seconds", _positive_seconds),
    "min_speed_percentage": ("min_speed_percentage", _percentage),
    "speed_check_interval": ("speed_check_seconds", _positive_seconds),
    "file_size_threshold": (
        "file_size_threshold_bytes", lambda value: parse_size(value, bare_unit=MB)
    ),
    "min_free_space": ("min_free_space_bytes", _auto_size(MB)),
    "verify": ("verify", _flag),
    "fix_broken": ("fix_broken", _flag),
    "force": ("force", _flag),
    "no_resume": ("no_resume", _flag),
    "max_retries": ("max_retries", _whole(0, 1000)),
    "give_up_after": (
        "give_up_after_seconds", lambda value: parse_seconds(value, endless=("never",))
    ),
    "connect_timeout": ("connect_timeout_seconds", _positive_seconds),
    "read_timeout": ("read_timeout_seconds", _positive_seconds),
    "wait": ("wait_seconds", lambda value: parse_seconds(value, endless=("forever",))),
    "endpoint": ("endpoint", _optional(_text)),
    "token": ("token", _token),
    "allow": ("allow", _allow),
    "safe_only": ("safe_only", _flag),
}  # fmt: skip

assert {target for target, _ in _PARSERS.values()} == {item.name for item in fields(Options)}


def _did_you_mean(name: str) -> str | None:
    close = get_close_matches(name, _PARSERS, n=1)
    return f"did you mean {close[0]!r}?" if close else None
