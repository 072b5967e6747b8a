from __future__ import annotations

import inspect
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import huggingface_hub
import pytest
from huggingface_hub import constants
from huggingface_hub.errors import (
    DryRunError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    IncompleteSnapshotError,
    LocalEntryNotFoundError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from hfdl_async import compat
from hfdl_async.core.model import RepoType
from hfdl_async.errors import HfdlError
from hfdl_async.serving import HostedRepo
from hfdl_async.serving.settings import READER_TOKEN, STRANGER_TOKEN
from hfdl_async.testing.faults import Fault, Status
from tests.compat.conftest import Serve
from tests.repos import noise, small_files

SNAPSHOT, FILE = "snapshot_download", "hf_hub_download"
NOBODY = "http://127.0.0.1:9"


def versions(repo_type: RepoType = "model", **more: Any) -> tuple[HostedRepo, str]:
    """Return a repo with a tag, a pull request and a newer main, and the commit of the tag."""
    repo = HostedRepo.from_files("org/tiny", small_files(), repo_type=repo_type, **more)
    first = repo.refs["refs/heads/main"]
    repo.tag("v1", first)
    newer = {**small_files(), "config.json": b'{"model_type": "newer"}', "new.bin": noise(5000)}
    repo.pull_request(1, repo.commit({**newer, "pr.txt": b"change me\n"}, branch=None))
    repo.commit(newer)
    return repo, first


@pytest.mark.parametrize("name", [SNAPSHOT, FILE])
def test_the_signatures_are_the_librarys(name: str) -> None:
    theirs = inspect.signature(getattr(huggingface_hub, name)).parameters.values()
    ours = inspect.signature(getattr(compat, name)).parameters.values()
    assert [(one.name, one.kind, one.default) for one in ours] == [
        (one.name, one.kind, one.default) for one in theirs
    ]


def test_nothing_of_it_is_imported_before_it_is_asked_for() -> None:
    program = (
        "import sys, hfdl_async; assert 'huggingface_hub' not in sys.modules;"
        "import hfdl_async.compat; assert 'huggingface_hub' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# The same files, by whatever name --------------------------------------------------------------


@pytest.mark.parametrize("repo_type", ["model", "dataset", "space"])
@pytest.mark.parametrize("revision", [None, "main", "v1", "refs/pr/1", "commit"])
def test_a_snapshot_is_the_same_folder(
    both: Serve, repo_type: RepoType, revision: str | None
) -> None:
    repo, first = versions(repo_type)
    sides = both(repo)
    wanted = first if revision == "commit" else revision
    sides.agree(SNAPSHOT, "org/tiny", repo_type=repo_type, revision=wanted)
    sides.same_files()
    sides.agree(SNAPSHOT, "org/tiny", repo_type=repo_type, revision=wanted)
    sides.same_files()


@pytest.mark.parametrize("repo_type", ["model", "dataset", "space"])
@pytest.mark.parametrize("revision", [None, "v1", "refs/pr/1", "commit"])
@pytest.mark.parametrize("where", [{"subfolder": "nested"}, {}, {"subfolder": ""}])
def test_a_file_is_the_same_path(
    both: Serve, repo_type: RepoType, revision: str | None, where: dict[str, str]
) -> None:
    repo, first = versions(repo_type)
    sides = both(repo)
    name = "vocab.txt" if where.get("subfolder") else "copy/model.safetensors"
    wanted = first if revision == "commit" else revision
    sides.agree(FILE, "org/tiny", name, repo_type=repo_type, revision=wanted, **where)
    sides.same_files(listings=False)


def test_two_versions_side_by_side_share_their_blobs(both: Serve) -> None:
    repo, _ = versions()
    sides = both(repo)
    for revision in ("v1", "main", "refs/pr/1"):
        sides.agree(SNAPSHOT, "org/tiny", revision=revision)
    sides.same_files()


@pytest.mark.parametrize(
    "patterns",
    [
        {"allow_patterns": "*.json"},
        {"allow_patterns": ["nested/", "README*"]},
        {"ignore_patterns": ["*.safetensors"]},
        {"allow_patterns": ["*"], "ignore_patterns": "nested/*"},
        {"allow_patterns": "*.nothing"},
        {"allow_patterns": []},
        {"ignore_patterns": []},
        {"ignore_patterns": "*"},
    ],
    ids=str,
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_patterns_select_the_same(both: Serve, patterns: dict[str, Any], dry_run: bool) -> None:
    sides = both(versions()[0])
    sides.agree(SNAPSHOT, "org/tiny", dry_run=dry_run, **patterns)
    if not dry_run:
        sides.same_files()


def test_a_subset_and_then_the_whole(both: Serve) -> None:
    sides = both(versions()[0])
    sides.agree(FILE, "org/tiny", "config.json")
    sides.agree(SNAPSHOT, "org/tiny", allow_patterns="nested/*")
    sides.agree(SNAPSHOT, "org/tiny")
    sides.same_files()


def test_an_empty_repo_is_an_empty_snapshot(both: Serve) -> None:
    sides = both(HostedRepo.from_files("org/empty", {}))
    sides.agree(SNAPSHOT, "org/empty")
    sides.same_files()


def test_a_resolved_revision_is_a_commit(both: Serve) -> None:
    repo, first = versions()
    sides = both(repo)
    revision = huggingface_hub.ResolvedRevision(first, "v1")
    sides.agree(SNAPSHOT, "org/tiny", revision=revision)
    sides.agree(FILE, "org/tiny", "config.json", revision=revision)
    sides.same_files()


def test_a_name_that_looks_like_a_type_is_not_read_as_one(both: Serve) -> None:
    sides = both(HostedRepo.from_files("tiny", small_files(), repo_type="dataset"))
    assert sides.agree(SNAPSHOT, "datasets/tiny").error is RepositoryNotFoundError
    assert sides.agree(SNAPSHOT, "tiny", repo_type="dataset").error is None
    sides.same_files()


# A plain folder --------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", [None, "v1"])
def test_a_plain_folder_has_the_same_files(both: Serve, revision: str | None) -> None:
    sides = both(versions()[0])
    sides.agree(SNAPSHOT, "org/tiny", revision=revision, local_dir="plain")
    sides.agree(FILE, "org/tiny", "nested/vocab.txt", revision=revision, local_dir="plain")
    sides.agree(FILE, "org/tiny", "vocab.txt", subfolder="nested", local_dir="other")
    assert (sides.ours.root / "other/nested/vocab.txt").is_file()
    for name in ("plain", "other"):
        assert _below(sides.ours.tree(), name) == _below(sides.theirs.tree(), name)


def _below(tree: Any, name: str) -> dict[str, str]:
    found = {path: content for path, content in tree.items() if path.startswith(f"{name}/")}
    assert found
    return found


def test_a_folder_takes_from_a_cache_that_is_named_beside_it(both: Serve) -> None:
    sides = both(versions()[0])
    sides.ours.call(SNAPSHOT, "org/tiny")
    asked = sides.ours.requests(lambda: sides.ours.call(SNAPSHOT, "org/tiny", local_dir="plain"))
    assert set(asked) <= {"revision", "tree"}


def test_somebodys_file_is_replaced_only_by_force(both: Serve) -> None:
    sides = both(versions()[0])
    mine = sides.ours.root / "plain/README.md"
    mine.parent.mkdir()
    mine.write_bytes(b"my own notes\n")
    with pytest.raises(OSError, match=r"README\.md.*\n.*\n.*force_download=True"):
        sides.ours.call(SNAPSHOT, "org/tiny", local_dir="plain")
    assert mine.read_bytes() == b"my own notes\n"
    sides.ours.call(SNAPSHOT, "org/tiny", local_dir="plain", force_download=True)
    assert mine.read_bytes() == small_files()["README.md"]


# No network ------------------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["main", "v1", "commit", "unknown"])
def test_without_the_network_the_answers_are_the_same(both: Serve, revision: str) -> None:
    repo, first = versions()
    sides = both(repo)
    revision = first if revision == "commit" else revision
    local = {"revision": revision, "local_files_only": True}
    assert sides.agree(SNAPSHOT, "org/tiny", **local).error is LocalEntryNotFoundError
    assert sides.agree(FILE, "org/tiny", "config.json", **local).error is LocalEntryNotFoundError
    sides.agree(SNAPSHOT, "org/tiny", allow_patterns="*.json", revision="main")
    sides.agree(SNAPSHOT, "org/tiny", revision="v1")
    sides.agree(SNAPSHOT, "org/tiny", **local)
    sides.agree(FILE, "org/tiny", "config.json", **local)
    sides.agree(FILE, "org/tiny", "none.json", **local)
    sides.agree(SNAPSHOT, "org/tiny", dry_run=True, **local)
    sides.agree(FILE, "org/tiny", "config.json", dry_run=True, **local)
    sides.agree(FILE, "org/tiny", "config.json", force_download=True, **local)


def test_offline_mode_asks_nobody(both: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    sides = both(versions()[0])
    sides.agree(SNAPSHOT, "org/tiny", allow_patterns="*.json")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = sides.ours.requests(
        lambda: sides.ours.call(SNAPSHOT, "org/tiny", allow_patterns="*.json")
    )
    assert asked == []
    with pytest.raises(IncompleteSnapshotError):
        sides.ours.call(SNAPSHOT, "org/tiny")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)  # as if set before the import
    assert sides.agree(SNAPSHOT, "org/tiny").error is IncompleteSnapshotError
    assert sides.agree(SNAPSHOT, "org/tiny", dry_run=True).error is DryRunError
    assert sides.agree(FILE, "org/tiny", "README.md").error is LocalEntryNotFoundError
    assert sides.agree(FILE, "org/tiny", "config.json", force_download=True).error is ValueError


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_hub_that_is_gone_leaves_what_is_in_the_cache(both: Serve, dry_run: bool) -> None:
    sides = both(versions()[0])
    sides.agree(SNAPSHOT, "org/tiny")
    away = {"endpoint": NOBODY, "dry_run": dry_run}
    sides.agree(SNAPSHOT, "org/tiny", **away)
    sides.agree(FILE, "org/tiny", "config.json", **away)
    forced = sides.agree(FILE, "org/tiny", "config.json", force_download=True, **away)
    assert forced.error is ValueError


def test_a_hub_that_is_gone_leaves_what_is_in_the_folder(both: Serve) -> None:
    sides = both(versions()[0])
    sides.agree(SNAPSHOT, "org/tiny", local_dir="plain")
    sides.agree(SNAPSHOT, "org/tiny", local_dir="plain", endpoint=NOBODY)
    sides.agree(FILE, "org/tiny", "config.json", local_dir="plain", endpoint=NOBODY)


def test_a_hub_that_is_gone_makes_no_half_snapshot_whole(both: Serve) -> None:
    sides = both(versions()[0])
    sides.agree(SNAPSHOT, "org/tiny", allow_patterns="*.json")
    incomplete = sides.agree(SNAPSHOT, "org/tiny", endpoint=NOBODY)
    assert incomplete.error is IncompleteSnapshotError
    with pytest.raises(IncompleteSnapshotError, match=r"127\.0\.0\.1:9") as caught:
        sides.ours.call(SNAPSHOT, "org/tiny", endpoint=NOBODY)
    assert caught.value.snapshot_path.startswith(str(sides.ours.root))
    assert isinstance(caught.value.__cause__, HfdlError)


@pytest.mark.parametrize("status", [500, 503, 429, 403])
def test_a_hub_that_fails_is_as_good_as_gone(both: Serve, status: int) -> None:
    sides = both(versions()[0])
    sides.agree(SNAPSHOT, "org/tiny")
    sides.ours.hub.faults.add(Fault("revision", Status(status)))
    assert sides.agree(SNAPSHOT, "org/tiny").error is None
    if status == 403:  # the others are asked again, which takes a while
        assert sides.agree(SNAPSHOT, "org/tiny", revision="v1").error is LocalEntryNotFoundError


def test_a_commit_that_is_in_the_cache_is_not_asked_for(both: Serve) -> None:
    repo, first = versions()
    sides = both(repo)
    ours = sides.ours
    ours.call(FILE, "org/tiny", "config.json", revision=first)
    again = [
        lambda: ours.call(FILE, "org/tiny", "config.json", revision=first),
        lambda: ours.call(FILE, "org/tiny", "config.json", revision=first, dry_run=True),
        lambda: ours.call(SNAPSHOT, "org/tiny", revision=first, allow_patterns="config.json"),
    ]
    assert [ours.requests(call) for call in again] == [[], [], []]


# What the Hub refuses --------------------------------------------------------------------------


@pytest.mark.parametrize("token", [False, READER_TOKEN, STRANGER_TOKEN, "hf_unknown"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_private_repo_is_there_for_its_readers(
    both: Serve, token: str | bool, dry_run: bool
) -> None:
    sides = both(versions(private=True)[0])
    options = {"token": token, "dry_run": dry_run}
    seen = [
        sides.agree(FILE, "org/tiny", "config.json", **options).error,
        sides.agree(SNAPSHOT, "org/tiny", **options).error,
        sides.agree(FILE, "org/tiny", "none.json", **options).error,
    ]
    hidden = [RepositoryNotFoundError, DryRunError if dry_run else RepositoryNotFoundError] * 2
    wanted = [None, None, RemoteEntryNotFoundError] if token == READER_TOKEN else hidden[:3]
    assert seen == wanted
    # What is in the cache by then stays within reach, as it does in the library.
    sides.agree(SNAPSHOT, "org/tiny", token=False)


@pytest.mark.parametrize("token", [False, READER_TOKEN, STRANGER_TOKEN])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "README.md"])
def test_a_gated_repo_is_there_for_those_who_were_let_in(
    both: Serve, token: str | bool, name: str
) -> None:
    sides = both(versions(gated="manual")[0])
    if not (name == "README.md" and token != READER_TOKEN):  # the card is there for everybody
        wanted = None if token == READER_TOKEN else GatedRepoError
        assert sides.theirs.outcome(FILE, "org/tiny", name, token=token).error is wanted
        assert sides.ours.outcome(FILE, "org/tiny", name, token=token).error is wanted
    theirs = sides.theirs.outcome(SNAPSHOT, "org/tiny", token=token)
    ours = sides.ours.outcome(SNAPSHOT, "org/tiny", token=token)
    # Ours knows from the listing, which has no status, what theirs knows from the first file.
    assert (ours.value, ours.error) == (theirs.value, theirs.error)
    assert ours.error is (None if token == READER_TOKEN else GatedRepoError)


def test_a_token_that_the_hub_does_not_know_is_refused_alike(both: Serve) -> None:
    sides = both(versions()[0])
    for words in ((SNAPSHOT, "org/tiny"), (FILE, "org/tiny", "config.json")):
        seen = sides.agree(*words, token="hf_unknown")
        assert (seen.error, seen.status) == (HfHubHTTPError, 401)


def test_a_login_that_is_not_there_is_missed_alike(both: Serve) -> None:
    sides = both(versions()[0])
    for words in ((SNAPSHOT, "org/tiny"), (FILE, "org/tiny", "config.json")):
        assert (
            sides.agree(*words, token=True).error is huggingface_hub.errors.LocalTokenNotFoundError
        )


@pytest.mark.parametrize("dry_run", [False, True])
def test_what_does_not_exist_is_named_alike(both: Serve, dry_run: bool) -> None:
    sides = both(versions()[0])
    for token in (False, READER_TOKEN):
        options = {"token": token, "dry_run": dry_run}
        sides.agree(SNAPSHOT, "org/none", **options)
        seen = [
            sides.agree(FILE, "org/none", "config.json", **options).error,
            sides.agree(SNAPSHOT, "org/tiny", revision="none", **options).error,
            sides.agree(FILE, "org/tiny", "config.json", revision="none", **options).error,
            sides.agree(FILE, "org/tiny", "none.json", **options).error,
            sides.agree(FILE, "org/tiny", "nested", **options).error,
            sides.agree(FILE, "org/tiny", "nested/", **options).error,
            sides.agree(FILE, "org/tiny", "config.json", repo_type="dataset", **options).error,
        ]
        assert seen == [
            RepositoryNotFoundError,
            *[RevisionNotFoundError] * 2,
            *[RemoteEntryNotFoundError] * 3,
            RepositoryNotFoundError,
        ]
    # That a file does not exist is noted where readers look for it.
    sides.same_files(listings=False)


def test_an_error_says_what_both_would_say(both: Serve) -> None:
    sides = both(versions()[0])
    with pytest.raises(RepositoryNotFoundError, match="Repository Not Found for url") as caught:
        sides.ours.call(SNAPSHOT, "org/none")
    error = caught.value
    assert "hf auth login" in str(error)
    assert isinstance(error.__cause__, HfdlError)
    assert (error.repo_id, error.repo_type) == ("org/none", "model")
    assert error.server_message == "Invalid username or password."
    assert error.response.status_code == 401
    assert str(error.response.request.url).endswith("/api/models/org/none/revision/main")
    assert error.request_id


# Arguments -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"headers": {"X-Mine": "1"}}, "headers"),
        ({"tqdm_class": object}, "tqdm_class"),
        ({"repo_type": "kernel"}, "kernel"),
        ({"repo_type": "models"}, "Invalid repo type"),
        ({"endpoint": "ftp://example.org"}, "endpoint"),
    ],
    ids=str,
)
def test_what_cannot_be_honoured_is_refused_with_the_reason(
    options: dict[str, Any], text: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=text):
        compat.snapshot_download("org/tiny", **{"endpoint": NOBODY, **options})
    with pytest.raises(ValueError, match=text):
        compat.hf_hub_download("org/tiny", "x", **{"endpoint": NOBODY, **options})


@pytest.mark.parametrize("name", ["a/b/c", "org/tiny@main", "", "-x", "https://h.org/a/b"])
def test_what_is_no_repo_to_the_library_is_none_here(name: str) -> None:
    with pytest.raises(HFValidationError):
        compat.snapshot_download(name, endpoint=NOBODY)
    with pytest.raises(HFValidationError):
        compat.hf_hub_download(name, "x", endpoint=NOBODY)


def test_what_changes_no_result_is_accepted(both: Serve) -> None:
    sides = both(versions()[0])
    words = {
        "library_name": "mine",
        "library_version": "1",
        "user_agent": {"a": "b"},
        "etag_timeout": 3.0,
        "headers": {},
    }
    sides.agree(SNAPSHOT, "org/tiny", max_workers=2, **words)
    sides.agree(FILE, "org/tiny", "config.json", **words)
    sides.same_files()


@pytest.mark.parametrize("words", [(SNAPSHOT, "org/tiny"), (FILE, "org/tiny", "config.json")])
def test_force_fetches_again_what_is_there(both: Serve, words: tuple[str, ...]) -> None:
    sides = both(versions()[0])
    ours = sides.ours
    sides.agree(*words)
    sides.agree(*words, force_download=True, dry_run=True)
    sides.agree(*words, dry_run=True)
    assert not {"resolve", "data"} & set(ours.requests(lambda: ours.call(*words)))
    assert "resolve" in ours.requests(lambda: ours.call(*words, force_download=True))
    sides.agree(*words, force_download=True)
    sides.same_files(listings=words[0] == SNAPSHOT)


@pytest.mark.parametrize("place", [{}, {"local_dir": "plain"}])
def test_a_dry_run_knows_the_same_and_fetches_nothing(both: Serve, place: dict[str, Any]) -> None:
    sides = both(versions()[0])
    for known in ("nested/*", "*.json", "*"):
        sides.agree(SNAPSHOT, "org/tiny", dry_run=True, **place)
        sides.agree(FILE, "org/tiny", "config.json", dry_run=True, **place)
        assert not list(sides.ours.root.rglob("*.txt")) or known != "nested/*"
        sides.agree(SNAPSHOT, "org/tiny", allow_patterns=known, **place)


def test_a_wrong_blob_is_not_taken_for_the_right_one(both: Serve) -> None:
    sides = both(versions()[0])
    path = Path(sides.theirs.call(FILE, "org/tiny", "config.json"))
    good = path.read_bytes()
    path.write_bytes(good[:-1] + b"!")
    in_their_cache = replace(sides.theirs, module=compat)
    assert in_their_cache.call(FILE, "org/tiny", "config.json") == str(path)
    assert path.read_bytes() == good


def test_works_where_a_loop_runs(both: Serve) -> None:
    sides = both(versions()[0])

    async def cell() -> str:
        found = sides.ours.call(FILE, "org/tiny", "config.json")
        assert isinstance(found, str)
        return found

    assert Path(anyio.run(cell)).is_file()
