from __future__ import annotations

import pytest
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import (  # type: ignore[attr-defined] # lazy exports
    parse_hf_uri,
    validate_repo_id,
)
from hypothesis import example, given
from hypothesis import strategies as st

from hfdl_async.core.model import RepoRef, RepoType
from hfdl_async.errors import UsageError
from hfdl_async.net.targets import Target, parse_target, valid_repo_id

HUB = "https://huggingface.co"


@pytest.mark.parametrize(
    ("text", "repo_id", "repo_type", "revision", "path"),
    [
        ("gpt2", "gpt2", "model", "main", None),
        ("gpt2@v1", "gpt2", "model", "v1", None),
        (" org/name ", "org/name", "model", "main", None),
        ("org/name/", "org/name", "model", "main", None),
        ("org/name@refs/pr/3", "org/name", "model", "refs/pr/3", None),
        ("org/name@feature/x", "org/name", "model", "feature/x", None),
        ("datasets/squad", "squad", "dataset", "main", None),
        ("datasets/org/name@v2", "org/name", "dataset", "v2", None),
        ("models/org/name", "org/name", "model", "main", None),
        ("spaces/org/name", "org/name", "space", "main", None),
        ("hf://gpt2", "gpt2", "model", "main", None),
        ("hf://gpt2@v1/config.json", "gpt2", "model", "v1", "config.json"),
        ("hf://org/name", "org/name", "model", "main", None),
        ("hf://org/name/a/b@1.txt", "org/name", "model", "main", "a/b@1.txt"),
        ("hf://datasets/org/name@refs/pr/3/a/b", "org/name", "dataset", "refs/pr/3", "a/b"),
        ("hf://org/name@feature%2Fx/a", "org/name", "model", "feature/x", "a"),
        (f"{HUB}/gpt2", "gpt2", "model", "main", None),
        (f"{HUB}/gpt2/tree/main", "gpt2", "model", "main", None),
        (f"{HUB}/gpt2/blob/main/config.json", "gpt2", "model", "main", "config.json"),
        (f"{HUB}/org/name", "org/name", "model", "main", None),
        (f"{HUB}/org/name/tree", "org/name", "model", "main", None),
        (f"{HUB}/org/name@v1", "org/name", "model", "v1", None),
        (f"{HUB}/org/name@refs/pr/1", "org/name", "model", "refs/pr/1", None),
        (f"{HUB}/datasets/org/name/tree/v1/data/raw", "org/name", "dataset", "v1", "data/raw/"),
        (f"{HUB}/org/name/tree/refs/pr/7", "org/name", "model", "refs/pr/7", None),
        (f"{HUB}/org/name/tree/refs%2Fpr%2F7/x", "org/name", "model", "refs/pr/7", "x/"),
        (f"{HUB}/org/name/resolve/main/a%20b?download=true", "org/name", "model", "main", "a b"),
        (f"{HUB}/spaces/org/name/blob/main/app.py#L3", "org/name", "space", "main", "app.py"),
        ("huggingface.co/org/name", "org/name", "model", "main", None),
        ("hf.co/datasets/org/name", "org/name", "dataset", "main", None),
    ],
)  # fmt: skip
def test_a_target_is_read_in_every_form_people_use(
    text: str, repo_id: str, repo_type: RepoType, revision: str, path: str | None
) -> None:
    expected = Target(RepoRef(repo_id, repo_type, revision, HUB), path)
    assert parse_target(text, endpoint=HUB) == expected


@pytest.mark.parametrize(
    "text",
    [
        "hf://org/name",
        "hf://org/name@v1/a/b",
        "hf://datasets/org/name@refs/convert/parquet/a",
        "hf://spaces/org/name/x@y",
        f"{HUB}/datasets/org/name/blob/main/train.csv",
        f"{HUB}/org/name/resolve/v%2F1/a%23b",
        f"{HUB}/org/name/tree/main",
        "hf.co/org/name",
    ],
)
def test_it_reads_what_the_library_reads_as_the_library_does(text: str) -> None:
    theirs, ours = parse_hf_uri(text), parse_target(text, endpoint=HUB)
    assert (ours.repo.repo_id, ours.repo.repo_type) == (theirs.id, theirs.type)
    assert ours.repo.revision == (theirs.revision or "main")
    assert (ours.path or "") == theirs.path_in_repo


def test_a_web_address_of_the_given_endpoint_is_understood_with_port_and_prefix() -> None:
    endpoint = "http://127.0.0.1:8642/hf"
    text = f"{endpoint}/org/name/blob/main/x"
    expected = Target(RepoRef("org/name", "model", "main", endpoint), "x")
    assert parse_target(text, endpoint=endpoint) == expected
    bare = "127.0.0.1:8642/hf/org/name/blob/main/x"
    assert parse_target(bare, endpoint=endpoint) == expected
    public = parse_target(f"{HUB}/org/name", endpoint="https://mirror.example")
    assert public.repo.endpoint == "https://mirror.example"


def test_options_say_what_the_text_leaves_open() -> None:
    target = parse_target("org/name", repo_type="dataset", revision="v1", endpoint=HUB)
    assert target.repo == RepoRef("org/name", "dataset", "v1", HUB)
    same = parse_target("datasets/org/name@v1", repo_type="dataset", revision="v1", endpoint=HUB)
    assert same == target


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("org/name@v1", {"revision": "v2"}),
        (f"{HUB}/org/name/tree/v1", {"revision": "v2"}),
        ("datasets/org/name", {"repo_type": "model"}),
        (f"{HUB}/org/name", {"repo_type": "dataset"}),
    ],
)
def test_a_contradiction_is_a_usage_error_that_names_both(
    text: str, option: dict[str, str]
) -> None:
    with pytest.raises(UsageError, match="the address says") as caught:
        parse_target(text, endpoint=HUB, **option)  # type: ignore[arg-type]
    assert next(iter(option.values())) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "org/name/config.json",
        "../x",
        "org/..",
        "org/name@",
        "datasets",
        "datasets/",
        "dataset/org/name",
        "kernels/org/name",
        "hf://",
        "hf://buckets/org/name",
        "ssh://host/org/name",
        "https://elsewhere.example/org/name",
        "https://user:pw@huggingface.co/org/name",
        f"{HUB}/org/name/discussions/1",
        f"{HUB}/",
        "org/na\x1bme",
        "org/name@a b",
        "x" * 300,
    ],
)
def test_nonsense_is_a_usage_error_with_a_hint(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_target(text, endpoint=HUB)
    shown = f"{caught.value} {caught.value.hint}"
    assert caught.value.hint
    assert "\x1b" not in shown
    assert "pw" not in shown


def test_the_hint_for_a_file_in_the_name_is_the_command_to_use() -> None:
    with pytest.raises(UsageError) as caught:
        parse_target("org/name/sub/config.json", endpoint=HUB)
    assert caught.value.hint == "to name a file, write: org/name sub/config.json"


@example("org/name.git")
@example("org/name\n")
@given(st.text("aZ9é_-./g it", max_size=12) | st.text("a-./", min_size=90, max_size=110))
def test_repo_ids_are_those_of_the_library(text: str) -> None:
    try:
        validate_repo_id(text)
    except HFValidationError:
        assert not valid_repo_id(text)
    else:
        assert valid_repo_id(text)


def test_repo_ids_follow_the_grammar_of_the_library() -> None:
    assert valid_repo_id("org/model-7B_v1.5")
    assert not valid_repo_id("org/name.git")
    assert valid_repo_id("org/name")
    assert not valid_repo_id("../../etc")
    assert not valid_repo_id("a/b/c")
