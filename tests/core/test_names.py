from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.names import (
    STATE_FOLDER,
    Naming,
    _Tree,
    check_name,
    find_problems,
    is_commit,
    is_oid,
    shown,
)

EXACT = Naming()
FOLDING = Naming(case_insensitive=True, normalises=True)
WINDOWS = Naming(case_insensitive=True, windows=True)

HOSTILE_ANYWHERE = [
    "", "/", "//", "/a", "/etc/passwd", "//server/share/x", "///x", "a//b", "a/", "a/b/", "a///b",
    ".", "..", "../x", "../../etc/passwd", "a/..", "a/../b", "a/../../b", "./a", "a/.", "a/./b",
    "..\\x", "a\\b", "\\", "\\\\server\\share\\x", "\\\\?\\C:\\x", "a/b\\..\\c", "C:\\x",
    "C:/x", "c:/windows/system32", "z:/", "A:/../x",
    "\0", "a\0b", "a/\0", "x.bin\0.txt", "a\nb", "a\rb", "a\tb", "\x01", "a\x1b[31mb", "\x1f",
    "a\x7f",
    "\x80", "a\x85b", "a\x9bb", "dir\n/x", "\x07bell",
    ".git", ".git/config", "a/.git", "a/.git/hooks/post-checkout", ".GIT", ".Git/x", ".gIt/hooks/x",
    ".git.", ".git..", ".git ", ".git . .", ".git/", "GIT~1", "git~1", "Git~2/config", "a/git~1/x",
    ".git::$INDEX_ALLOCATION", ".git::$INDEX_ALLOCATION/config", ".git:x", ".git .:x",
    ".g\u200cit", ".g\u200dit/x", "\ufeff.git", ".git\u200b", ".gi\u202et", ".g\u206ait",
    ".\u00adgit",
    ".g\ufe0fit", "\u2060.git", ".gi\u0054", ".G\u200eI\u200fT", ".g\u034fit",
    ".download_state", ".download_state/parts/x", "a/.download_state/x", ".DOWNLOAD_STATE/lock",
    ".Download_State", ".download_state.", ".download_state ", ".download_state/receipts.jsonl",
    ".download_\u200bstate", ".download_\u017ftate/x", ".download_state:x", "\ufeff.download_state",
    "\ud800", "a\udfffb", "a/\udc80",
    "a" * 256, "b/" + "a" * 256, "a" * 256 + "/b", "é" * 128, "a/" * 2048 + "a", "x" * 5000,
    "/".join(["a" * 200] * 30),
]  # fmt: skip

HOSTILE_ON_WINDOWS = [
    "con", "CON", "Con.txt", "con.tar.gz", "a/con", "a/CON/b", "prn", "aux", "aux.c", "nul",
    "NUL.json",
    "com1", "COM9.bin", "com0", "lpt1", "LPT3.txt", "lpt9", "COM¹", "com².x", "lpt³", "conin$",
    "CONOUT$",
    "con ", "con .txt", "nul  .a", "a.", "a..", "a ", "a. ", "dir./x", "dir /x", "a/b./c",
    "x.txt ", "...",
    "a:b", "a:stream", "c:x", "file::$DATA", "a<b", "a>b", 'a"b', "a|b", "a?b", "a*b",
    "DOWNLO~1/x", "downlo~2",
]  # fmt: skip

FINE = [
    "a", "config.json", "model-00001-of-00002.safetensors", ".gitattributes", ".gitignore",
    ".github/x",
    "a/b/c/d.txt", "git", "agit", ".gitx", "x.git", "download_state", "a~1", "git~", "mygit~1",
    "..a", "a..b", "...a",
    "über/naïve.txt", "日本語/ファイル.bin", "emoji 😀.png", "a b", " a", "a+b=c,d@e#f%20.txt",
    "%2e%2e/x",
    "-rf", "~", "~root", "$HOME", "`x`", "a;b", "'q'", "é", "e\u0301", "\u202egpj.exe", "a" * 255,
]  # fmt: skip


def test_the_table_of_hostile_names_is_large_enough() -> None:
    assert len(set(HOSTILE_ANYWHERE) | set(HOSTILE_ON_WINDOWS)) >= 120


@pytest.mark.parametrize("name", HOSTILE_ANYWHERE, ids=ascii)
@pytest.mark.parametrize("naming", [EXACT, FOLDING, WINDOWS], ids=["exact", "folding", "windows"])
def test_refuses_on_every_system(name: str, naming: Naming) -> None:
    assert check_name(name, naming)
    (problem,) = find_problems([name], naming)
    assert problem.kind == "unsafe"
    assert problem.path == name
    assert problem.message.isprintable() or name.isprintable()


@pytest.mark.parametrize("name", HOSTILE_ON_WINDOWS, ids=ascii)
def test_refuses_on_windows(name: str) -> None:
    assert check_name(name, WINDOWS)


@pytest.mark.parametrize("name", FINE, ids=ascii)
def test_stores_exactly(name: str) -> None:
    assert check_name(name, EXACT) is None
    assert find_problems([name], EXACT) == ()


@pytest.mark.parametrize("name", ["a:b", "con", "aux.c", "a.", "a ", "x?", "DOWNLO~1"])
def test_stores_what_only_windows_refuses_elsewhere(name: str) -> None:
    assert check_name(name, EXACT) is None


def test_a_path_may_not_be_longer_than_the_target_allows() -> None:
    assert check_name("ab/cd", Naming(max_path_bytes=5)) is None
    assert check_name("ab/cde", Naming(max_path_bytes=5))
    assert check_name("é/é", Naming(max_path_bytes=4))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("README.md", "readme.md"),
        ("a/B/c", "a/b/c"),
        ("A/x", "a/y"),
        ("é", "e\u0301"),
        ("é/x", "e\u0301/y"),
        ("straße", "STRASSE"),
        ("a\u200bb", "ab"),
        ("K", "\u212a"),
        ("É", "e\u0301"),
        ("a", "A/b"),
        ("A/b", "a"),
    ],
)
def test_two_names_never_land_on_one_file(first: str, second: str) -> None:
    (problem,) = find_problems([first, second], FOLDING)
    assert shown(first) in problem.message
    assert shown(second) in problem.message
    if first.casefold() != second.casefold() or "/" not in first + second:
        assert find_problems([first, second, "z"], EXACT) == ()


def test_a_name_that_is_also_a_folder_is_found_whichever_comes_first() -> None:
    assert len(find_problems(["a", "a/b"], EXACT)) == 1
    assert len(find_problems(["x/a/b", "x/a"], EXACT)) == 1


def test_a_name_that_is_listed_twice_is_found() -> None:
    (problem,) = find_problems(["a/b", "a/c", "a/" + "b"], EXACT)
    assert "twice" in problem.message


def test_a_folder_of_a_folder_is_no_collision() -> None:
    assert find_problems(["a/b/c", "a/b/d", "a/c", "b/a"], FOLDING) == ()


def test_messages_carry_no_raw_controls_or_direction_marks() -> None:
    for name in ("a\x1b[2J", "a\nb", "\u202ecod.exe/..", "a\u2066/../b", "\ud800"):
        (problem,) = find_problems([name], EXACT)
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs") for c in problem.message)


def test_long_texts_are_cut() -> None:
    assert len(shown("x" * 10_000)) == 500


@pytest.mark.parametrize(("text", "commit", "oid"), [
    ("a" * 40, True, True), ("a" * 64, False, True), ("A" * 40, False, False),
    ("a" * 39, False, False),
    ("a" * 40 + "\n", False, False), ("../" + "a" * 37, False, False), ("", False, False),
    ("\uff11" * 40, False, False),
])  # fmt: skip
def test_commits_and_object_ids_have_a_strict_grammar(text: str, commit: bool, oid: bool) -> None:
    assert is_commit(text) is commit
    assert is_oid(text) is oid


names = st.text(
    st.one_of(st.sampled_from("./\\:~gitGIT \0\n"), st.characters(codec=None)), max_size=30
)


@given(names, st.builds(Naming, st.booleans(), st.booleans(), st.booleans()))
def test_whatever_passes_stays_below_the_destination(name: str, naming: Naming) -> None:
    if check_name(name, naming) is not None:
        return
    name.encode()
    for component in name.split("/"):
        assert component not in ("", ".", "..")
        assert "\\" not in component
        assert naming.fold(component).lower() not in (".git", STATE_FOLDER)
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in component)


@given(st.lists(names, max_size=8), st.builds(Naming, st.booleans(), st.booleans()))
def test_names_without_a_problem_fold_to_as_many_files(listing: list[str], naming: Naming) -> None:
    wrong = {problem.path for problem in find_problems(listing, naming)}
    good = [name for name in listing if name not in wrong]
    assert len({naming.fold(name) for name in good}) == len(good)


def test_a_very_deep_name_is_no_trouble() -> None:
    deep = "/".join("a" * 2000)
    assert find_problems([deep, deep + "b"], Naming()) == ()


short_names = st.lists(
    st.sampled_from(["a", "A", "b", "\u00e9", "e\u0301", "c" * 90]), max_size=4
).map("/".join)


@given(st.lists(short_names, max_size=6), st.builds(Naming, st.booleans(), st.booleans()))
def test_the_quick_look_misses_no_clash(listing: list[str], naming: Naming) -> None:
    tree = _Tree(naming)
    clashes = [path for path in listing if check_name(path, naming) or tree.add(path)]
    assert [problem.path for problem in find_problems(listing, naming)] == clashes


class Counted(str):
    """A path that counts how often such paths are cut."""

    __slots__ = ()
    cuts = 0

    def rpartition(self, sep: str, /) -> tuple[str, str, str]:
        Counted.cuts += 1
        return super().rpartition(sep)


def test_a_name_that_clashes_with_nothing_is_cut_once() -> None:
    assert find_problems([Counted(f"d{n % 10}/f{n}") for n in range(1000)], EXACT) == ()
    assert Counted.cuts == 1000
