"""From a listing and what lies in the folder to a plan: select, refuse, order, cut."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hfdl_async.core.filetable import (
    FileTable,
    ListedFiles,
    PlannedFiles,
    content_in,
    listed_files,
    remote_files,
)
from hfdl_async.core.finding import ABSENT, Finding, Found
from hfdl_async.core.model import (
    GB,
    MB,
    Action,
    ListedFile,
    Listing,
    PlannedFile,
    Problem,
    RemoteFile,
)
from hfdl_async.core.options import Options
from hfdl_async.core.pieces import ONE_REQUEST_BYTES
from hfdl_async.errors import NotFoundError, StorageError, UnsafeError

SAFETY_BUFFER = 0.05  # of what is to be written, on top of what must stay free
AUTO_FREE_BYTES = 5000 * MB
AUTO_FREE_SHARE = 0.05

# Pickles, archives that hold pickles, and code that is executed on load. `.bin` may be plain data,
# but its name cannot tell, and for weights it is the usual name of a pickle.
RISKY_SUFFIXES = (
    ".bin", ".ckpt", ".joblib", ".mar", ".nemo", ".p", ".pickle", ".pkl", ".pt", ".pth",
    ".py", ".pyc", ".so", ".dll", ".dylib",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files were asked for: names, folders (ending in `/`), and what the patterns match.

    `included` is None where no `--include` was given.
    """

    wanted: tuple[str, ...] = ()
    included: frozenset[str] | None = None
    excluded: frozenset[str] = frozenset()


def select(listing: Listing, selection: Selection, *, repo: str) -> ListedFiles:
    """Return the files that are wanted or included (all, when neither is said) and not excluded.

    *repo* is how messages name the repo.

    Raises:
        NotFoundError: a wanted path is not in the repo, or nothing is selected.
    """
    wanted, included, excluded = selection.wanted, selection.included, selection.excluded
    files = listed_files(listing.files)
    if wanted:
        _refuse_unknown(wanted, set(files.paths), repo)
    everything = not wanted and included is None
    chosen = files
    if not everything or excluded:
        names = {name for name in wanted if not name.endswith("/")} | (included or frozenset())
        folders = tuple(name for name in wanted if name.endswith("/"))
        chosen = ListedFiles(
            files.table.where(
                [
                    (everything or path in names or path.startswith(folders))
                    and path not in excluded
                    for path in files.paths
                ]
            )
        )
    if not chosen:
        raise NotFoundError(
            f"nothing in {repo} is selected",
            hint="the patterns leave no file; `hfdl plan` shows what a selection holds"
            if files
            else "the repo is empty at this revision",
        )
    return chosen


def _refuse_unknown(wanted: Sequence[str], paths: set[str], repo: str) -> None:
    folders = {path[: cut + 1] for path in paths for cut in _slashes(path)}
    unknown = [name for name in wanted if name not in paths and name not in folders]
    if not unknown:
        return
    is_folder = [name for name in unknown if f"{name}/" in folders]
    hint = (
        f"to name a folder, end it with a slash: {is_folder[0]}/"
        if is_folder
        else f"`hfdl plan {repo}` lists what there is"
    )
    raise NotFoundError(f"{repo} has no file {', '.join(map(repr, unknown[:10]))}", hint=hint)


def _slashes(path: str) -> Iterator[int]:
    return (index for index, letter in enumerate(path) if letter == "/")


def is_risky(path: str) -> bool:
    """Return whether loading *path* the usual way may run code: pickles, modules, libraries."""
    return path.lower().endswith(RISKY_SUFFIXES)


def without_risky(
    files: Sequence[ListedFile], wanted: Sequence[str]
) -> tuple[ListedFiles, tuple[str, ...]]:
    """Return the files that run no code when loaded, and the paths that were left out.

    Raises:
        UnsafeError: one of those was asked for by name.
    """
    table = listed_files(files).table
    left_out = tuple(filter(is_risky, table.paths))
    named = [path for path in left_out if path in wanted]
    if named:
        raise UnsafeError(
            f"{named[0]} may run code when it is loaded, and --safe-only leaves such files out",
            hint="drop --safe-only, or do not name this file",
        )
    return ListedFiles(table.where([not is_risky(path) for path in table.paths])), left_out


@dataclass(frozen=True, slots=True)
class Decisions:
    """What will be done about each file, what stands in the way, what a person should know."""

    files: PlannedFiles
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]
    adopt: tuple[RemoteFile, ...]


NOTHING_TO_DO = Decisions(PlannedFiles(FileTable(), b"", {}), (), (), ())


def decide(
    files: Sequence[RemoteFile],
    findings: Mapping[str, Finding],
    elsewhere: Mapping[str, Path],
    options: Options,
    place_of: Callable[[RemoteFile], Path],
) -> Decisions:
    """Return what to do about each of *files*, given what is in the folder (contract, section 7).

    Args:
        files: the selected files.
        findings: what is at each final name.
        elsewhere: by content key, a file on this machine that holds the content.
        options: `force`, `fix_broken` and `verify` change what may be replaced.
        place_of: where the content of a file lies, or will.
    """
    problems, warnings, adopt = [], [], []
    table = remote_files(files).table
    here, special = bytearray(len(table)), dict[int, PlannedFile]()
    can_copy = bool(elsewhere) and not options.force
    for row, path in enumerate(table.paths):
        finding = findings[path]
        if finding is ABSENT and not can_copy:
            continue  # to be fetched, as nearly all are where nearly nothing is
        if finding.state is Found.FITS and not finding.nameless and not options.force:
            here[row] = True
            continue
        file = table.remote(row)
        if (finding.state is Found.RIGHT or finding.nameless) and not options.force:
            adopt.append(file)
        if problem := _problem(file, finding, options):
            problems.append(problem)
        if finding.state is Found.WRONG:
            warnings.append(f"{file.path}: the cache had wrong content under its digest")
        if finding.state is Found.ROTTEN:
            warnings.append(f"{file.path}: the content on disk has rotted (nobody wrote to it)")
        item = _planned(file, finding, elsewhere, options, place_of)
        here[row] = item.action is Action.REUSE
        if item != PlannedFile(file, Action.REUSE if here[row] else Action.FETCH):
            special[row] = item
    _share_content(table, here, special, linked=options.link == "hard")
    return Decisions(
        PlannedFiles(table, here, special), tuple(problems), tuple(warnings), tuple(adopt)
    )


def _problem(file: RemoteFile, finding: Finding, options: Options) -> Problem | None:
    match finding.state:
        case Found.IN_THE_WAY:
            return Problem(file.path, "storage", f"{finding.blocker or file.path} is in the way")
        case Found.FOREIGN if not options.force:
            text = "another file of this name is here, and it is not ours"
            return Problem(file.path, "unsafe", text)
        case Found.CHANGED if not (options.force or options.fix_broken):
            return Problem(file.path, "unsafe", "somebody changed this file since it was fetched")
        case Found.ROTTEN | Found.WRONG if options.verify and not (
            options.force or options.fix_broken
        ):
            text = "the content on disk is wrong, --fix-broken replaces it"
            return Problem(file.path, "integrity", text)
        case _:
            return None


def _planned(
    file: RemoteFile,
    finding: Finding,
    elsewhere: Mapping[str, Path],
    options: Options,
    place_of: Callable[[RemoteFile], Path],
) -> PlannedFile:
    if finding.is_right and not options.force:
        return PlannedFile(file, Action.REUSE)
    source = elsewhere.get(file.content_key or "")
    if source is not None and not options.force:
        return PlannedFile(file, Action.COPY, copy_of=str(source), linked=options.link == "hard")
    have = 0 if options.force or options.no_resume else finding.have_bytes
    return PlannedFile(
        file,
        Action.FETCH,
        have_bytes=min(have, file.size_bytes),
        part_bytes=finding.part_bytes,
        heals=finding.state in (Found.ROTTEN, Found.WRONG),
        repair_from=str(place_of(file)) if _repairable(file, finding, options) else None,
    )


def _repairable(file: RemoteFile, finding: Finding, options: Options) -> bool:
    """Whether a damaged file of this very content lies there, so that its good cells count."""
    return (
        not options.force
        and finding.state in (Found.ROTTEN, Found.CHANGED, Found.WRONG)
        and finding.receipt is not None
        and finding.receipt.digest == file.digest
    )


def _share_content(
    table: FileTable, here: bytearray, special: dict[int, PlannedFile], *, linked: bool
) -> None:
    """Fetch each content once: later files of one digest become copies of the first.

    Empty files are left alone: they are never asked for.
    """
    rows = _with_equals(table)
    first: dict[tuple[bytes, int], str] = {}
    for row in rows:
        if here[row]:
            first.setdefault(_content(table, row), table.paths[row])
    for row in rows:
        item = special.get(row) or PlannedFile(table.remote(row), Action.FETCH)
        if here[row] or item.action is not Action.FETCH:
            continue
        origin = first.setdefault(_content(table, row), item.file.path)
        if origin != item.file.path:
            special[row] = PlannedFile(
                item.file, Action.COPY, copy_of=origin, linked=linked, heals=item.heals
            )


def _content(table: FileTable, row: int) -> tuple[bytes, int]:
    """Return what two rows share if and only if they hold the same content, if known."""
    hashes = table.hashes[row]
    return bytes([hashes[0] & 3]) + content_in(hashes), table.sizes[row]


def _with_equals(table: FileTable) -> list[int]:
    """Return the rows of which another one may have the same content; empty files have no equal.

    Equal content begins its digest with the same eight bytes, and hardly any other does: the few
    that are found are compared in full by the caller.
    """
    beginnings = [hashes[1:9] for hashes in table.hashes]
    if len(set(beginnings)) == len(beginnings):
        return []
    counts = Counter(beginnings)
    return [
        row
        for row, beginning in enumerate(beginnings)
        if counts[beginning] > 1 and table.sizes[row] and content_in(table.hashes[row])
    ]


def in_order(items: Iterable[PlannedFile]) -> list[PlannedFile]:
    """Return what must be fetched: smallest first, so that many files are usable soon.

    Those that are no more than a request go by their paths: files of one folder come together, and
    the folder is synced once for many of them.
    """
    return sorted(
        (item for item in items if item.action is Action.FETCH),
        key=lambda item: (max(item.file.size_bytes, ONE_REQUEST_BYTES), item.file.path),
    )


def check_space(
    to_write: int, free: int, total: int, *, min_free_space: int | None, path: Path
) -> str | None:
    """Return a warning about scarce space, or None.

    What is written carries a 5 % safety buffer; *min_free_space* must stay free on top, strictly
    when the user gave a number, as advice when it is None (auto).

    Raises:
        StorageError: the files themselves, or a strict reserve, do not fit.
    """
    reserve = min(AUTO_FREE_BYTES, int(total * AUTO_FREE_SHARE))
    if min_free_space is not None:
        reserve = min_free_space
    needed = to_write + int(to_write * SAFETY_BUFFER)
    if to_write and to_write > free:
        raise StorageError(
            f"{path}: {amount(to_write)} are to be written and {amount(free)} are free",
            hint="free some space, choose another folder, or select fewer files",
        )
    if not to_write or needed + reserve <= free:
        return None
    text = f"{path}: {amount(needed + reserve)} should be free (5 % and the reserve included), "
    if min_free_space is not None:
        raise StorageError(
            f"{text}{amount(free)} are", hint="free some space, or lower --min-free-space"
        )
    return f"{text}{amount(free)} are"


def amount(size: int) -> str:
    """Return *size* for people, in the decimal units of every display."""
    if size < MB // 10:
        return f"{size} bytes"
    return f"{size / GB:.2f} GB" if size >= GB // 10 else f"{size / MB:.1f} MB"
