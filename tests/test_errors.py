from __future__ import annotations

import inspect
import pickle

import pytest

from hfdl_async import errors
from hfdl_async.errors import DownloadError, GatedError, HfdlError, RateLimitedError, StorageError

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, HfdlError) and kind.__module__ == errors.__name__
]

EXIT_CODES = {
    "HfdlError": 1, "UsageError": 2, "AccessError": 3, "GatedError": 3, "NotFoundError": 4,
    "NetworkError": 5, "IntegrityError": 6, "StorageError": 7, "UnsafeError": 8, "BusyError": 9,
    "OtherRepoError": 8, "DownloadError": 10, "InterruptedDownloadError": 130,
}  # fmt: skip


def test_every_error_is_public() -> None:
    values = {"Refusal"}  # what an error may carry
    assert {kind.__name__ for kind in CLASSES} | values == set(errors.__all__)


@pytest.mark.parametrize("kind", CLASSES)
def test_exit_codes_are_those_of_the_contract(kind: type[HfdlError]) -> None:
    # What is not in the table is a kind of network failure.
    assert kind.exit_code == EXIT_CODES.get(kind.__name__, 5)
    assert kind.__name__ in EXIT_CODES or issubclass(kind, errors.NetworkError)


def test_one_word_stands_for_one_exit_code() -> None:
    assert len({(kind.kind, kind.exit_code) for kind in CLASSES}) == len(
        {kind.kind for kind in CLASSES}
    )


@pytest.mark.parametrize("kind", CLASSES)
def test_only_the_message_is_positional_and_errors_pickle(kind: type[HfdlError]) -> None:
    error = kind("what happened", hint="what to do")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert (again.message, again.hint, again.report) == ("what happened", "what to do", None)
    assert str(error) == error.message == "what happened"
    with pytest.raises(TypeError):
        kind("message", "hint")


def test_what_an_error_knows_besides_survives_pickling_too() -> None:
    gated = pickle.loads(pickle.dumps(GatedError("x", url="https://hub/x")))
    limited = pickle.loads(pickle.dumps(RateLimitedError("x", retry_after_seconds=3.0)))
    full = pickle.loads(pickle.dumps(StorageError("x", ends_run=True)))
    mixed = pickle.loads(pickle.dumps(DownloadError("x", errors=[gated, full])))
    assert gated.url == "https://hub/x"
    assert limited.retry_after_seconds == 3.0
    assert full.ends_run
    assert [type(error) for error in mixed.errors] == [GatedError, StorageError]


def test_refused_access_ends_a_run_and_one_bad_file_does_not() -> None:
    ending = {kind.__name__ for kind in CLASSES if kind.ends_run}
    assert ending == {"AccessError", "GatedError"}
    assert not StorageError("x").ends_run
