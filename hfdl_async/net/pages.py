"""Pages of a tree listing, and the answer to "which commit is that": bytes to values.

A page comes from a server and is checked field by field. Names stay as they are: whether they may
become paths is decided in `core.names`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import unquote

from hfdl_async.core.filetable import (
    HAS_POINTER,
    HAS_XET,
    SHA1,
    SHA256,
    FileTable,
    ListedFiles,
)
from hfdl_async.core.model import Digest, ListedFile
from hfdl_async.errors import ProtocolError, UnsafeError
from hfdl_async.net.headers import clean_text
from hfdl_async.net.urls import Url, join_url, parse_url

MAX_SIZE_BYTES = 2**60
_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MASK = re.compile(r"\*{40,64}")
# How the hashes of the usual kinds of files begin in the table.
_GIT_FILE = bytes([SHA1])
_LFS_FILE = bytes([SHA256 | HAS_POINTER])
_XET_FILE = bytes([SHA256 | HAS_POINTER | HAS_XET])


@dataclass(frozen=True, slots=True)
class Page:
    """What a page names: its files, and each folder with the number of files named before it."""

    files: ListedFiles
    folders: tuple[tuple[int, str], ...]


def parse_commit(body: bytes, subject: str) -> tuple[str, str | None]:
    """Return the commit and the repo id in the body of a repo-info answer.

    Raises:
        ProtocolError: it is not what a Hub says.
    """
    value = _load(body, subject, only_with="sha")
    commit = value.get("sha") if isinstance(value, dict) else None
    if not isinstance(commit, str) or not _SHA1.fullmatch(commit):
        raise ProtocolError(
            f"{subject}: the answer names no commit",
            hint="is this a Hub? a sign-in portal or a proxy in between?",
        )
    assert isinstance(value, dict)
    repo_id = value.get("id")
    return commit, repo_id if isinstance(repo_id, str) else None


def parse_entries(body: bytes, subject: str) -> Page:
    """Return the files and folders of one page; kinds unknown to us are left out.

    Raises:
        ProtocolError: it is not what a Hub says; names the entry and the field.
    """
    value = _load(body, subject)
    if not isinstance(value, list):
        raise _wrong(subject, "a listing", "a list", value)
    table, folders = FileTable(), list[tuple[int, str]]()
    paths, sizes, hashes = table.paths.append, table.sizes.append, table.hashes.append
    for entry in value:
        usual = _usual(entry)
        if usual is not None:
            path, size, raw = usual
            paths(path)
            sizes(size)
            hashes(raw)
        elif _is_file(entry, subject):
            table.add(_file(entry, subject))
        elif entry.get("type") == "directory" and isinstance(entry.get("path"), str):
            folders.append((len(table), entry["path"]))
    return Page(ListedFiles(table), tuple(folders))


def _usual(entry: dict[str, Any]) -> tuple[str, int, bytes] | None:
    """Return a row of the table if *entry* has every field in its usual form, else None.

    Nearly all entries do, and a listing may have a million. It accepts nothing that `_file` would
    not take for the same values, and leaves the judgement of whatever is odd to that.
    """
    try:
        if entry["type"] != "file":
            return None
        path, lfs, text = entry["path"], entry.get("lfs"), entry["oid"]
        if lfs is None:
            size, mark, width = entry["size"], _GIT_FILE, 20
        else:
            digest, xet, size = lfs["oid"], entry.get("xetHash"), lfs["size"]
            if len(digest) != 64 or len(text) != 40:
                return None
            if xet is None:
                text, mark, width = digest + text, _LFS_FILE, 52
            else:
                text, mark, width = digest + text + xet, _XET_FILE, 84
            if text != text.lower():  # hex of a digest may be upper case, that of others not
                return None
        hashes = mark + bytes.fromhex(text)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    # Spaces between the digits would have made it shorter.
    if len(text) != 2 * width or len(hashes) != 1 + width or type(path) is not str:
        return None
    return (path, size, hashes) if type(size) is int and 0 <= size <= MAX_SIZE_BYTES else None


def _is_file(entry: object, subject: str) -> bool:
    if not isinstance(entry, dict):
        raise _wrong(subject, "an entry", "an object", entry)
    return entry.get("type") == "file"


def _file(entry: dict[str, Any], subject: str) -> ListedFile:
    path = entry.get("path")
    if not isinstance(path, str):
        raise _wrong(subject, "a path", "text", path)
    where = f"{clean_text(path, 200)} of {subject}"
    lfs = entry.get("lfs")
    if lfs is None:
        digest, masked = _digest(entry.get("oid"), where, "git-sha1")
        return ListedFile(path, _size(entry.get("size"), where), digest, masked)
    if not isinstance(lfs, dict):
        raise _wrong(where, "lfs", "an object", lfs)
    # With LFS the outer id is that of a pointer file: it says nothing about the content.
    digest, masked = _digest(lfs.get("oid"), where, "sha256")
    size = lfs.get("size")
    return ListedFile(
        path,
        _size(entry.get("size") if size is None else size, where),
        digest,
        masked,
        pointer_id=_hash(entry.get("oid"), _SHA1),
        xet_hash=_hash(entry.get("xetHash"), _SHA256),
    )


def _hash(value: object, kind: re.Pattern[str]) -> str | None:
    """Return *value* if it is a hash; these are kept for others, and never relied on."""
    return value if isinstance(value, str) and kind.fullmatch(value) else None


def _digest(value: object, where: str, algorithm: str) -> tuple[Digest | None, bool]:
    if value is None or value == "":
        return None, False
    if not isinstance(value, str):
        raise _wrong(where, "oid", "text", value)
    if _MASK.fullmatch(value):
        return None, True
    value = value.lower().removeprefix("sha256:")
    if algorithm == "git-sha1" and _SHA1.fullmatch(value):
        return Digest("git-sha1", value), False
    if algorithm == "sha256" and _SHA256.fullmatch(value):
        return Digest("sha256", value), False
    raise _wrong(where, "oid", f"a {algorithm} in hex", value)


def _size(value: object, where: str) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_SIZE_BYTES:
        raise _wrong(where, "size", "a number of bytes", value)
    return value


def _load(body: bytes, subject: str, only_with: str | None = None) -> object:
    """Parse JSON; with *only_with*, forget objects at any depth that lack that key.

    A repo-info answer repeats every file name; dropping those as they are parsed keeps the memory
    of a million of them out of the process.
    """
    hook = None if only_with is None else (lambda row: row if only_with in row else None)
    try:
        return json.loads(body, object_hook=hook, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        kind = "a web page" if body[:256].lstrip().startswith(b"<") else "no JSON"
        raise ProtocolError(
            f"{subject}: the answer is {kind}: portal or proxy?",
            hint="is this a Hub? check the network and --endpoint",
        ) from (None if isinstance(error, RecursionError) else error)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _wrong(where: str, field: str, expected: str, seen: object) -> ProtocolError:
    shown = clean_text(repr(seen)[:100], 100)
    return ProtocolError(f"{where}: the listing has {shown} for {field}, expected {expected}")


def next_page(current: Url, target: str, *, endpoint: str, tree: str, subject: str) -> Url:
    """Return where the next page is: always at the endpoint's origin.

    A mirror often forwards the address its upstream wrote. Where that is the address of this very
    listing, only its query is taken over; *tree* is the listing's path below *endpoint*.

    Raises:
        UnsafeError: it is the address of something else, elsewhere.
    """
    try:
        url = join_url(current, target)
    except UnsafeError as error:
        raise UnsafeError(f"{subject}: refused the next page of the listing: {error}") from None
    if url.origin == current.origin:
        return url
    if unquote(url.path) != unquote(tree):
        raise UnsafeError(
            f"{subject}: the next page of the listing is said to be at {url.origin}, "
            f"not at {current.origin}: refused"
        )
    query = url.target.partition("?")[2]
    return parse_url(f"{endpoint}{tree}" + (f"?{query}" if query else ""))
