from __future__ import annotations

import pytest

from hfdl_async.serving.answer import Call
from hfdl_async.serving.repos import HostedRepo
from hfdl_async.serving.routes import RepoIndex, parse_form, split_revision, understand

REPOS = [
    HostedRepo.from_files("org/name", {}),
    HostedRepo.from_files("gpt2", {}, renamed_from=("old/gpt2",)),
    HostedRepo.from_files("org/tree", {}),
    HostedRepo.from_files("org/name", {}, repo_type="dataset"),
    HostedRepo.from_files("org/name", {}, repo_type="space"),
]
COMMIT = "0123456789" * 4


def read(target: str) -> tuple[str, str, str, str, str | None, str]:
    call = Call("hub", "GET", target, {}, ("", 0))
    asked = understand(call, RepoIndex(REPOS))
    repo_type = call.repo.repo_type if call.repo else None
    return asked, call.kind, call.what, call.revision, repo_type, call.path


@pytest.mark.parametrize(
    ("target", "meaning"),
    [
        ("/api/models/org/name", ("org/name", "api", "info", "", "model", "")),
        ("/api/models/gpt2", ("gpt2", "api", "info", "", "model", "")),
        ("/api/models/gpt2/refs", ("gpt2", "api", "refs", "", "model", "")),
        ("/api/models/org/tree", ("org/tree", "api", "info", "", "model", "")),
        ("/api/models/org/none/refs", ("org/none", "api", "refs", "", None, "")),
        (
            "/api/datasets/org/name/revision/refs%2Fpr%2F1",
            ("org/name", "api", "revision", "refs/pr/1", "dataset", ""),
        ),
        (
            "/api/spaces/org/name/tree/main/a%2Fb%20c?recursive=true",
            ("org/name", "api", "tree", "main", "space", "a/b c"),
        ),
        (
            f"/api/resolve-cache/models/gpt2/{COMMIT}/a/b?x=",
            ("gpt2", "cache", "resolve-cache", COMMIT, "model", "a/b"),
        ),
        (
            "/org/name/resolve/main/a/b.txt",
            ("org/name", "resolve", "resolve", "main", "model", "a/b.txt"),
        ),
        ("/gpt2/resolve/main/a%3Fb%23c", ("gpt2", "resolve", "resolve", "main", "model", "a?b#c")),
        ("//org/name/resolve/main/a", ("org/name", "resolve", "resolve", "main", "model", "a")),
        ("/old/gpt2/resolve/main/a", ("old/gpt2", "resolve", "resolve", "main", "model", "a")),
        (
            "/datasets/org/name/resolve/refs/pr/12/d/f",
            ("org/name", "resolve", "resolve", "refs/pr/12", "dataset", "d/f"),
        ),
        ("/api/whoami-v2", ("", "api", "whoami-v2", "", None, "")),
        ("/org/name", ("", "other", "other", "", None, "")),
    ],
)  # fmt: skip
def test_targets_mean(target: str, meaning: tuple[str, str, str, str, str | None, str]) -> None:
    assert read(target) == meaning


def test_the_query_is_decoded_and_its_last_value_counts() -> None:
    call = Call("hub", "GET", "/api/models/gpt2/tree/main?a=1&a=2&b=%2F", {}, ("", 0))
    understand(call, RepoIndex(REPOS))
    assert call.query == {"a": "2", "b": "/"}


def test_a_revision_is_one_segment_unless_it_is_a_ref() -> None:
    assert split_revision("feature%2Fx/a/b") == ("feature/x", "a/b")
    assert split_revision("refs/convert/parquet/a") == ("refs/convert/parquet", "a")
    assert split_revision("refs/pr/1") == ("refs/pr/1", "")


def test_forms_repeat_their_fields() -> None:
    assert parse_form(b"paths=a+b&paths=c&expand=true") == {
        "paths": ["a b", "c"],
        "expand": ["true"],
    }
