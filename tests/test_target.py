from __future__ import annotations

from pathlib import Path

import pytest

from hfdl_async.core.options import Options
from hfdl_async.errors import UsageError
from hfdl_async.target import Request, Target, find_target


def target_of(**options: object) -> Target:
    return find_target(Request("org/tiny", (), Options.parse(options)))


def test_names_and_patterns_mean_the_target_that_the_url_says(tmp_path: Path) -> None:
    request = Request("datasets/org/name@v1", ("a",), Options.parse({"directory": tmp_path}))
    target = find_target(request)
    assert (target.repo.repo_type, target.repo.revision) == ("dataset", "v1")
    assert (target.folder, target.files) == (tmp_path / "name", ("a",))


@pytest.mark.parametrize("option", ["verify", "fix_broken", "force"])
def test_who_distrusts_what_is_there_wants_proof(option: str) -> None:
    assert not target_of().wants_proof
    assert target_of(**{option: True}).wants_proof


def test_a_folder_to_reuse_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "here").mkdir()
    (tmp_path / "file").write_bytes(b"")
    assert target_of(reuse_from=["~/here"]).reuse_from == (tmp_path / "here",)
    for missing in ("gone", "file"):
        with pytest.raises(UsageError, match=missing):
            target_of(reuse_from=[tmp_path / "here", tmp_path / missing])


def test_the_shared_cache_counts_whatever_the_destination(tmp_path: Path) -> None:
    [default] = target_of(local_dir=tmp_path).caches
    assert target_of(cache=True).caches == (default,)
    assert target_of(cache_dir=tmp_path).caches == (tmp_path, default)
