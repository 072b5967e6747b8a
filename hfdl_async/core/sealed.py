"""Sealed JSON: a document that says its kind, version and checksum, read with strict rules.

The head keeps its form in every version to come, so that an older program can tell a newer file
from a damaged one. Whoever reads a field says what it must be; anything else is a refusal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, cast

from blake3 import blake3

from hfdl_async.core.names import Naming, check_name, is_commit

VERSION = 1
MAX_TEXT_CHARACTERS = 8192

_HEAD = re.compile(
    rb'\{"format":"hfdl ([a-z]{1,20})","version":([1-9][0-9]{0,5}),'
    rb'"checksum":"([0-9a-f]{64})","body":'
)
_TAIL = b"}\n"
_HEX = re.compile(r"[0-9a-f]*")
_EXACT = Naming()


class StateRefused(Exception):  # noqa: N818  (a refusal, which most callers treat as "not there")
    """A state file cannot be used: damaged, or *newer* than this program."""

    def __init__(self, reason: str, *, newer: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.newer = newer


def seal(kind: str, body: object) -> bytes:
    """Return *body* as a document of *kind*."""
    return seal_text(kind, dump(body))


def seal_text(kind: str, text: bytes | bytearray) -> bytes:
    """Return the body that is already *text* as a document of *kind*."""
    head = b'{"format":"hfdl %b","version":%d,"checksum":"%b","body":'
    checksum = blake3(text).hexdigest().encode()
    return b"".join((head % (kind.encode(), VERSION, checksum), text, _TAIL))


def unseal(kind: str, data: bytes, limit: int, names: Sequence[str]) -> dict[str, object]:
    """Return the body of a document whose fields are exactly *names*.

    Raises:
        StateRefused: it is something else, or damaged, or newer.
    """
    if len(data) > limit:
        raise StateRefused(f"larger than {limit} bytes")
    match = _HEAD.match(data)
    if match is None or match[1] != kind.encode():
        raise StateRefused(f"not a {kind} of ours")
    check_version(int(match[2]))
    text = data[match.end() : -len(_TAIL)]
    if not data.endswith(_TAIL) or blake3(text).hexdigest().encode() != match[3]:
        raise StateRefused("the checksum does not fit")
    body = parse(text)
    if not isinstance(body, dict) or set(body) != set(names):
        raise StateRefused("unknown or missing fields")
    return body


def check_version(version: int) -> None:
    """Refuse a version that this program does not know."""
    if version > VERSION:
        raise StateRefused(f"version {version}; this program knows {VERSION}", newer=True)


def dump(body: object) -> bytes:
    """Return *body* as compact JSON in ASCII."""
    return json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def _refuse(what: str) -> Callable[[str], NoReturn]:
    def refuse(_text: str) -> NoReturn:
        raise StateRefused(what)

    return refuse


def _small_integer(text: str) -> int:
    if len(text) > 40:  # a number of a million digits takes minutes to read
        raise StateRefused("a number is too long")
    return int(text)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) != len(pairs):
        raise StateRefused("a field stands twice")
    return names


_DECODER = json.JSONDecoder(
    parse_float=_refuse("a fraction"),
    parse_int=_small_integer,
    parse_constant=_refuse("not a number"),
    object_pairs_hook=_no_duplicates,
)


def parse(text: bytes) -> object:
    """Return what the JSON in *text* says; no fractions, huge numbers or duplicate fields."""
    try:
        return cast("object", _DECODER.decode(text.decode("ascii")))
    except (ValueError, RecursionError) as error:
        raise StateRefused("not the JSON we write") from error


def integer(value: object, most: int, least: int = 0) -> int:
    """Return *value*, which must be an integer in the range."""
    if type(value) is not int or not least <= value <= most:
        raise StateRefused("a number is missing or out of range")
    return value


def text_of(value: object) -> str:
    """Return *value*, which must be a text of a sensible length."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_TEXT_CHARACTERS:
        raise StateRefused("a text is missing, empty or too long")
    return value


def path_of(value: object) -> str:
    """Return *value*, which must be a name that could stand in a listing."""
    path = text_of(value)
    if check_name(path, _EXACT) is not None:
        raise StateRefused("not the name of a file in a repo")
    return path


def commit_of(value: object) -> str:
    """Return *value*, which must be a commit id."""
    if not isinstance(value, str) or not is_commit(value):
        raise StateRefused("not a commit")
    return value


def hashes_of(value: object) -> str:
    """Return *value*, which must be BLAKE3 hashes in hex, one behind the other."""
    if not isinstance(value, str) or _HEX.fullmatch(value) is None or len(value) % 64:
        raise StateRefused("not a row of BLAKE3 hashes")
    return value


def rows_of(value: object, width: int) -> list[list[object]]:
    """Return *value*, which must be a list of lists of *width*."""
    if not isinstance(value, list):
        raise StateRefused("not a list")
    for row in value:
        if not isinstance(row, list) or len(row) != width:
            raise StateRefused("a row of the wrong length")
    return value
