from __future__ import annotations

import pytest

from hfdl_async.core.model import RepoRef, Report
from hfdl_async.errors import HfdlError, NetworkError, NotFoundError, UsageError
from hfdl_async.ui.hints import CHECK_THE_ADDRESS, better_hint

CONTINUING = "run the same command again: it continues from the last proven byte"


@pytest.mark.parametrize(
    ("name", "said"),
    [("*.json", "--include '*.json'"), ("./a.json", "in front: a.json"), ("a.json", "as before")],
)
def test_what_was_typed_for_a_file_is_looked_at(name: str, said: str) -> None:
    error = NotFoundError(f"org/model has no file {name!r}", hint="as before")
    assert said in (better_hint(error, None, "org/model", [name]) or "")


def test_a_doubled_slash_is_seen() -> None:
    assert better_hint(UsageError("x"), None, "org//odd") == "did you mean org/odd?"
    assert better_hint(UsageError("x"), None, "hf://org/odd") is None


@pytest.mark.parametrize("hint", [None, CONTINUING])
def test_nothing_is_promised_where_the_hub_never_answered(hint: str | None) -> None:
    error: HfdlError = NetworkError("gone", hint=hint)
    report = Report(RepoRef("org/model"), "failed", 5, commit="c" * 40)
    assert better_hint(error, None, "org/model") == CHECK_THE_ADDRESS
    assert better_hint(error, report, "org/model") == hint
    assert better_hint(NetworkError("gone", hint="wait"), None, "org/model") == "wait"
