from __future__ import annotations

import errno
import pickle

import pytest
from huggingface_hub import errors as theirs

from hfdl_async.compat.failures import answer_of, as_answer, is_out_of_reach, translated
from hfdl_async.errors import (
    AccessError,
    BusyError,
    DownloadError,
    GatedError,
    HfdlError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    Refusal,
    ServerError,
    StorageError,
    UnsafeError,
    UsageError,
)

INFO = "https://huggingface.co/api/models/org/tiny/revision/main"
FILE = "https://huggingface.co/datasets/org/tiny/resolve/main/a.bin"


def refused(error: HfdlError, status: int, code: str = "", message: str = "") -> HfdlError:
    error.refusal = Refusal(INFO, status, code, message, "Root=1-2")
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (refused(NotFoundError("no"), 404, "RepoNotFound"), theirs.RepositoryNotFoundError),
        (refused(NotFoundError("no"), 401), theirs.RepositoryNotFoundError),
        (refused(NotFoundError("no"), 404, "RevisionNotFound"), theirs.RevisionNotFoundError),
        (refused(NotFoundError("no"), 404, "EntryNotFound"), theirs.RemoteEntryNotFoundError),
        (refused(GatedError("no"), 403, "GatedRepo"), theirs.GatedRepoError),
        (GatedError("hidden", url="https://huggingface.co/org/tiny"), theirs.GatedRepoError),
        (
            refused(AccessError("no"), 401, "", "Invalid credentials in Authorization header"),
            theirs.HfHubHTTPError,
        ),
        (refused(AccessError("no"), 403), theirs.LocalEntryNotFoundError),
        (refused(ServerError("no"), 500), theirs.LocalEntryNotFoundError),
        (NetworkError("no way to that host"), theirs.LocalEntryNotFoundError),
        (AccessError("the login failed"), theirs.LocalEntryNotFoundError),
        (NotFoundError("no file"), theirs.EntryNotFoundError),
        (UsageError("no"), ValueError),
        (UnsafeError("no"), OSError),
        (IntegrityError("no"), OSError),
        (BusyError("no"), OSError),
        (StorageError("no"), OSError),
        (DownloadError("nothing in it"), OSError),
    ],
    ids=str,
)
def test_each_class_has_its_counterpart(error: HfdlError, kind: type[Exception]) -> None:
    found = translated(error)
    assert type(found) is kind
    assert error.message in str(found)


def test_what_is_known_of_an_answer_is_kept() -> None:
    refusal = Refusal(FILE, 404, "EntryNotFound", "Entry nöt found", "Root=1-2")
    found = answer_of(refusal, "ours\nhint")
    assert isinstance(found, theirs.RemoteEntryNotFoundError)
    assert (found.repo_id, found.repo_type) == ("org/tiny", "dataset")
    assert (found.request_id, found.server_message) == ("Root=1-2", "Entry nöt found")
    assert str(found.response.url) == FILE
    assert str(found).endswith("\nours\nhint")
    again = pickle.loads(pickle.dumps(found))
    assert type(again) is type(found)


def test_an_answer_that_is_none_is_an_http_error_all_the_same() -> None:
    found = answer_of(Refusal(FILE, 302), "redirected")
    assert type(found) is theirs.HfHubHTTPError
    assert found.response.status_code == 302


def test_once_files_are_fetched_an_answer_is_raised_as_it_is() -> None:
    error = refused(ServerError("no", hint="later"), 500)
    assert type(translated(error, contents=True)) is theirs.HfHubHTTPError
    away = translated(error)
    assert "later" in str(away)
    assert isinstance(away.__cause__, theirs.HfHubHTTPError)
    assert away.__cause__.__cause__ is error


def test_a_disk_that_refuses_is_the_systems_own_error() -> None:
    error = StorageError("the cache cannot be written to")
    error.__cause__ = OSError(errno.EACCES, "Permission denied")
    found = translated(error)
    assert isinstance(found, PermissionError)
    assert "the cache cannot be written to" in str(found)


def test_a_login_that_is_missing_is_not_a_hub_that_is_gone() -> None:
    error = AccessError("no stored login", hint="run `hf auth login`")
    error.__cause__ = theirs.LocalTokenNotFoundError("none")
    assert isinstance(translated(error), theirs.LocalTokenNotFoundError)
    assert not is_out_of_reach(error)


def test_several_reasons_are_the_first_with_the_sum_of_all() -> None:
    parts = [refused(AccessError("a"), 403), IntegrityError("b")]
    found = translated(DownloadError("2 files failed", errors=parts), contents=True)
    assert isinstance(found, theirs.HfHubHTTPError)
    assert str(found).startswith("2 files failed: ")


def test_a_bug_of_ours_stays_one() -> None:
    error = HfdlError("a bug")
    assert translated(error) is error


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (NetworkError("x"), True),
        (refused(AccessError("x"), 403), True),
        (refused(NotFoundError("x"), 404, "RepoNotFound"), True),
        (refused(NotFoundError("x"), 404, "RevisionNotFound"), False),
        (refused(NotFoundError("x"), 404, "EntryNotFound"), False),
        (NotFoundError("nothing is selected"), False),
        (StorageError("x"), False),
    ],
)
def test_only_what_keeps_us_from_the_hub_lets_the_cache_answer(
    error: HfdlError, away: bool
) -> None:
    assert is_out_of_reach(error) is away
    assert error.refusal is not None or as_answer(error) is None
