"""The command's options as one table: what typer, the argument rewriting and the tests read.

A value stays text here; `core.options` parses it once, the same for keywords, flags and the
environment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from hfdl_async.core.options import from_environment, option_names
from hfdl_async.errors import UsageError

Panel = Literal["What", "Where", "Network", "Safety", "Output"]
Kind = Literal["text", "switch", "many"]
Command = Literal["download", "plan", "verify", "status", "demo"]

COMMANDS: Mapping[Command, str] = {
    "download": "fetch, verify, publish (also: hfdl REPO ...)",
    "plan": "what download would do; fetches no file content",
    "verify": "re-check a folder by content; --repair heals it",
    "status": "what is complete, in progress, resumable under a folder",
    "demo": "the whole thing on this machine alone, no network needed",
}
LATER = (
    "--proxy",
    "--ca-bundle", "--events",
)  # fmt: skip
RESERVED = ("lock", "sync", "export", "import", "cache", "bench", "serve")

_FETCHING = ("download", "plan")
_ONLINE = ("download", "plan", "verify")
_EVERY = ("download", "plan", "verify", "status", "demo")
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Flag:
    """One option: its names, the panel it stands in, and the commands that have it.

    Attributes:
        name: the public name, as in the API.
        spellings: what a user types; the first long one is the documented one, the rest old.
        knob: shown by `--help-all` only.
    """

    name: str
    spellings: tuple[str, ...]
    panel: Panel
    help: str
    kind: Kind = "text"
    metavar: str = ""
    commands: tuple[str, ...] = _FETCHING
    knob: bool = False

    @property
    def long(self) -> str:
        """The documented spelling."""
        return next(item for item in self.spellings if item.startswith("--"))

    @property
    def environment(self) -> str:
        """The name of the environment form."""
        return "HFDL_" + self.long.removeprefix("--").upper().replace("-", "_")


def _switch(
    spelling: str | tuple[str, ...],
    panel: Panel,
    help_text: str,
    *,
    commands: tuple[str, ...] = _FETCHING,
    knob: bool = False,
) -> Flag:
    spellings = (spelling,) if isinstance(spelling, str) else spelling
    long = next(item for item in spellings if item.startswith("--"))
    name = long.removeprefix("--").replace("-", "_")
    return Flag(name, spellings, panel, help_text, "switch", "", commands, knob)


FLAGS: tuple[Flag, ...] = (
    Flag("repo_type", ("--repo-type", "-r", "--repo_type", "--type"), "What",
         "model, dataset or space; the default is what REPO says, else model", metavar="TYPE"),
    Flag("revision", ("--revision",), "What",
         "branch, tag, refs/pr/N or commit; pinned to a commit at the start (default: main)",
         metavar="REV"),
    Flag("include", ("--include",), "What", "only files that match; repeatable", "many", "GLOB"),
    Flag("exclude", ("--exclude",), "What", "no files that match; repeatable", "many", "GLOB"),
    Flag("directory", ("--directory", "-d"), "Where",
         "base folder: files go to DIR/<repo name>/ (default: downloads)", metavar="DIR"),
    Flag("local_dir", ("--local-dir",), "Where", "exactly this folder instead", metavar="DIR"),
    Flag("cache", ("--cache",), "Where",
         "the shared Hugging Face cache instead, where transformers and hf look (HF_HUB_CACHE)",
         "switch", commands=("download", "plan", "verify")),
    Flag("cache_dir", ("--cache-dir",), "Where", "the same, with the cache in this folder",
         metavar="DIR", commands=("download", "plan", "verify")),
    Flag("reuse_from", ("--reuse-from",), "Where",
         "take over content that is in this folder or cache instead of fetching it; repeatable",
         "many", "DIR"),
    Flag("link", ("--link",), "Where",
         "how reused content is placed: clone (a reflink, else a copy), copy, or hard: one file "
         "under two names, so that who changes the one changes the other (default: clone)",
         metavar="HOW", knob=True),
    _switch("--prune", "Where",
            "after success remove files that came from an older commit and are no longer in the "
            "repo; what you changed stays"),
    Flag("connections", ("--connections", "-t", "--threads", "--max-workers"), "Network",
         "most connections at once: a number or auto; how many are used below it follows the "
         "measured rate", metavar="N", commands=_ONLINE),
    Flag("bandwidth", ("--bandwidth",), "Network",
         "most to take: a rate (20MB), a share of the measured line (80%), or a timetable by local "
         "time (08:00,5MB 19:00,off)", metavar="LIMIT", commands=_ONLINE),
    Flag("speed_test_duration", ("--speed-test-duration", "--measure-time"), "Network",
         "seconds of the download itself by which a share of the line is first reckoned "
         "(default: 5)", metavar="S", commands=_ONLINE, knob=True),
    Flag("min_speed_percentage", ("--min-speed-percentage",), "Network",
         "a connection slower than this share of its peers' mean is replaced, 1 to 100 "
         "(default: 5)", metavar="PERCENT", commands=_ONLINE, knob=True),
    Flag("speed_check_interval", ("--speed-check-interval",), "Network",
         "seconds between two looks at that; twice in a row must say so (default: 5)",
         metavar="S", commands=_ONLINE, knob=True),
    Flag("endpoint", ("--endpoint",), "Network", "Hub or mirror (default: HF_ENDPOINT)",
         metavar="URL", commands=_ONLINE),
    Flag("token", ("--token",), "Network",
         "access token, or - to read it from standard input; other users can see a command "
         "line (default: the stored login)", metavar="TOKEN", commands=_ONLINE),
    Flag("give_up_after", ("--give-up-after",), "Network",
         "seconds without one new byte before a lost network ends the run, or never "
         "(default: 300)", metavar="S", commands=_ONLINE),
    Flag("max_retries", ("--max-retries",), "Network",
         "tries in a row, without a new byte between them, for a request that the server "
         "answers with an error, and for first contact (default: 5)",
         metavar="N", commands=_ONLINE, knob=True),
    Flag("connect_timeout", ("--connect-timeout",), "Network",
         "seconds for a connection to be made (default: 10)",
         metavar="S", commands=_ONLINE, knob=True),
    Flag("read_timeout", ("--read-timeout",), "Network",
         "seconds of silence before an answer begins (default: 30)",
         metavar="S", commands=_ONLINE, knob=True),
    Flag("chunk_size", ("--chunk-size",), "Network",
         "most bytes read from a connection at once: bytes, 1MiB or auto", metavar="SIZE",
         knob=True),
    Flag("memory", ("--memory",), "Network",
         "MiB that buffers of all connections may take; when the disk is slower than the "
         "network, the network waits (default: 32)", metavar="SIZE", commands=_ONLINE, knob=True),
    Flag("file_size_threshold", ("--file-size-threshold", "--size-threshold"), "Network",
         "below: a small file, fetched first; at or above: split into ranges from the start "
         "(MB, default: 200)", metavar="SIZE", knob=True),
    _switch("--verify", "Safety", "also re-check files that are already there, by content"),
    _switch("--fix-broken", "Safety", "with the re-check: replace what is bad"),
    _switch(("--force", "--force-download"), "Safety",
            "fetch again even if present, and replace files that are not ours; the old file "
            "stays until the new one is verified"),
    _switch("--safe-only", "Safety",
            "leave out pickle-based weights and repository code, and list them"),
    _switch("--dry-run", "Safety", "print the plan only"),
    Flag("min_free_space", ("--min-free-space",), "Safety",
         "MB that must stay free afterwards; a number is strict, auto only warns",
         metavar="SIZE"),
    Flag("wait", ("--wait",), "Safety",
         "seconds to wait while another process works on this target; 0 gives up at once "
         "(default: forever)", metavar="S", commands=_ONLINE),
    _switch("--no-resume", "Safety", "forget partial files first", knob=True),
    Flag("allow", ("--allow",), "Safety",
         "lift one refusal, repeatable, warns on every run: http-token, private-redirects, "
         "symlinks, unverified", "many", "NAME", commands=_ONLINE, knob=True),
    Flag("enhanced", ("--enhanced", "--optimize-download", "--enhanced-mode"), "Network",
         "accepted from older versions, no effect", "switch", knob=True),
    _switch("--repair", "Safety", "fetch again what is bad or missing", commands=("verify",)),
    _switch("--offline", "Safety", "use the receipts only, ask no server", commands=("verify",)),
    Flag("size", ("--size",), "What", "size of the generated repo (default: 600MB)",
         metavar="SIZE", commands=("demo",)),
    Flag("seed", ("--seed",), "What", "what the generated bytes derive from (default: 1)",
         metavar="N", commands=("demo",), knob=True),
    _switch("--keep", "Where", "keep the temporary folder", commands=("demo",)),
    _switch("--json", "Output", "the report on standard output, nothing else there",
            commands=("download", "plan", "verify", "status")),
    _switch(("--quiet", "-q"), "Output", "only the final path (or table) on standard output",
            commands=(*_ONLINE, "demo")),
    _switch("--verbose", "Output", "debug log on standard error", commands=_EVERY),
    Flag("trace_controller", ("--trace-controller",), "Output",
         "write each decision about the number of connections, and what it was based on, to "
         "this file", metavar="FILE", knob=True),
    _switch("--no-progress", "Output", "no progress display", commands=("download", "plan",
            "verify", "demo")),
    _switch("--show-connections", "Output", "in the progress display, a row for each connection "
            "instead of each file", knob=True, commands=("download", "plan")),
)  # fmt: skip

_BY_SPELLING = {spelling: flag for flag in FLAGS for spelling in flag.spellings}


def flags_of(command: str) -> Iterator[Flag]:
    """Return the options one command has, in the order of the help."""
    return (flag for flag in FLAGS if command in flag.commands)


def takes_value(argument: str) -> bool:
    """Return whether *argument* is an option whose value is the next argument."""
    if argument.startswith("--"):
        flag = _BY_SPELLING.get(argument)
        return flag is not None and flag.kind != "switch"
    # Short options may be bundled: in `-qt 8` the last letter takes the value, in `-t8` none.
    for position, letter in enumerate(argument[1:], start=1):
        flag = _BY_SPELLING.get(f"-{letter}")
        if flag is not None and flag.kind != "switch":
            return position == len(argument) - 1
    return False


def environment_of(command: str, environ: Mapping[str, str]) -> dict[str, object]:
    """Return what the environment sets of one command's options; an empty value sets nothing.

    Raises:
        UsageError: a switch that is neither 1 nor 0.
    """
    known = from_environment(environ)
    values: dict[str, object] = {}
    for flag in flags_of(command):
        text = environ.get(flag.environment, "")
        if flag.name in known:
            values[flag.name] = known[flag.name]
        elif text and flag.name not in option_names():
            is_switch = flag.kind == "switch"
            values[flag.name] = _truth(flag.environment, text) if is_switch else text
    return values


def _truth(name: str, text: str) -> bool:
    word = text.strip().lower()
    if word not in (*_TRUE, *_FALSE):
        raise UsageError(f"{name}: {text!r} is neither 1 nor 0")
    return word in _TRUE
