"""The reference client as an oracle: what it downloads from the embedded hub is what we put in.

It runs in a process of its own, because it reads its environment once, at import.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from hfdl_async.core.model import RepoType
from hfdl_async.serving import READER_TOKEN, HostedRepo, Settings
from hfdl_async.testing.faults import ScriptedHub, StartHub

pytestmark = pytest.mark.anyio

SMALL_LFS = 5_000
FILES: dict[str, bytes] = {
    "config.json": b'{"a": 1}\n' * 40,
    "README.md": b"# Card\n",
    ".gitattributes": b"*.bin filter=lfs\n",
    "empty.txt": b"",
    "a b/with space.txt": b"space",
    "a+b&c=d@e:f~g,h;i'(j)[k].txt": b"punctuation",
    "100%.txt": b"percent",
    "100%25.txt": b"a percent sign and what looks like its code",
    "hash#1.txt": b"hash",
    "what?.txt": b"question",
    unicodedata.normalize("NFC", "é-composed.txt"): b"NFC",
    unicodedata.normalize("NFD", "é-decomposed.txt"): b"NFD",
    "日本/語.txt": b"other scripts",
    "Case.txt": b"upper",
    "case.txt": b"lower",
    "deep/1/2/3/4/5/6/7/file.txt": b"deep",
    "same/one.txt": b"the same",
    "same/two.txt": b"the same",
    "model-00001.safetensors": bytes(range(256)) * 1000,
    "odd name #1 100%?+'.bin": b"\x00\xff" * 4000,
    "large.txt": b"large enough for LFS\n" * 1000,
}

SCRIPT = """
import json, sys
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
calls = json.loads(sys.argv[1])
answers = []
for name, arguments in calls:
    if name == "snapshot_download":
        answers.append(snapshot_download(**arguments))
    elif name == "hf_hub_download":
        answers.append(hf_hub_download(**arguments))
    elif name == "list_repo_tree":
        answers.append([vars(entry) for entry in HfApi().list_repo_tree(**arguments)])
    else:
        answers.append(vars(getattr(HfApi(), name)(**arguments)))
print(json.dumps(answers, default=str))
"""


Call = tuple[str, Mapping[str, object]]


def ask_reference(endpoint: str, home: Path, calls: list[Call], script: str) -> list[object]:
    environment = {
        **os.environ,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    result = subprocess.run(
        [sys.executable, "-c", script, json.dumps(calls)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr[-4000:]
    answers = json.loads(result.stdout)
    assert isinstance(answers, list)
    return answers


async def reference(
    hub: ScriptedHub, home: Path, *calls: Call, script: str = SCRIPT
) -> list[object]:
    return await anyio.to_thread.run_sync(ask_reference, hub.endpoint, home, list(calls), script)


def contents(folder: object) -> dict[str, bytes]:
    root = Path(str(folder))
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".cache" not in path.relative_to(root).parts
    }


@pytest.mark.parametrize("repo_type", ["model", "dataset", "space"])
async def test_the_reference_client_gets_every_byte_of_every_name(
    hub: StartHub, tmp_path: Path, repo_type: RepoType
) -> None:
    repo = HostedRepo.from_files(
        "org/name", FILES, repo_type=repo_type, lfs_threshold_bytes=SMALL_LFS
    )
    running = await hub(repo, settings=Settings(page_size=4))
    where = {"repo_id": "org/name", "repo_type": repo_type}
    into_cache, into_folder = await reference(
        running,
        tmp_path / "home",
        ("snapshot_download", where),
        ("snapshot_download", {**where, "local_dir": str(tmp_path / "local")}),
    )
    assert contents(into_cache) == FILES
    assert contents(into_folder) == FILES
    assert {entry.status for entry in running.log} <= {200, 206, 302, 307}
    assert all(entry.authorization is None for entry in running.log.of("data"))


async def test_the_reference_client_agrees_on_branches_tags_requests_and_commits(
    hub: StartHub, tmp_path: Path
) -> None:
    repo = HostedRepo.from_files("org/name", {"f.txt": b"first"})
    first = repo.refs["refs/heads/main"]
    repo.tag("v1.0", first)
    repo.commit({"f.txt": b"on a branch"}, branch="feature/x")
    repo.pull_request(1, repo.commit({"f.txt": b"proposed"}, branch=None))
    repo.commit({"f.txt": b"second"})
    running = await hub(repo)
    revisions = ["main", "v1.0", "feature/x", "refs/pr/1", first, first[:8]]
    paths = await reference(
        running,
        tmp_path,
        *[
            ("hf_hub_download", {"repo_id": "org/name", "filename": "f.txt", "revision": revision})
            for revision in revisions
        ],
    )
    assert [Path(str(path)).read_bytes() for path in paths] == [
        b"second", b"first", b"on a branch", b"proposed", b"first", b"first",
    ]  # fmt: skip


async def test_the_reference_client_reads_the_same_facts_from_the_api(
    hub: StartHub, tmp_path: Path
) -> None:
    repo = HostedRepo.from_files("org/name", FILES, lfs_threshold_bytes=SMALL_LFS)
    running = await hub(repo, settings=Settings(page_size=3))
    tree, info, refs = await reference(
        running,
        tmp_path,
        ("list_repo_tree", {"repo_id": "org/name", "recursive": True}),
        ("repo_info", {"repo_id": "org/name", "files_metadata": True}),
        ("list_repo_refs", {"repo_id": "org/name", "include_pull_requests": True}),
    )
    head = repo.head
    assert head is not None
    assert isinstance(tree, list)
    listed = {entry["path"]: entry for entry in tree if "size" in entry}
    assert {path: entry["size"] for path, entry in listed.items()} == {
        path: len(data) for path, data in FILES.items()
    }
    assert {path: entry["blob_id"] for path, entry in listed.items()} == {
        path: file.oid for path, file in head.files.items()
    }
    assert isinstance(info, dict)
    assert info["sha"] == head.oid
    assert isinstance(refs, dict)
    assert len(refs["branches"]) == 1
    assert running.log.counts["api"] > len(FILES) / 3


async def test_the_reference_client_follows_a_rename_and_knows_legacy_ids(
    hub: StartHub, tmp_path: Path
) -> None:
    renamed = HostedRepo.from_files(
        "new/name", {"f.txt": b"moved"}, renamed_from=("old/name", "gpt2")
    )
    legacy = HostedRepo.from_files("bert", {"f.txt": b"one segment"})
    running = await hub(renamed, legacy)
    paths = await reference(
        running,
        tmp_path,
        *[("snapshot_download", {"repo_id": name}) for name in ("old/name", "gpt2", "bert")],
    )
    assert [contents(path)["f.txt"] for path in paths] == [b"moved", b"moved", b"one segment"]


async def test_the_reference_client_reads_a_gated_and_a_private_repo_with_a_token(
    hub: StartHub, tmp_path: Path
) -> None:
    files = {"f.txt": b"small", "w.bin": b"large" * 100}
    gated = HostedRepo.from_files("org/gated", files, gated="manual")
    private = HostedRepo.from_files("org/private", files, private=True)
    running = await hub(gated, private)
    paths = await reference(
        running,
        tmp_path,
        *[
            ("snapshot_download", {"repo_id": name, "token": READER_TOKEN})
            for name in ("org/gated", "org/private")
        ],
    )
    assert [contents(path) for path in paths] == [files, files]
    assert all(entry.authorization is None for entry in running.log.of("data"))


FAILURES = """
import json, sys
from huggingface_hub import hf_hub_download
answers = []
for _, arguments in json.loads(sys.argv[1]):
    try:
        hf_hub_download(**arguments)
        answers.append("ok")
    except Exception as error:
        answers.append(type(error).__name__)
print(json.dumps(answers))
"""


async def test_the_reference_client_tells_refusals_apart(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(
        HostedRepo.from_files("org/open", {"f.txt": b"x"}),
        HostedRepo.from_files("org/gated", {"f.txt": b"x"}, gated="auto"),
    )
    cases: list[dict[str, object]] = [
        {"repo_id": "org/none", "filename": "f.txt"},
        {"repo_id": "org/gated", "filename": "f.txt"},
        {"repo_id": "org/open", "filename": "none.txt"},
        {"repo_id": "org/open", "filename": "f.txt", "revision": "none"},
        {"repo_id": "org/open", "filename": "f.txt"},
    ]
    answers = await reference(
        running, tmp_path, *[("hf_hub_download", case) for case in cases], script=FAILURES
    )
    assert answers == [
        "RepositoryNotFoundError",
        "GatedRepoError",
        "RemoteEntryNotFoundError",
        "RevisionNotFoundError",
        "ok",
    ]
