from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async import __version__
from hfdl_async.errors import AccessError
from hfdl_async.net import reference


def test_importing_it_loads_neither_the_library_nor_aiohttp() -> None:
    program = (
        "import sys, hfdl_async.net.reference;"
        "print([m for m in ('huggingface_hub', 'aiohttp') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert result.stdout.decode().strip() == "[]"


def test_a_given_token_is_taken_and_false_means_anonymous(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_stored")
    assert reference.find_token("hf_given\n") == "hf_given"
    assert reference.find_token(False) is None
    assert reference.find_token(None) == "hf_stored"
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")
    assert reference.find_token(None) is None
    assert reference.find_token(True) == "hf_stored"


def test_nobody_is_anonymous_whom_the_library_would_log_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stored = tmp_path / "token"
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(stored))
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    assert reference.find_token(None) is huggingface_hub.get_token() is None
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        with monkeypatch.context() as context:
            context.setenv(name, "hf_variable")
            assert reference.find_token(None) == huggingface_hub.get_token() == "hf_variable"
    stored.write_text("hf_stored\n")
    assert reference.find_token(None) == huggingface_hub.get_token() == "hf_stored"


def test_who_has_no_login_does_not_wait_for_the_library_to_be_loaded(tmp_path: Path) -> None:
    program = (
        "import sys; from hfdl_async.net import reference;"
        "assert reference.find_token(None) is None;"
        "assert reference.valid_repo_id('org/Some-name_1.5B');"
        "print([m for m in ('huggingface_hub.errors', 'importlib.metadata') if m in sys.modules])"
    )
    environ = {"HF_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=True, env=environ
    )
    assert result.stdout.decode().strip() == "[]"


def test_a_login_that_is_required_and_missing_is_an_access_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(AccessError, match="no stored login"):
        reference.find_token(True)


def test_a_failed_exchange_of_an_identity_token_is_an_access_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_OIDC_RESOURCE", "org/name")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    with pytest.raises(AccessError, match="identity token") as caught:
        reference.find_token(None)
    assert caught.value.hint


def test_a_login_that_cannot_be_read_is_an_access_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    (tmp_path / "file").touch()
    for nowhere in (tmp_path, tmp_path / "file" / "token"):
        monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(nowhere))
        with pytest.raises(AccessError, match="cannot be read"):
            reference.find_token(None)


def test_the_user_agent_says_what_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    said = reference.user_agent()
    assert said.startswith(f"hfdl/{__version__}; hf_hub/{huggingface_hub.__version__}; python/3.")
    monkeypatch.setenv("HF_HUB_USER_AGENT_ORIGIN", "tests")
    assert reference.user_agent().endswith("; origin/tests")
    monkeypatch.setenv("HF_HUB_USER_AGENT_ORIGIN", "a\r\nX-Injected: 1")
    assert "Injected" not in reference.user_agent()


@pytest.mark.parametrize(
    ("hub", "transformers", "expected"),
    [("1", "", True), ("yes", "", True), ("", "1", True), ("0", "1", False), ("", "", False)],
)
def test_offline_is_read_from_the_environment_now(
    monkeypatch: pytest.MonkeyPatch, hub: str, transformers: str, expected: bool
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", hub)
    monkeypatch.setenv("TRANSFORMERS_OFFLINE", transformers)
    assert reference.is_offline() is expected


def test_patterns_match_as_in_the_library() -> None:
    paths = ["a.json", "d/b.json", "d/e/c.bin", "D.JSON"]
    assert reference.matching(paths) == paths
    assert reference.matching(paths, ["*.json"]) == ["a.json", "d/b.json"]
    assert reference.matching(paths, ["d/"]) == ["d/b.json", "d/e/c.bin"]
    assert reference.matching(paths, [], ["*.json"]) == ["d/e/c.bin", "D.JSON"]
    assert reference.matching(paths, ["*"], ["d/*"]) == ["a.json", "D.JSON"]


@given(st.lists(st.text("ab./*[", max_size=6)), st.lists(st.text("ab./*[", max_size=4), max_size=3))
def test_matching_keeps_the_order_and_invents_nothing(
    paths: list[str], patterns: list[str]
) -> None:
    left = iter(paths)
    assert all(path in left for path in reference.matching(paths, patterns, ["b*"]))
