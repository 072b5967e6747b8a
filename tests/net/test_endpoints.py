from __future__ import annotations

import pytest
from huggingface_hub import constants, hf_hub_url
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.model import RepoRef, RepoType
from hfdl_async.errors import UnsafeError, UsageError
from hfdl_async.net import endpoints


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
    st.sampled_from(["main", "refs/pr/1", "feature/ä b#?%", "c" * 40]),
    st.sampled_from(["model", "dataset", "space"]),
)
def test_a_file_has_the_address_the_library_gives_it(
    path: str, revision: str, repo_type: RepoType
) -> None:
    repo = RepoRef("org/name", repo_type, revision, "http://127.0.0.1:8642")
    theirs = hf_hub_url(
        "org/name", path, repo_type=repo_type, revision=revision, endpoint=repo.endpoint
    )
    assert endpoints.resolve_url(repo, revision, path) == theirs


def test_a_name_that_is_not_text_has_no_address() -> None:
    with pytest.raises(UnsafeError, match="not valid Unicode"):
        endpoints.resolve_url(RepoRef("a/b"), "main", "bad\udcff")


def test_an_api_route_quotes_the_revision_as_one_segment() -> None:
    repo = RepoRef("org/name", "dataset", endpoint="https://hub.example")
    tail = f"revision/{endpoints.quoted('refs/pr/1')}"
    expected = "https://hub.example/api/datasets/org/name/revision/refs%2Fpr%2F1"
    assert endpoints.api_url(repo, tail) == expected


def test_the_endpoint_of_the_environment_is_read_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert endpoints.default_endpoint() == constants._HF_DEFAULT_ENDPOINT
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example:81/hf/")
    assert endpoints.default_endpoint() == "http://mirror.example:81/hf"
    monkeypatch.setenv("HF_ENDPOINT", "mirror.example")
    with pytest.raises(UsageError, match="endpoint"):
        endpoints.default_endpoint()


@pytest.mark.parametrize(
    "text",
    ["", "hub.example", "ftp://h", "https://user:hidden@h", "https://h/?q=1", "https://h/#f"],
)
def test_what_is_no_endpoint_is_refused_without_showing_a_password(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        endpoints.normalise_endpoint(text)
    assert "hidden" not in f"{caught.value} {caught.value.hint}"


def test_an_endpoint_loses_its_trailing_slashes() -> None:
    assert endpoints.normalise_endpoint(" https://h// ") == "https://h"
