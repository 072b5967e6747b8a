"""One picture of a run as styled lines: pure, so that tests can look at any width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from hfdl_async.core.progress import ActiveFile, Snapshot
from hfdl_async.display.connections import connection_rows
from hfdl_async.display.narrator import Line, Tone
from hfdl_async.display.text import (
    clean,
    count,
    cut,
    duration,
    percent,
    rate,
    shorten,
    size,
    size_of,
)

ROWS_MOST = 8  # files shown at once; more than that nobody reads
ROWS_AROUND = 5  # title, total, note and a little air must fit, too
BAR_LEAST = 8
BAR_MOST = 60
NAME_MOST = 48
NAME_WANTED = 32  # `model-00001-of-00005.safetensors`
GAP = "  "


@dataclass(frozen=True, slots=True)
class Look:
    """What the terminal can show."""

    width: int
    height: int
    unicode: bool = True

    @property
    def dots(self) -> str:
        """What stands for text left out."""
        return "…" if self.unicode else "..."


@dataclass(frozen=True, slots=True)
class _Mark:
    sign: str
    plain_sign: str
    style: str


_MARKS: dict[Tone, _Mark] = {
    "plan": _Mark("·", "-", "dim"),
    "good": _Mark("✓", "+", "green"),
    "resumed": _Mark("↻", "+", "cyan"),
    "trouble": _Mark("!", "!", "yellow"),
    "waiting": _Mark("‖", "=", "yellow"),
    "failed": _Mark("✗", "x", "red"),
}
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_SPINNER = "|/-\\"
SPINNER_STEPS_PER_SECOND = 10


def line(told: Line, look: Look, *, whole: bool = False) -> Text:
    """Return one fact as a line cut to the width; the *whole* of it where the terminal may wrap."""
    mark = _MARKS[told.tone]
    sign = mark.sign if look.unicode else mark.plain_sign
    text = Text(no_wrap=True, overflow="crop")
    text.append(f"{sign} ", style=mark.style)
    style = mark.style if told.tone in ("failed", "plan") else ""
    shown = plain_signs(told.text, look)
    text.append(shown if whole else cut(shown, look.width - 2, dots=look.dots), style=style)
    return text


def plain_signs(text: str, look: Look) -> str:
    """Return *text* with what the terminal's encoding cannot show escaped."""
    return text if look.unicode else text.encode("ascii", "backslashreplace").decode("ascii")


def frame(title: str, snapshot: Snapshot, look: Look, *, connections: bool = False) -> list[Text]:
    """Return the lines of the moving part: title, total, note, then files, or *connections*."""
    lines = [_title(title, snapshot, look)]
    if snapshot.bytes_total:
        lines.append(_total(snapshot, look))
    note = _note(snapshot)
    if note:
        lines.append(_spun(note, snapshot, look))
    lines += (_flows(snapshot, look) if connections else []) or _rows(snapshot, look)
    for row in lines:
        row.truncate(look.width, overflow="crop")  # a last resort, for absurd widths
    return lines[: max(1, look.height - 1)]


def _title(title: str, snapshot: Snapshot, look: Look) -> Text:
    counts = ""
    if snapshot.files_total:
        counts = f"{snapshot.files_done:,}/{count(snapshot.files_total, 'file')}"
        if snapshot.files_failed:
            counts += f", {snapshot.files_failed:,} failed"
    room = look.width - cell_len(counts) - 2
    text = _row()
    if room < 12:
        counts, room = "", look.width
    name = shorten(plain_signs(clean(title), look), room, dots=look.dots)
    text.append(name, style="bold")
    if counts:
        text.append(" " * (look.width - cell_len(name) - cell_len(counts)))
        text.append(counts, style="red" if snapshot.files_failed else "dim")
    return text


def _total(snapshot: Snapshot, look: Look) -> Text:
    """Return the total; narrow terminals lose connections, the bar, bytes, rate, ETA in turn."""
    done, total = snapshot.bytes_done, snapshot.bytes_total
    # Fixed widths: a bar that jumps with every digit is no pleasure.
    columns = [
        (percent(done, total).rjust(5), "bold"),
        (size_of(done, total).rjust(len("99.9 of 99.9 GB")), ""),
        (_rate(snapshot).rjust(len("99.9 MB/s")), "cyan"),
        (_left(snapshot).ljust(len("59:59 left")), ""),
    ]
    columns = [column for column in columns if column[0].strip() or snapshot.phase != "checking"]
    connections = (_connections(snapshot), "dim")
    if look.width - _width([*columns, connections]) >= BAR_LEAST:
        columns.append(connections)
    bar_cells = min(BAR_MOST, look.width - _width(columns))
    text = _row()
    if bar_cells >= BAR_LEAST:
        text.append(_bar(bar_cells, done, done, total, look))
    while len(columns) > 1 and _width(columns) - len(GAP) > look.width:
        del columns[1]
    for shown, style in columns:
        text.append(GAP if text.plain else "")
        text.append(shown, style=style)
    return text


def _rate(snapshot: Snapshot) -> str:
    if snapshot.phase == "checking":  # nothing comes from the network yet
        return ""
    return rate(snapshot.rate_bytes_per_second)


def _left(snapshot: Snapshot) -> str:
    if snapshot.eta_seconds is None or snapshot.bytes_done >= snapshot.bytes_total:
        return ""
    seconds = max(1, round(snapshot.eta_seconds))  # tenths would only flicker
    return f"{seconds} s left" if seconds < 60 else f"{duration(seconds)} left"


def _connections(snapshot: Snapshot) -> str:
    if not snapshot.connections_allowed:
        return ""
    shown = f"{snapshot.connections}/{snapshot.connections_allowed} connections"
    limit = snapshot.limit_bytes_per_second
    return shown if limit is None else f"{shown}, limit {rate(limit)}"


def _width(columns: Sequence[tuple[str, str]]) -> int:
    return sum(cell_len(shown) + len(GAP) for shown, _ in columns)


def _note(snapshot: Snapshot) -> str:
    """Return what the run is doing where the bars do not say it."""
    said = clean(snapshot.note)
    seen = f"{snapshot.listed_files:,}"
    match snapshot.phase:
        case "listing":
            doing = f"listing files: {seen} so far" if snapshot.listed_files else "asking the Hub"
        case "checking":
            of = f" of {snapshot.files_total:,}" if snapshot.files_total else ""
            doing = f"checking what is here: {seen}{of}"
        case "waiting":
            doing = "" if said else "waiting"
        case "finishing":
            doing = "verifying and publishing"
        case "downloading" | "done":
            doing = ""
    return ", ".join(part for part in (doing, said) if part)


def _spun(note: str, snapshot: Snapshot, look: Look) -> Text:
    wheel = _SPINNER if look.unicode else _PLAIN_SPINNER
    step = int(snapshot.elapsed_seconds * SPINNER_STEPS_PER_SECOND)
    text = _row()
    text.append(f"{wheel[step % len(wheel)]} ", style="yellow")
    shown = cut(plain_signs(note, look), look.width - 2, dots=look.dots)
    text.append(shown, style="yellow" if snapshot.note else "")
    return text


def _flows(snapshot: Snapshot, look: Look) -> list[Text]:
    """Return the table of connections in place of the files."""
    most = look.height - ROWS_AROUND
    told = connection_rows(snapshot.flows, width=look.width - 2, most=most, dots=look.dots)
    styles = ["dim"] + [""] * len(told)
    return [
        Text("  " + plain_signs(text, look), style=style, no_wrap=True, overflow="crop")
        for text, style in zip(told, styles, strict=False)
    ]


def _rows(snapshot: Snapshot, look: Look) -> list[Text]:
    most = min(ROWS_MOST, look.height - ROWS_AROUND)
    if most < 1 or not snapshot.active or look.width < 24:
        return []
    ordered = sorted(snapshot.active, key=lambda file: (-file.size_bytes, file.path))
    if len(ordered) > most:
        shown, hidden = ordered[: most - 1], ordered[most - 1 :]
    else:
        shown, hidden = ordered, []
    names = [plain_signs(clean(file.path), look) for file in shown]
    widest = min(NAME_MOST, max((cell_len(name) for name in names), default=0))
    name_cells, columns = _row_layout(widest, look)
    rows = [
        _file(file, _fitting(name, name_cells, look), name_cells, columns, look)
        for file, name in zip(shown, names, strict=True)
    ]
    if hidden:
        rest = sum(file.size_bytes - file.done_bytes for file in hidden)
        more = f"  {look.dots} and {count(len(hidden), 'more file')}, {size(rest)} missing"
        rows.append(Text(cut(more, look.width, dots=look.dots), style="dim", no_wrap=True))
    return rows


_ROW_COLUMNS = (5, 15, 9)  # percent, bytes, what happens


def _row_layout(widest: int, look: Look) -> tuple[int, int]:
    """Return the cells for names and the number of columns: names matter more than columns."""
    for columns in range(len(_ROW_COLUMNS), 0, -1):
        taken = 2 + len(GAP) + BAR_LEAST + sum(len(GAP) + c for c in _ROW_COLUMNS[:columns])
        if look.width - taken >= min(widest, NAME_WANTED):
            return min(widest, look.width - taken), columns
    return min(widest, look.width - 2 - len(GAP) - _ROW_COLUMNS[0]), 1


def _fitting(name: str, cells: int, look: Look) -> str:
    """Return *name* within *cells*: folders go first, then the end, where the suffix is."""
    if cell_len(name) > cells and "/" in name:
        name = f"{look.dots}/{name.rsplit('/', 1)[1]}"
    return cut(name, cells, dots=look.dots)


def _file(file: ActiveFile, name: str, name_cells: int, columns: int, look: Look) -> Text:
    done, total = file.done_bytes, file.size_bytes
    if total and done >= total:
        state = "verifying"
    else:
        state = f"{file.connections} conn." if file.connections else "queued"
    shown = (percent(done, total), size_of(done, total), state)
    taken = 2 + name_cells + len(GAP)
    taken += sum(len(GAP) + cells for cells in _ROW_COLUMNS[:columns])
    bar_cells = min(BAR_MOST // 2, look.width - taken)
    text = _row()
    text.append("  " + name + " " * (name_cells - cell_len(name)))
    if bar_cells >= BAR_LEAST:
        text.append(GAP)
        text.append(_bar(bar_cells, file.verified_bytes, done, total, look))
    for value, cells in list(zip(shown, _ROW_COLUMNS, strict=True))[:columns]:
        last = cells == _ROW_COLUMNS[-1]
        text.append(GAP)
        text.append(value if last else value.rjust(cells), style="dim" if last else "")
    return text


def _bar(cells: int, verified: int, done: int, total: int, look: Look) -> Text:
    """Return a bar in three tones: proven so far, written so far, still missing."""
    done_cells = cells if total <= 0 or done >= total else int(cells * done / total)
    sure_cells = min(done_cells, int(cells * verified / total) if total > 0 else cells)
    full, empty = ("━", "─") if look.unicode else ("#", "-")
    text = Text()
    text.append(full * sure_cells, style="green")
    text.append((full if look.unicode else "=") * (done_cells - sure_cells), style="cyan")
    text.append(empty * (cells - done_cells), style="bright_black")
    return text


def _row() -> Text:
    return Text(no_wrap=True, overflow="crop")
