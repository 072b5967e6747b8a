from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.filetable import ListedFiles
from hfdl_async.core.model import Digest, ListedFile
from hfdl_async.errors import ProtocolError, UnsafeError
from hfdl_async.net.pages import _file, next_page, parse_commit, parse_entries
from hfdl_async.net.urls import parse_url

SHA1, SHA256 = "a" * 40, "b" * 64
HUB = "https://hub.example"
TREE = f"/api/models/org/name/tree/{SHA1}"


def page(*entries: object) -> ListedFiles:
    return parse_entries(json.dumps(entries).encode(), "org/name").files


def entry(**fields: object) -> dict[str, object]:
    return {"type": "file", "path": "a", "size": 3, "oid": SHA1, **fields}


def test_small_and_large_files_have_the_digest_of_their_content() -> None:
    lfs = {"oid": SHA256, "size": 9, "pointerSize": 135}
    assert page(entry(), entry(path="b", size=1, lfs=lfs, xetHash=SHA256)) == [
        ListedFile("a", 3, Digest("git-sha1", SHA1)),
        ListedFile("b", 9, Digest("sha256", SHA256), pointer_id=SHA1, xet_hash=SHA256),
    ]


def test_folders_and_unknown_kinds_are_left_out() -> None:
    assert page({"type": "directory", "path": "d"}, {"type": "submodule"}, {"path": "x"}) == []


def test_what_a_mirror_leaves_out_is_unknown() -> None:
    bare = {"type": "file", "path": "a"}
    assert page(bare, {**bare, "oid": None, "size": None, "lfs": None}) == [
        ListedFile("a", None, None),
        ListedFile("a", None, None),
    ]
    assert page(entry(oid=None, lfs={}, xetHash="x")) == [ListedFile("a", 3, None)]


def test_a_masked_digest_is_no_digest() -> None:
    masked = entry(oid="*" * 40, lfs={"oid": "*" * 64, "size": 9}, xetHash="*" * 64)
    assert page(masked) == [ListedFile("a", 9, None, masked=True)]


def test_names_are_passed_on_untouched() -> None:
    names = ["../x", "/abs", "a\\b", "C:\\x", "", "\x1b[0m", "e\u0301", "\udc80"]
    assert [file.path for file in page(*(entry(path=name) for name in names))] == names


@pytest.mark.parametrize(
    "bad",
    [
        entry(path=3),
        entry(path=None),
        entry(size=-1),
        entry(size=1.5),
        entry(size="3"),
        entry(size=True),
        entry(size=2**70),
        entry(oid="../../x"),
        entry(oid="a" * 39),
        entry(oid=SHA256),
        entry(oid=7),
        entry(lfs="x"),
        entry(lfs={"oid": SHA1}),
        entry(lfs={"oid": "../" + "b" * 61}),
        "text",
        None,
    ],
)
def test_a_field_that_cannot_be_is_refused_by_name(bad: object) -> None:
    with pytest.raises(ProtocolError, match="the listing has"):
        page(bad)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{}",
        b"null",
        b"[" * 100_000,
        b'[{"type":"file","path":"a","size":NaN}]',
        b'[{"type":"file","path":"a","size":' + b"9" * 6000 + b"}]",
        b"\xff\xfe",
    ],
)
def test_what_is_no_listing_is_an_error_and_no_crash(body: bytes) -> None:
    with pytest.raises(ProtocolError):
        parse_entries(body, "org/name")


@given(st.binary(max_size=100))
def test_no_bytes_crash_the_parsers(body: bytes) -> None:
    for parser in (parse_entries, parse_commit):
        with contextlib.suppress(ProtocolError):
            parser(body, "org/name")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
)


@given(st.fixed_dictionaries({"type": st.just("file"), "path": _JSON, "size": _JSON, "oid": _JSON}))
def test_whatever_an_entry_holds_becomes_a_value_or_an_error(fields: dict[str, object]) -> None:
    try:
        (file,) = page(fields)
    except ProtocolError:
        return
    assert isinstance(file.path, str)
    assert file.size_bytes is None or file.size_bytes >= 0


def test_a_commit_is_forty_hex_digits() -> None:
    body = json.dumps({"sha": SHA1, "id": "org/new", "siblings": [{"rfilename": "a"}]})
    assert parse_commit(body.encode(), "x") == (SHA1, "org/new")
    assert parse_commit(json.dumps({"sha": SHA1}).encode(), "x") == (SHA1, None)


@pytest.mark.parametrize("sha", [None, 7, "main", "../../x", SHA1 + "\n", SHA1.upper(), SHA256])
def test_anything_else_is_no_commit(sha: object) -> None:
    with pytest.raises(ProtocolError, match="names no commit"):
        parse_commit(json.dumps({"sha": sha, "id": "a/b"}).encode(), "org/name")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (f"{HUB}{TREE}?cursor=a%2Bb%3D", f"{HUB}{TREE}?cursor=a%2Bb%3D"),
        (f"{TREE}?cursor=2", f"{HUB}{TREE}?cursor=2"),
        (f"https://HUB.example:443{TREE}?cursor=2", f"https://HUB.example:443{TREE}?cursor=2"),
        (f"https://upstream.example{TREE}?cursor=x%7E", f"{HUB}{TREE}?cursor=x%7E"),
        (f"http://hub.example{TREE}?cursor=2", f"{HUB}{TREE}?cursor=2"),
    ],
)
def test_the_next_page_is_always_at_the_endpoint(target: str, expected: str) -> None:
    url = next_page(parse_url(HUB + TREE), target, endpoint=HUB, tree=TREE, subject="x")
    assert url.exact == expected


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/other", f"https://evil.example/x{TREE}", "file:///x", "https://a:b@h/"],
)
def test_a_next_page_elsewhere_is_refused(target: str) -> None:
    with pytest.raises(UnsafeError, match="next page"):
        next_page(parse_url(HUB + TREE), target, endpoint=HUB, tree=TREE, subject="x")


def test_a_mirror_below_a_path_keeps_its_path() -> None:
    base = "https://mirror.example/hf"
    url = next_page(
        parse_url(base + TREE),
        f"https://huggingface.co{TREE}?cursor=2",
        endpoint=base,
        tree=TREE,
        subject="x",
    )
    assert url.exact == f"{base}{TREE}?cursor=2"


hexes = st.sampled_from(
    [
        SHA1,
        SHA256,
        SHA1.upper(),
        SHA256.upper(),
        " " + SHA1[1:],
        SHA256[1:] + "g",
        "*" * 64,
        "",
        None,
    ]
) | st.text("abcdefAB09 *", max_size=66)
numbers = st.sampled_from([0, 9, 2**60, 2**60 + 1, -1, True, 1.5, None, "9"])
odd_entries = st.fixed_dictionaries(
    {"type": st.just("file"), "path": st.sampled_from(["a", "d/\u00e9", "", None, 7])},
    optional={
        "oid": hexes,
        "size": numbers,
        "xetHash": hexes,
        "lfs": st.none()
        | st.fixed_dictionaries({}, optional={"oid": hexes, "size": numbers})
        | st.just("lfs"),
    },
)


@given(odd_entries)
def test_the_quick_way_says_what_the_careful_one_does(fields: dict[str, object]) -> None:
    def said(parse: Callable[[], Sequence[ListedFile]]) -> list[ListedFile] | str:
        try:
            return list(parse())
        except ProtocolError as error:
            return error.message

    assert said(lambda: page(fields)) == said(lambda: [_file(fields, "org/name")])


def test_one_odd_entry_does_not_make_the_others_odd() -> None:
    odd = {"type": "file", "path": "odd"}
    assert [file.path for file in page(entry(), odd, entry(path="z"))] == ["a", "odd", "z"]
