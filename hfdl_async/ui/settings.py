"""From flags and environment to what one invocation was told."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

from hfdl_async.core.options import PLACES, Options, option_names
from hfdl_async.errors import UsageError
from hfdl_async.ui.flags import FLAGS, Flag, environment_of, flags_of

_YES = ("1", "on", "yes", "true")

CACHES = ("cache", "cache_dir")


@dataclass(frozen=True, slots=True)
class Settings:
    """One invocation: options for the API, and how to talk about it.

    Attributes:
        options: keywords for the API, still text; they parse.
        progress: whether a display is wanted at all.
        show_connections: it has a row for each connection instead of each file.
        extra: options of one command only (`repair`, `keep`, ...).
        notes: what to tell the user once, on standard error.
    """

    options: dict[str, object]
    json: bool = False
    quiet: bool = False
    verbose: bool = False
    progress: bool = True
    show_connections: bool = False
    cache_by_environment: bool = False  # nobody typed where to look
    extra: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def settle(command: str, given: Mapping[str, object], environ: Mapping[str, str]) -> Settings:
    """Return the settings: a flag beats the environment, which beats the default.

    Raises:
        UsageError: a value that cannot be, or options that contradict each other.
    """
    typed = {name: value for name, value in given.items() if value not in (None, False, [], ())}
    around = environment_of(command, environ)
    one_destination(typed, around)
    merged = {**around, **typed}
    if merged.get("repair") and merged.get("offline"):
        raise UsageError(
            "--repair and --offline contradict each other: what is bad has to be fetched",
            hint="leave out --offline to repair, --repair to check without a network",
        )
    notes = []
    if merged.pop("enhanced", False):
        notes.append("note: --enhanced and its old names have no effect: it is always on")
    if merged.get("token") == "-":
        merged["token"] = _token_from_stdin()
    known = option_names()
    options = {name: value for name, value in merged.items() if name in known}
    _check(command, options, typed)
    rest = {name: value for name, value in merged.items() if name not in known}
    bars_off = environ.get("HF_HUB_DISABLE_PROGRESS_BARS", "").strip().lower() in _YES
    quiet = bool(rest.pop("quiet", False))
    return Settings(
        options=options,
        json=bool(rest.pop("json", False)),
        quiet=quiet,
        verbose=bool(rest.pop("verbose", False)),
        progress=not (quiet or rest.pop("no_progress", False) or bars_off),
        show_connections=bool(rest.pop("show_connections", False)),
        cache_by_environment=any(name in around for name in CACHES),
        extra=rest,
        notes=tuple(notes),
    )


def one_destination(typed: Mapping[str, object], around: dict[str, object]) -> None:
    """Keep one destination: what was typed beats the environment.

    Raises:
        UsageError: two were typed, or two are in the environment.
    """
    for values in (typed, around):
        named = _destinations(values)
        if len(named) > 1:
            raise UsageError(
                f"{' and '.join(named)} name two destinations",
                hint="--directory DIR puts files into DIR/<repo name>/, --local-dir exactly there, "
                "--cache into the shared cache",
            )
    if _destinations(typed):
        for name in PLACES:
            around.pop(name, None)


def _destinations(values: Mapping[str, object]) -> list[str]:
    """Return the flags of the destinations that *values* name; a cache and its folder are one."""
    named = [name for name in ("directory", "local_dir", "cache_dir") if name in values]
    if "cache_dir" not in values and str(values.get("cache", "0")).lower() in _YES:
        named.append("cache")
    return [f"--{name.replace('_', '-')}" for name in named]


def _token_from_stdin() -> str:
    if sys.stdin is None:
        token = ""
    elif sys.stdin.isatty():
        from getpass import getpass

        token = getpass("token: ").strip()
    else:
        token = sys.stdin.readline().strip()
    if not token:
        raise UsageError("--token -: there is no token on standard input")
    return token


def _check(command: str, options: Mapping[str, object], typed: Mapping[str, object]) -> None:
    """Parse every option once, so that a mistake is named as the user made it."""
    by_name = {flag.name: flag for flag in flags_of(command)}
    for name, value in options.items():
        try:
            Options.parse({name: value})
        except UsageError as error:
            message = error.message.removeprefix(f"{name}: ")
            spelled = _spelled(by_name[name], typed)
            raise UsageError(f"{spelled}: {message}", hint=error.hint) from error


def _spelled(flag: Flag, typed: Mapping[str, object]) -> str:
    return flag.long if flag.name in typed else flag.environment


def wants_details(arguments: list[str]) -> bool:
    """Return whether tracebacks are asked for; needed where parsing itself fails."""
    flag = next(flag for flag in FLAGS if flag.name == "verbose")
    return flag.long in arguments or os.environ.get(flag.environment, "").lower() in _YES
