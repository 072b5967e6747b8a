"""The help: five panels with what people need; knobs and old names only when asked for."""

from __future__ import annotations

from typing import get_args

from hfdl_async.ui import out
from hfdl_async.ui.flags import COMMANDS, Flag, Panel, flags_of

_USAGE = {
    "download": "hfdl REPO [FILES...] [options]",
    "plan": "hfdl plan REPO [FILES...] [options]",
    "verify": "hfdl verify FOLDER [options]",
    "status": "hfdl status [DIR] [options]",
    "demo": "hfdl demo [options]",
}
_ABOUT = {
    "download": "Download from the Hugging Face Hub: every byte proven, every interruption "
    "resumed.",
    "plan": "Show what `hfdl download` would do: bytes to fetch and to reuse, disk needed and "
    "free, problems. Writes nothing and fetches no file content.",
    "verify": "Re-check a folder by content against its receipts and the Hub's digests: one "
    "line per bad or missing file, then a summary.",
    "status": "Show what is complete, in progress and resumable under a folder (default: "
    "downloads). Needs no network.",
    "demo": "Start a hub on this machine with a generated repo, download from it, interrupt "
    "that, resume, verify, break a file and heal it. Needs no network.",
}
_ARGUMENTS = {
    "download": (
        ("REPO", "gpt2, org/name, datasets/org/name, hf://... or a web address; also @revision"),
        ("FILES", "paths in the repo; one that ends in / means the folder (default: all)"),
    ),
    "verify": (("TARGET", "a folder that hfdl filled, or with --cache a repo: org/name@revision"),),
    "status": (("DIR", "where to look (default: downloads)"),),
}  # fmt: skip
_ARGUMENTS["plan"] = _ARGUMENTS["download"]
_COMMON = (
    ("--help, -h", "this help"),
    ("--help-all", "with the knobs and the old names of options"),
    ("--version, -v", "the version"),
)
_WIDTH_MOST = 100
NAMES_MOST = 30


def show_help(command: str, *, everything: bool) -> None:
    """Print the help of *command* to standard output.

    Raises:
        StorageError: where standard output leads to, there is no room for it.
    """
    with out.results():
        _print_help(command, everything=everything)


def _print_help(command: str, *, everything: bool) -> None:
    from rich.box import ROUNDED
    from rich.panel import Panel as Frame
    from rich.table import Table
    from rich.text import Text

    from hfdl_async.display.screen import make_screen

    console = make_screen()
    console.width = min(console.width, _WIDTH_MOST)
    console.print(Text.assemble(("Usage: ", "bold"), _USAGE[command]))
    console.print(Text(f"\n{_ABOUT[command]}\n"))
    if command == "download":
        console.print(_commands())
    panels = {title: _rows(command, title, everything=everything) for title in get_args(Panel)}
    widest = max(len(names) for rows in panels.values() for names, _ in rows)
    for title, rows in panels.items():
        if not rows:
            continue
        table = Table.grid(padding=(0, 2))
        table.add_column(style="cyan", width=min(widest, NAMES_MOST, console.width // 2))
        table.add_column(ratio=1)
        for names, text in rows:
            table.add_row(names, text)
        console.print(Frame(table, title=title, title_align="left", box=ROUNDED))


def _commands() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = [f"  {name.ljust(width)}{text}" for name, text in COMMANDS.items()]
    return "\n".join(["Commands (each has its own --help):", *lines, ""])


def _rows(command: str, panel: str, *, everything: bool) -> list[tuple[str, str]]:
    rows = list(_ARGUMENTS.get(command, ())) if panel == "What" else []
    rows += [
        (_names(flag, everything=everything), flag.help)
        for flag in flags_of(command)
        if flag.panel == panel and (everything or not flag.knob)
    ]
    return rows + list(_COMMON) if panel == "Output" else rows


def _names(flag: Flag, *, everything: bool) -> str:
    short = [item for item in flag.spellings if not item.startswith("--")]
    long = [item for item in flag.spellings if item.startswith("--")]
    names = [long[0], *short, *(long[1:] if everything else ())]
    return ", ".join(names) + (f" {flag.metavar}" if flag.metavar else "")
