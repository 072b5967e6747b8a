from __future__ import annotations

import json

import pytest

from hfdl_async.core.sealed import StateRefused, integer, parse, path_of, seal, unseal


def test_a_document_says_what_it_is() -> None:
    data = seal("thing", {"a": 1})
    assert unseal("thing", data, 1000, ("a",)) == {"a": 1}
    document = json.loads(data)
    assert (document["format"], document["version"]) == ("hfdl thing", 1)


def test_a_document_over_the_limit_is_not_looked_at() -> None:
    with pytest.raises(StateRefused, match="larger"):
        unseal("thing", b"x" * 11, 10, ())


def test_fields_must_be_exactly_those_expected() -> None:
    data = seal("thing", {"a": 1, "b": 2})
    for names in (("a",), ("a", "b", "c"), ()):
        with pytest.raises(StateRefused, match="fields"):
            unseal("thing", data, 1000, names)


def test_true_is_no_number() -> None:
    assert integer(1, 1) == 1
    for value in (True, 1.0, "1", None, 2, -1):
        with pytest.raises(StateRefused):
            integer(value, 1)


@pytest.mark.parametrize("text", [b"1.5", b"NaN", b'{"a":1,"a":1}', b"9" * 41, b"[" * 10_000])
def test_only_plain_json_is_read(text: bytes) -> None:
    with pytest.raises(StateRefused):
        parse(text)


def test_a_path_must_be_able_to_stand_in_a_listing() -> None:
    assert path_of("a/b") == "a/b"
    with pytest.raises(StateRefused):
        path_of("a/../b")
