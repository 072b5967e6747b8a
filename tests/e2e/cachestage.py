"""What the tests of the shared cache play on: the reference library in a process of its own.

The library reads its environment once, when it is imported, so each look at a cache is a process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hfdl_async.core.hubcache import digest_of_blob, repo_folder_name
from hfdl_async.serving import HostedFile, HostedRepo
from hfdl_async.testing.faults import ScriptedHub
from tests.e2e.stage import PATIENCE_SECONDS, Ended, hash_of

HF = Path(sys.executable).with_name("hf.exe" if os.name == "nt" else "hf")
STATE = ".hfdl"

# Calls of the library from standard input, one after the other; what they returned as JSON.
LIBRARY = """
import json, sys, warnings
warnings.simplefilter("error")
import huggingface_hub

def call(name, words, options):
    try:
        return getattr(huggingface_hub, name)(*words, **options)
    except Exception as error:
        return {"error": type(error).__name__, "text": str(error)}

def plain(value):
    if isinstance(value, huggingface_hub.HFCacheInfo):
        return {
            "size": value.size_on_disk,
            "warnings": [str(warning) for warning in value.warnings],
            "unfinished": [str(file.file_path) for file in value.incomplete_files],
            "repos": {
                f"{repo.repo_type}s/{repo.repo_id}": {
                    revision.commit_hash: {
                        "refs": sorted(revision.refs),
                        "size": revision.size_on_disk,
                        "files": {
                            file.file_path.relative_to(revision.snapshot_path).as_posix():
                                file.size_on_disk
                            for file in revision.files
                        },
                    }
                    for revision in repo.revisions
                }
                for repo in value.repos
            },
        }
    return value if isinstance(value, (str, dict, type(None))) else repr(value)

print(json.dumps([plain(call(*one)) for one in json.load(sys.stdin)]))
"""


def call(name: str, *words: object, **options: object) -> tuple[str, list[object], dict[str, Any]]:
    """Return one call of the library."""
    return name, list(words), options


@dataclass(frozen=True)
class Library:
    """The reference client in an environment of its own; *environment* wins over the test's."""

    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def at(cls, hub: ScriptedHub, folder: Path, **environment: str) -> Library:
        """Return one that asks *hub*."""
        return cls(folder, {"HF_ENDPOINT": hub.endpoint, **environment})

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment that it runs in."""
        plain = {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        return {**os.environ, **plain, **self.environment}

    def calls(self, *calls: tuple[str, list[object], dict[str, Any]]) -> list[Any]:
        """Return what *calls* return; an exception is a dict with its name."""
        done = self._run([sys.executable, "-c", LIBRARY], json.dumps(calls))
        assert done.code == 0, str(done)
        value = json.loads(done.out)
        assert isinstance(value, list)
        return value

    def hf(self, *words: object) -> Ended:
        """Run the command of the library."""
        return self._run([str(HF), *map(str, words)])

    def _run(self, command: list[str], stdin: str = "") -> Ended:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.variables,
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)


def folder_of(cache: Path, repo: HostedRepo) -> Path:
    """Return the folder of *repo* in *cache*."""
    return cache / repo_folder_name(repo.repo_id, repo.repo_type)


def snapshot_of(cache: Path, repo: HostedRepo, commit: str | None = None) -> Path:
    """Return the folder that readers of *commit* (of the head, if None) open."""
    return folder_of(cache, repo) / "snapshots" / (commit or head_of(repo))


def head_of(repo: HostedRepo) -> str:
    """Return the commit of the main branch."""
    assert repo.head is not None
    return repo.head.oid


def blob_of(cache: Path, repo: HostedRepo, path: str) -> Path:
    """Return where the content of a file of the main branch lies."""
    assert repo.head is not None
    return folder_of(cache, repo) / "blobs" / repo.head.files[path].etag


def check_blobs(cache: Path, repo: HostedRepo) -> set[str]:
    """Insist that every blob is what its name says; return the names.

    Beside blobs there may be what a killed reference client leaves, under names that are no digest.
    """
    blobs = folder_of(cache, repo) / "blobs"
    found = {blob for blob in blobs.glob("*") if digest_of_blob(blob.name)}
    for blob in found:
        assert blob.name in hash_of(blob), f"wrong bytes under {blob}"
    return {blob.name for blob in found}


def check_snapshot(
    cache: Path,
    repo: HostedRepo,
    commit: str | None = None,
    names: Iterable[str] | None = None,
    *,
    linked: bool = True,
) -> None:
    """Insist that the snapshot has exactly *names* (all, if None), each the right bytes.

    *linked* says how: by a relative link to the blob, or as a plain file.
    """
    files: Mapping[str, HostedFile] = repo.commits[commit or head_of(repo)].files
    base = snapshot_of(cache, repo, commit)
    found = {path.relative_to(base).as_posix(): path for path in base.rglob("*")
             if path.is_symlink() or path.is_file()}  # fmt: skip
    assert set(found) == set(files if names is None else names)
    for name, path in found.items():
        assert path.is_symlink() == linked, name
        if linked:
            up = "../" * (2 + name.count("/"))
            assert os.readlink(path) == f"{up}blobs/{files[name].etag}", name
        assert files[name].digest.hex in hash_of(path), f"wrong bytes under {name}"


def fetched(hub: ScriptedHub) -> list[str]:
    """Return the paths of files whose content was asked for, at the Hub or at its storage."""
    kinds = ("resolve", "cache", "data")
    return sorted(
        {entry.path for entry in hub.log if entry.method == "GET" and entry.kind in kinds}
    )
