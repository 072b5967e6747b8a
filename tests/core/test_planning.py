from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from hfdl_async.core.finding import ABSENT, Finding, Found
from hfdl_async.core.model import (
    GIB,
    MB,
    MIB,
    Action,
    Digest,
    ListedFile,
    Listing,
    PlannedFile,
    RemoteFile,
)
from hfdl_async.core.options import Options
from hfdl_async.core.planning import (
    AUTO_FREE_BYTES,
    Decisions,
    Selection,
    check_space,
    decide,
    in_order,
    is_risky,
    select,
    without_risky,
)
from hfdl_async.core.state import Receipt
from hfdl_async.errors import NotFoundError, StorageError, UnsafeError

ROOT = Path("/d/name")

# -- selecting -------------------------------------------------------------------------------

PATHS = ("README.md", "a/x.bin", "a/y.txt", "ab/z.txt", "config.json")
LISTING = Listing("c" * 40, tuple(ListedFile(path, 1, None) for path in PATHS))


def selected(
    *wanted: str, included: frozenset[str] | None = None, excluded: tuple[str, ...] = ()
) -> list[str]:
    selection = Selection(wanted, included, frozenset(excluded))
    return [file.path for file in select(LISTING, selection, repo="org/name")]


def test_everything_is_selected_when_nothing_is_said() -> None:
    assert selected() == list(PATHS)


def test_names_and_folders_are_selected_in_the_order_of_the_hub() -> None:
    assert selected("config.json", "README.md") == ["README.md", "config.json"]
    assert selected("a/") == ["a/x.bin", "a/y.txt"]


def test_a_file_is_selected_when_it_is_wanted_or_included_and_not_excluded() -> None:
    included = frozenset({"a/y.txt", "ab/z.txt"})
    assert selected(included=included) == ["a/y.txt", "ab/z.txt"]
    assert selected("config.json", included=included) == ["a/y.txt", "ab/z.txt", "config.json"]
    assert selected("a/", excluded=("a/x.bin",)) == ["a/y.txt"]
    assert selected(excluded=("a/x.bin", "a/y.txt")) == ["README.md", "ab/z.txt", "config.json"]


@pytest.mark.parametrize("name", ["missing", "b/", "a/x.bin/", "a"])
def test_a_named_file_that_is_not_there_is_an_error(name: str) -> None:
    with pytest.raises(NotFoundError, match="org/name has no file") as caught:
        selected("README.md", name)
    assert name in caught.value.message
    assert ("end it with a slash" in str(caught.value.hint)) == (name == "a")


def test_selecting_nothing_is_an_error() -> None:
    with pytest.raises(NotFoundError, match="nothing in org/name is selected"):
        selected(included=frozenset())
    with pytest.raises(NotFoundError) as caught:
        select(Listing("c" * 40, ()), Selection(), repo="org/name")
    assert "empty" in str(caught.value.hint)


RISKY = ["pytorch_model.bin", "a/b.PKL", "x.pt", "modeling.py", "w.ckpt", "lib.so", "v.nemo"]
HARMLESS = [
    "model.safetensors",
    "config.json",
    "m.gguf",
    "optimizer.bin.index.json",
    "py",
    "a.onnx",
    "run.sh",
    "x.npy",
    "setup.exe",
    "m.keras",
    "tf_model.h5",
]


@pytest.mark.parametrize("path", RISKY + HARMLESS)
def test_files_that_run_code_when_loaded_are_known_by_name(path: str) -> None:
    assert is_risky(path) == (path in RISKY)


def test_risky_files_are_left_out_and_listed() -> None:
    files = [ListedFile(path, 1, None) for path in ("a.pt", "b.json", "c.py")]
    kept, left_out = without_risky(files, [])
    assert [file.path for file in kept] == ["b.json"]
    assert left_out == ("a.pt", "c.py")


def test_a_risky_file_that_was_asked_for_by_name_is_refused() -> None:
    with pytest.raises(UnsafeError, match=r"a\.pt may run code"):
        without_risky([ListedFile("a.pt", 1, None)], ["a.pt"])


# -- what a run does with what it finds ------------------------------------------------------

DIGEST = Digest("sha256", "ab" * 32)
FILE = RemoteFile("f", 100, DIGEST)


def receipt(digest: Digest = DIGEST) -> Receipt:
    return Receipt("f", 100, digest, (), 1, 1, 1, "c" * 40)


@dataclass(frozen=True)
class Row:
    """A row of the contract's table: what is found, what was asked, what is done."""

    finding: Finding
    asked: dict[str, object]
    action: Action
    problem: str | None = None
    warns: bool = False
    adopts: bool = False
    heals: bool = False
    repairs: bool = False


def found(state: Found, *, receipt: Receipt | None = None) -> Finding:
    return Finding(state, receipt=receipt)


MINE = found(Found.CHANGED, receipt=receipt())
ROTTEN = found(Found.ROTTEN, receipt=receipt())
OF_OLDER = found(Found.CHANGED, receipt=receipt(Digest("sha256", "cd" * 32)))
WRONG = found(Found.WRONG)
NAMELESS = Finding(Found.FITS, receipt=receipt(), nameless=True)
FETCH, REUSE = Action.FETCH, Action.REUSE
ROWS = {
    "nothing": Row(found(Found.ABSENT), {}, FETCH),
    "a receipt that fits": Row(found(Found.FITS), {}, REUSE),
    "a receipt that fits, re-read": Row(found(Found.FITS), {"verify": True}, REUSE),
    "a receipt that fits, forced": Row(found(Found.FITS), {"force": True}, FETCH),
    "right by content": Row(found(Found.RIGHT), {}, REUSE, adopts=True),
    "right by content, forced": Row(found(Found.RIGHT), {"force": True}, FETCH),
    "ours of an older commit": Row(found(Found.OLDER), {}, FETCH),
    "rotten": Row(ROTTEN, {}, FETCH, warns=True, heals=True, repairs=True),
    "rotten, only looking": Row(
        ROTTEN, {"verify": True}, FETCH, "integrity", warns=True, heals=True, repairs=True
    ),
    "rotten, repairing": Row(
        ROTTEN, {"fix_broken": True}, FETCH, warns=True, heals=True, repairs=True
    ),
    "rotten, forced": Row(ROTTEN, {"force": True}, FETCH, warns=True, heals=True),
    "ours, changed": Row(MINE, {}, FETCH, "unsafe", repairs=True),
    "ours, changed, repairing": Row(MINE, {"fix_broken": True}, FETCH, repairs=True),
    "ours, changed, forced": Row(MINE, {"force": True}, FETCH),
    "ours of an older commit, changed": Row(OF_OLDER, {}, FETCH, "unsafe"),
    "not ours": Row(found(Found.FOREIGN), {}, FETCH, "unsafe"),
    "not ours, repairing": Row(found(Found.FOREIGN), {"fix_broken": True}, FETCH, "unsafe"),
    "not ours, forced": Row(found(Found.FOREIGN), {"force": True}, FETCH),
    "of the right name, but wrong": Row(WRONG, {}, FETCH, warns=True, heals=True),
    "of the right name, but wrong, only looking": Row(
        WRONG, {"verify": True}, FETCH, "integrity", warns=True, heals=True
    ),
    "of the right name, but wrong, repairing": Row(
        WRONG, {"fix_broken": True}, FETCH, warns=True, heals=True
    ),
    "of the right name, but wrong, forced": Row(
        WRONG, {"force": True}, FETCH, warns=True, heals=True
    ),
    "ours, of the right name, but wrong": Row(
        found(Found.WRONG, receipt=receipt()), {}, FETCH, warns=True, heals=True, repairs=True
    ),
    "right, but nobody finds it": Row(NAMELESS, {}, REUSE, adopts=True),
    "right, but nobody finds it, forced": Row(NAMELESS, {"force": True}, FETCH),
    "a symlink": Row(found(Found.LINK), {}, FETCH),
    "in the way": Row(found(Found.IN_THE_WAY), {}, FETCH, "storage"),
    "in the way, forced": Row(found(Found.IN_THE_WAY), {"force": True}, FETCH, "storage"),
}


def in_root(file: RemoteFile) -> Path:
    return ROOT / file.path


def decided(
    *files: RemoteFile,
    findings: dict[str, Finding] | None = None,
    elsewhere: dict[str, Path] | None = None,
    **asked: object,
) -> Decisions:
    absent = {file.path: Finding(Found.ABSENT) for file in files}
    known = {**absent, **(findings or {})}
    return decide(files, known, elsewhere or {}, Options.parse(asked), in_root)


@pytest.mark.parametrize("name", ROWS)
def test_what_a_run_does_with_what_it_finds(name: str) -> None:
    row = ROWS[name]
    decisions = decide([FILE], {"f": row.finding}, {}, Options.parse(row.asked), in_root)
    [planned] = decisions.files
    assert planned.action is row.action
    assert [problem.kind for problem in decisions.problems] == (
        [row.problem] if row.problem else []
    )
    assert bool(decisions.warnings) == row.warns
    assert decisions.adopt == ((FILE,) if row.adopts else ())
    assert planned.heals == row.heals
    assert planned.repair_from == (str(ROOT / "f") if row.repairs else None)


def test_every_kind_of_finding_has_its_row() -> None:
    assert {row.finding.state for row in ROWS.values()} == set(Found)


def test_every_problem_names_its_file_and_all_are_listed() -> None:
    files = [RemoteFile(name, 1, None) for name in ("a", "b", "c")]
    findings = {
        "a": Finding(Found.FOREIGN),
        "b": Finding(Found.IN_THE_WAY, blocker="b"),
        "c": Finding(Found.CHANGED),
    }
    problems = decided(*files, findings=findings).problems
    assert [(problem.path, problem.kind) for problem in problems] == [
        ("a", "unsafe"),
        ("b", "storage"),
        ("c", "unsafe"),
    ]


def test_what_is_in_the_way_is_named() -> None:
    finding = Finding(Found.IN_THE_WAY, blocker="a")
    file = RemoteFile("a/b", 1, None)
    [problem] = decided(file, findings={"a/b": finding}).problems
    assert problem.message == "a is in the way"


def test_what_a_part_has_need_not_be_fetched_unless_it_is_to_be_forgotten() -> None:
    finding = {"f": Finding(Found.ABSENT, have_bytes=60)}
    assert decided(FILE, findings=finding).files[0].have_bytes == 60
    assert decided(FILE, findings=finding, no_resume=True).files[0].have_bytes == 0
    assert decided(FILE, findings=finding, force=True).files[0].have_bytes == 0


def test_content_that_is_elsewhere_on_this_machine_is_copied() -> None:
    key = FILE.content_key
    assert key
    [planned] = decided(FILE, elsewhere={key: Path("/old/f")}).files
    assert (planned.action, planned.copy_of) == (Action.COPY, str(Path("/old/f")))
    [forced] = decided(FILE, elsewhere={key: Path("/old/f")}, force=True).files
    assert forced.action is Action.FETCH


def test_only_hard_links_are_planned_to_take_no_space() -> None:
    key = FILE.content_key
    assert key
    twins = [RemoteFile(name, 100, DIGEST) for name in ("a", "b")]
    for link in ("hard", "clone", "copy"):
        [taken_over] = decided(FILE, elsewhere={key: Path("/old/f")}, link=link).files
        _, shared = decided(*twins, link=link).files
        assert [taken_over.linked, shared.linked] == [link == "hard"] * 2


def test_what_a_part_has_reserved_counts_even_when_it_is_to_be_forgotten() -> None:
    finding = {"f": Finding(Found.ABSENT, have_bytes=60, part_bytes=100)}
    for forgets in (False, True):
        [planned] = decided(FILE, findings=finding, no_resume=forgets).files
        assert planned.reserved_bytes == planned.write_bytes


def test_two_files_of_one_digest_are_fetched_once() -> None:
    copies = [RemoteFile(name, 100, DIGEST) for name in ("a", "b", "c")]
    planned = decided(*copies).files
    assert [item.action for item in planned] == [Action.FETCH, Action.COPY, Action.COPY]
    assert [item.copy_of for item in planned] == [None, "a", "a"]


def test_what_is_here_already_is_copied_rather_than_fetched() -> None:
    copies = [RemoteFile(name, 100, DIGEST) for name in ("a", "b")]
    planned = decided(*copies, findings={"b": Finding(Found.FITS)}).files
    assert [item.action for item in planned] == [Action.COPY, Action.REUSE]
    assert planned[0].copy_of == "b"


def test_empty_files_and_files_without_a_digest_share_nothing() -> None:
    empty = [RemoteFile(name, 0, DIGEST) for name in ("a", "b")]
    unknown = [RemoteFile(name, 5, None) for name in ("c", "d")]
    assert {item.action for item in decided(*empty, *unknown).files} == {Action.FETCH}


def test_files_are_fetched_smallest_first_and_only_those_to_fetch() -> None:
    items = [
        PlannedFile(RemoteFile("b", 5, None), Action.FETCH),
        PlannedFile(RemoteFile("a", 5, None), Action.FETCH),
        PlannedFile(RemoteFile("big", 50, None), Action.FETCH),
        PlannedFile(RemoteFile("here", 1, None), Action.REUSE),
        PlannedFile(RemoteFile("copy", 1, None), Action.COPY, copy_of="a"),
    ]
    assert [item.file.path for item in in_order(items)] == ["a", "b", "big"]


def test_files_of_one_request_are_fetched_folder_by_folder() -> None:
    sizes = {"a/1": 9, "b/1": 1, "a/2": 100_000, "b/2": 2, "large": 2**20, "larger": 2**21}
    items = [
        PlannedFile(RemoteFile(path, size, None), Action.FETCH) for path, size in sizes.items()
    ]
    ordered = [item.file.path for item in in_order(items)]
    assert ordered == ["a/1", "a/2", "b/1", "b/2", "large", "larger"]


# -- space -----------------------------------------------------------------------------------


def space(to_write: int, free: int, *, strict: int | None = None, total: int = 100 * GIB) -> str:
    warning = check_space(to_write, free, total, min_free_space=strict, path=ROOT)
    return warning or ""


def test_plenty_of_space_needs_no_word() -> None:
    assert space(GIB, 50 * GIB) == ""


def test_files_that_do_not_fit_are_refused_before_the_first_byte() -> None:
    with pytest.raises(StorageError, match=r"2\.15 GB are to be written and 1\.07 GB are free"):
        space(2 * GIB, GIB)


def test_the_automatic_reserve_only_warns() -> None:
    assert "should be free" in space(10 * GIB, 12 * GIB)
    assert space(10 * GIB, 10 * GIB + GIB // 2 + AUTO_FREE_BYTES) == ""
    assert "should be free" in space(10 * GIB, 10 * GIB + GIB // 2 + AUTO_FREE_BYTES - 1)


def test_the_automatic_reserve_is_small_on_a_small_file_system() -> None:
    assert space(100 * MB, 160 * MB, total=GIB) == ""
    assert "should be free" in space(100 * MB, 150 * MB, total=GIB)


def test_a_reserve_that_was_asked_for_is_strict_and_comes_on_top_of_five_percent() -> None:
    needed = 100 * MB + 5 * MB + 1000 * MB
    assert space(100 * MB, needed, strict=1000 * MB) == ""
    with pytest.raises(StorageError, match="should be free"):
        space(100 * MB, needed - 1, strict=1000 * MB)


def test_where_nothing_is_written_no_space_is_needed() -> None:
    assert space(0, 0) == ""
    assert space(0, 0, strict=5 * MIB) == ""


class CountedFindings(dict[str, Finding]):
    """Counts how often somebody looks one up."""

    looks = 0

    def __getitem__(self, path: str) -> Finding:
        self.looks += 1
        return super().__getitem__(path)


@pytest.mark.parametrize("here", [ABSENT, Finding(Found.FITS)])
@pytest.mark.parametrize("count", [10, 1000])
def test_a_file_costs_one_look_however_many_there_are(here: Finding, count: int) -> None:
    files = [RemoteFile(f"f{n}", 1, Digest("sha256", f"{n % 7:064x}")) for n in range(count)]
    findings = CountedFindings({file.path: here for file in files})
    decisions = decide(files, findings, {}, Options.parse({}), in_root)
    assert findings.looks == count
    fetched = [item for item in decisions.files if item.action is Action.FETCH]
    assert len(fetched) == (7 if here is ABSENT else 0)


def test_digests_that_begin_alike_are_not_the_same_content() -> None:
    alike = [Digest("sha256", "ab" * 8 + f"{n:048x}") for n in (1, 2, 1)]
    files = [RemoteFile(f"f{n}", 5, digest) for n, digest in enumerate(alike)]
    decisions = decide(
        files, dict.fromkeys(("f0", "f1", "f2"), ABSENT), {}, Options.parse({}), in_root
    )
    assert [item.copy_of for item in decisions.files] == [None, None, "f0"]


def test_the_same_digest_of_another_size_is_another_content() -> None:
    files = [RemoteFile(f"f{n}", n, DIGEST) for n in (4, 5)]
    decisions = decide(files, dict.fromkeys(("f4", "f5"), ABSENT), {}, Options.parse({}), in_root)
    assert {item.action for item in decisions.files} == {Action.FETCH}
