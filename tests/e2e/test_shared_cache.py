"""The shared cache and the library whose cache it is: each finds what the other put there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pytest

from hfdl_async.core.model import MIB
from hfdl_async.serving import HostedRepo
from hfdl_async.serving.content import Content
from tests.e2e.cachestage import (
    Library,
    blob_of,
    call,
    check_blobs,
    check_snapshot,
    fetched,
    folder_of,
    head_of,
    snapshot_of,
)
from tests.e2e.conftest import OpenShell, Serve
from tests.e2e.stage import WEIGHTS, files_of, flip_byte, noise, some_everyday

pytestmark = pytest.mark.e2e

OLD: Mapping[str, bytes | Content] = {
    "README.md": b"# first\n",
    "config.json": b'{"model_type": "noise"}\n',
    "tokenizer/vocab.txt": b"a\nb\nc\n" * 9_000,
    "tokenizer/deep/er/empty.txt": b"",
    WEIGHTS: noise("first", 3 * MIB),
    "twin/copy.safetensors": noise("first", 3 * MIB),
}
NEW: Mapping[str, bytes | Content] = {
    **OLD, "README.md": b"# second\n", "extra.safetensors": noise("more", 2 * MIB)
}  # fmt: skip
TWINS = {WEIGHTS, "twin/copy.safetensors"}
REVISIONS = ("main", "v1", "refs/pr/1", "commit")
TYPES: tuple[Literal["model", "dataset", "space"], ...] = ("model", "dataset", "space")
CASES = [f"{kind} {revision}" for kind in TYPES for revision in REVISIONS]
EVERYDAY = ("model main", "dataset v1", "space refs/pr/1", "model commit")


class Case:
    """A repo of a kind with an old commit (`v1`, `refs/pr/1`) and, by another name, the head."""

    def __init__(self, text: str) -> None:
        kind, revision = text.split(" ")
        self.kind: Literal["model", "dataset", "space"] = next(k for k in TYPES if k == kind)
        self.repo = HostedRepo.from_files("org/model", OLD, repo_type=self.kind)
        self.commit = head_of(self.repo)
        self.repo.tag("v1", self.commit)
        self.repo.pull_request(1, self.commit)
        self.is_commit = revision == "commit"
        self.revision = self.commit if self.is_commit else revision
        self.refs = [] if self.is_commit else [revision]
        self.words = ("org/model", "--repo-type", kind, "--revision", self.revision)
        self.options = {"repo_type": kind, "revision": self.revision}


def total(files: Mapping[str, bytes | Content]) -> int:
    return sum(len(file) if isinstance(file, bytes) else file.size for file in files.values())


def check_seen(library: Library, case: Case, cache: Path) -> None:
    """Insist that the library finds all of a commit in *cache* without asking anybody."""
    names = sorted(OLD)
    base = snapshot_of(cache, case.repo, case.commit)
    answers = library.calls(
        call("snapshot_download", "org/model", local_files_only=True, **case.options),
        call("scan_cache_dir"),
        *(call("try_to_load_from_cache", "org/model", name, **case.options) for name in names),
        *(call("hf_hub_download", "org/model", name, **case.options, local_files_only=True)
          for name in names),
    )  # fmt: skip
    assert answers[0] == str(base)
    scan = answers[1]
    assert (scan["warnings"], scan["unfinished"]) == ([], [])
    assert list(scan["repos"]) == [f"{case.kind}s/org/model"]
    revision = scan["repos"][f"{case.kind}s/org/model"][case.commit]
    assert revision["refs"] == case.refs
    assert revision["files"] == {name: file.size for name, file in files_of(case.repo).items()}
    assert scan["size"] == revision["size"] == total(OLD) - 3 * MIB  # the twins share a blob
    assert answers[2:] == [str(base / name) for name in names] * 2


@pytest.mark.parametrize("text", some_everyday(CASES, *EVERYDAY))
def test_what_hfdl_cached_the_library_finds(
    serve: Serve, shell: OpenShell, place: Path, text: str
) -> None:
    case, cache = Case(text), place / "cache"
    hub = serve(case.repo)
    shell(hub).run(*case.words, "--cache", HF_HUB_CACHE=str(cache)).check()
    check_snapshot(cache, case.repo)
    check_blobs(cache, case.repo)

    hub.log.clear()
    check_seen(Library.at(hub, place, HF_HUB_CACHE=str(cache)), case, cache)
    offline = Library.at(hub, place, HF_HUB_CACHE=str(cache), HF_HUB_OFFLINE="1")
    check_seen(offline, case, cache)
    assert offline.calls(
        call("snapshot_download", "org/model", **case.options),
        call("hf_hub_download", "org/model", WEIGHTS, **case.options),
    ) == [str(snapshot_of(cache, case.repo)), str(snapshot_of(cache, case.repo) / WEIGHTS)]
    assert len(hub.log) == 0

    online = Library.at(hub, place, HF_HUB_CACHE=str(cache))
    for _ in range(2):
        answer = online.calls(call("snapshot_download", "org/model", **case.options))
        assert answer == [str(snapshot_of(cache, case.repo))]
    assert fetched(hub) == []
    assert [entry.what for entry in hub.log] == ([] if case.is_commit else ["revision"] * 2)
    check = ("cache", "verify", "org/model", "--type", case.kind, "--revision", case.revision)
    strict = ("--fail-on-missing-files", "--fail-on-extra-files")
    assert f"Verified {len(OLD)} file(s)" in str(online.hf(*check, *strict).check())


@pytest.mark.parametrize("text", some_everyday(CASES, *EVERYDAY))
def test_what_the_library_cached_hfdl_finds(
    serve: Serve, shell: OpenShell, place: Path, text: str
) -> None:
    case, cache = Case(text), place / "cache"
    hub = serve(case.repo)
    library = Library.at(hub, place, HF_HUB_CACHE=str(cache))
    [answer] = library.calls(call("snapshot_download", "org/model", **case.options))
    assert answer == str(snapshot_of(cache, case.repo))
    before = theirs(cache)
    for _ in range(2):  # the first time by reading everything, the second by receipts
        hub.log.clear()
        report = shell(hub).run(*case.words, "--cache-dir", cache, "--json").check().report
        assert {file["status"] for file in report["files"]} == {"reused"}
        assert report["path"] == answer
        assert report["bytes"]["downloaded"] == 0
        assert [entry.what for entry in hub.log] == ([] if case.is_commit else ["revision"])
        assert report["requests"]["api"] == len(hub.log)
    assert theirs(cache) == before
    check_seen(library, case, cache)


def theirs(cache: Path) -> dict[str, tuple[int, int, int]]:
    """Return everything in *cache* that is not ours: a change of it would show."""
    return {
        path.relative_to(cache).as_posix(): (status.st_ino, status.st_mtime_ns, status.st_mode)
        for path in sorted(cache.rglob("*"))
        if ".hfdl" not in path.parts and not path.is_dir()
        for status in [path.lstat()]
    }


def test_what_the_command_of_the_library_cached_hfdl_finds(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = HostedRepo.from_files("org/model", OLD)
    hub = serve(repo)
    Library.at(hub, place).hf("download", "org/model").check()
    hub.log.clear()
    shell(hub).run("org/model", "--cache").check()
    assert [entry.what for entry in hub.log] == ["revision"]


# -- parts of a repo, and other commits ----------------------------------------------------


def test_a_subset_then_the_whole_by_hfdl(serve: Serve, shell: OpenShell, place: Path) -> None:
    repo, cache = HostedRepo.from_files("org/model", OLD), place / "cache"
    hub = serve(repo)
    some = ["config.json", WEIGHTS]
    shell(hub).run("org/model", *some, "--cache-dir", cache).check()
    check_snapshot(cache, repo, names=some)
    assert fetched(hub) == sorted(some)
    library = Library.at(hub, place, HF_HUB_CACHE=str(cache), HF_HUB_OFFLINE="1")
    whole, part, file, other = library.calls(
        call("snapshot_download", "org/model"),
        call("snapshot_download", "org/model", allow_patterns=some),
        call("hf_hub_download", "org/model", WEIGHTS),
        call("hf_hub_download", "org/model", "README.md"),
    )
    base = snapshot_of(cache, repo)
    assert whole["error"] == "IncompleteSnapshotError"  # the kept listing is of the whole repo
    assert (part, file) == (str(base), str(base / WEIGHTS))
    assert other["error"] == "LocalEntryNotFoundError"

    hub.log.clear()
    shell(hub).run("org/model", "--cache-dir", cache).check()
    assert set(fetched(hub)) == {"README.md", "tokenizer/vocab.txt"}
    check_snapshot(cache, repo)
    assert library.calls(call("snapshot_download", "org/model")) == [str(base)]


def test_a_subset_by_one_then_the_whole_by_the_other(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = HostedRepo.from_files("org/model", OLD)
    hub = serve(repo)
    some = ["config.json", WEIGHTS]

    first = place / "ours first"
    library = Library.at(hub, place, HF_HUB_CACHE=str(first))
    shell(hub).run("org/model", *some, "--cache-dir", first).check()
    hub.log.clear()
    library.calls(call("snapshot_download", "org/model"))
    assert not set(fetched(hub)) & (TWINS | {"config.json"})
    check_snapshot(first, repo)

    second = place / "theirs first"
    library = Library.at(hub, place, HF_HUB_CACHE=str(second))
    library.calls(call("snapshot_download", "org/model", allow_patterns=some))
    hub.log.clear()
    shell(hub).run("org/model", "--cache-dir", second).check()
    assert set(fetched(hub)) == {"README.md", "tokenizer/vocab.txt"}
    check_snapshot(second, repo)


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_a_new_commit_costs_what_changed_and_leaves_the_old_one(
    serve: Serve, shell: OpenShell, place: Path, first: str
) -> None:
    repo, cache = HostedRepo.from_files("org/model", OLD), place / "cache"
    hub = serve(repo)
    library = Library.at(hub, place, HF_HUB_CACHE=str(cache))
    old = head_of(repo)
    if first == "ours":
        shell(hub).run("org/model", "--cache-dir", cache).check()
    else:
        library.calls(call("snapshot_download", "org/model"))
    new = repo.commit(NEW)
    hub.log.clear()
    report = shell(hub).run("org/model", "--cache-dir", cache, "--json").check().report
    assert fetched(hub) == ["README.md", "extra.safetensors"]
    assert report["commit"] == new
    for commit in (old, new):
        check_snapshot(cache, repo, commit)
    assert len(check_blobs(cache, repo)) == len(NEW) - 1 + 1  # the twins, and two READMEs
    (folder_of(cache, repo) / ".hfdl").rename(place / "gone")  # readers do not need it
    offline = Library.at(hub, place, HF_HUB_CACHE=str(cache), HF_HUB_OFFLINE="1")
    scan, *paths = offline.calls(
        call("scan_cache_dir"),
        call("snapshot_download", "org/model"),
        call("snapshot_download", "org/model", revision=old),
    )
    assert paths == [str(snapshot_of(cache, repo, commit)) for commit in (new, old)]
    assert scan["warnings"] == []
    found = scan["repos"]["models/org/model"]
    assert {commit: found[commit]["refs"] for commit in found} == {old: [], new: ["main"]}


def test_both_move_a_branch_in_turns(serve: Serve, shell: OpenShell, place: Path) -> None:
    repo, cache = HostedRepo.from_files("org/model", OLD), place / "cache"
    hub = serve(repo)
    library = Library.at(hub, place, HF_HUB_CACHE=str(cache))
    shell(hub).run("org/model", "--cache-dir", cache).check()
    repo.commit(NEW)
    library.calls(call("snapshot_download", "org/model"))
    hub.log.clear()
    shell(hub).run("org/model", "--cache-dir", cache).check()
    assert fetched(hub) == []
    repo.commit(OLD)
    shell(hub).run("org/model", "--cache-dir", cache).check()
    assert fetched(hub) == []  # every content of the newest commit is here already
    library.calls(call("snapshot_download", "org/model"))
    assert fetched(hub) == []
    check_snapshot(cache, repo)


# -- without links ---------------------------------------------------------------------------


def test_without_links_the_library_reads_what_hfdl_put(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo, cache = HostedRepo.from_files("org/model", OLD), place / "cache"
    hub = serve(repo)
    plain = {"HF_HUB_DISABLE_SYMLINKS": "1", "HF_HUB_CACHE": str(cache)}
    shell(hub).run("org/model", "--cache", **plain).check()
    check_snapshot(cache, repo, linked=False)
    hub.log.clear()
    for more in ({}, {"HF_HUB_OFFLINE": "1"}):
        scan, path, *files = Library.at(hub, place, **plain, **more).calls(
            call("scan_cache_dir"),
            call("snapshot_download", "org/model"),
            *(call("try_to_load_from_cache", "org/model", name) for name in sorted(OLD)),
        )
        assert (scan["warnings"], scan["size"]) == ([], total(OLD))
        assert path == str(snapshot_of(cache, repo))
        assert files == [str(snapshot_of(cache, repo) / name) for name in sorted(OLD)]
    shell(hub).run("org/model", "--cache", **plain).check()
    assert fetched(hub) == []
    assert [entry.what for entry in hub.log] == ["revision"] * 2
    Library.at(hub, place, **plain).hf("cache", "verify", "org/model").check()


@pytest.mark.parametrize("links", ["still off", "on again"])
def test_without_links_hfdl_finds_what_the_library_put(
    serve: Serve, shell: OpenShell, place: Path, links: str
) -> None:
    repo, cache = HostedRepo.from_files("org/model", OLD), place / "cache"
    hub = serve(repo)
    plain = {"HF_HUB_DISABLE_SYMLINKS": "1", "HF_HUB_CACHE": str(cache)}
    Library.at(hub, place, **plain).calls(call("snapshot_download", "org/model"))
    check_snapshot(cache, repo, linked=False)
    before = theirs(cache)
    now = plain if links == "still off" else {"HF_HUB_CACHE": str(cache)}
    for _ in range(2):
        hub.log.clear()
        shell(hub).run("org/model", "--cache", **now).check()
        assert [entry.what for entry in hub.log] == ["revision"]
    assert theirs(cache) == before
    repo.commit(NEW)
    hub.log.clear()
    shell(hub).run("org/model", "--cache", **now).check()
    assert fetched(hub) == ["README.md", "extra.safetensors"]
    [path] = Library.at(hub, place, **now).calls(call("snapshot_download", "org/model"))
    assert path == str(snapshot_of(cache, repo))
    check_blobs(cache, repo)


# -- where it is -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({"HF_HOME": "h"}, "h/hub", id="HF_HOME"),
        pytest.param({"HF_HUB_CACHE": "c", "HF_HOME": "h"}, "c", id="HF_HUB_CACHE"),
        pytest.param({"HUGGINGFACE_HUB_CACHE": "o", "HF_HOME": "h"}, "o", id="the old name"),
        pytest.param({"XDG_CACHE_HOME": "x"}, "x/huggingface/hub", id="XDG_CACHE_HOME"),
        pytest.param({"HOME": "u"}, "u/.cache/huggingface/hub", id="nothing set"),
    ],
)
def test_the_cache_is_where_the_library_looks(
    serve: Serve,
    shell: OpenShell,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    expected: str,
) -> None:
    repo = HostedRepo.from_files("org/model", {"config.json": b"{}"})
    hub = serve(repo)
    monkeypatch.delenv("HF_HOME")
    environment = {name: str(place / value) for name, value in variables.items()}
    out = shell(hub).run("org/model", "--cache", "-q", **environment).check().out
    assert out.strip() == str(snapshot_of(place / expected, repo))
    [found] = Library.at(hub, place, **environment, HF_HUB_OFFLINE="1").calls(
        call("snapshot_download", "org/model")
    )
    assert found == out.strip()


# -- what is wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_a_wrong_blob_of_the_library_is_found_on_first_use_named_and_replaced(
    serve: Serve, shell: OpenShell, place: Path, name: str
) -> None:
    repo, cache = HostedRepo.from_files("org/model", OLD), place / "cache"
    hub = serve(repo)
    library = Library.at(hub, place, HF_HUB_CACHE=str(cache))
    library.calls(call("snapshot_download", "org/model"))
    flip_byte(blob_of(cache, repo, name), 7, keep_mtime=True)
    library.calls(call("snapshot_download", "org/model"))  # which does not notice
    hub.log.clear()
    ended = shell(hub).run("org/model", "--cache-dir", cache, "--json").check()
    assert len(fetched(hub)) == 1
    assert set(fetched(hub)) <= (TWINS if name in TWINS else {name})
    assert name in " ".join(ended.report["warnings"])
    check_blobs(cache, repo)
    check_snapshot(cache, repo)
    hub.log.clear()
    again = shell(hub).run("org/model", "--cache-dir", cache, "--json").check().report
    assert (fetched(hub), again["warnings"]) == ([], [])
    library.hf("cache", "verify", "org/model").check()


def test_verify_finds_what_is_wrong_and_repairs_it(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = HostedRepo.from_files("org/model", OLD)
    hub = serve(repo)
    library = Library.at(hub, place)
    here = shell(hub)
    here.run("org/model", "--cache").check()
    cache = Path(library.variables["HF_HOME"]) / "hub"
    here.run("verify", "org/model", "--cache").check()
    rotten = blob_of(cache, repo, "tokenizer/vocab.txt")
    flip_byte(rotten, 100, keep_mtime=True)
    blob_of(cache, repo, "config.json").unlink()  # a link to nowhere
    hub.log.clear()

    ended = here.run("verify", "org/model", "--cache").check(6)
    assert "tokenizer/vocab.txt" in ended.out + ended.err
    found = statuses(here.run("verify", "org/model", "--cache", "--json").check(6).report)
    assert found == {**dict.fromkeys(OLD, "ok"), "tokenizer/vocab.txt": "bad",
                     "config.json": "missing"}  # fmt: skip
    assert fetched(hub) == []
    report = here.run("verify", "org/model", "--cache", "--json", "--repair").check().report
    assert statuses(report) == {**dict.fromkeys(OLD, "ok"), "tokenizer/vocab.txt": "repaired",
                                "config.json": "repaired"}  # fmt: skip
    assert report["path"] == str(snapshot_of(cache, repo))
    assert report["commit"] == head_of(repo)
    assert fetched(hub) == ["config.json", "tokenizer/vocab.txt"]
    check_snapshot(cache, repo)
    assert rotten.name in check_blobs(cache, repo)
    here.run("verify", "org/model", "--cache").check()
    library.hf("cache", "verify", "org/model").check()


def statuses(report: dict[str, Any]) -> dict[str, str]:
    return {file["path"]: file["status"] for file in report["files"]}


def test_verify_checks_what_only_the_library_has_touched(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    case, cache = Case("dataset v1"), place / "cache"
    hub = serve(case.repo)
    library = Library.at(hub, place, HF_HUB_CACHE=str(cache))
    library.calls(call("snapshot_download", "org/model", **case.options))
    words = ("verify", "datasets/org/model@v1", "--cache-dir", cache)
    shell(hub).run(*words).check()
    flip_byte(blob_of(cache, case.repo, WEIGHTS), 2 * MIB)
    found = statuses(shell(hub).run(*words, "--json").check(6).report)
    assert found == {**dict.fromkeys(OLD, "ok"), **dict.fromkeys(TWINS, "bad")}
    shell(hub).run(*words, "--repair").check()
    check_snapshot(cache, case.repo)


def test_a_repo_that_is_not_in_the_cache_cannot_be_verified(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    hub = serve(HostedRepo.from_files("org/model", OLD))
    ended = shell(hub).run("verify", "org/model", "--cache-dir", place / "none").check(4)
    assert "has nothing of org/model at main" in ended.errors[0]
    assert not (place / "none").exists()


def test_a_payload_that_repos_share_is_never_written_through(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo, cache = HostedRepo.from_files("org/model", OLD), place / "cache"
    hub = serve(repo)
    shell(hub).run("org/model", "--cache-dir", cache).check()
    blob = blob_of(cache, repo, WEIGHTS)
    payload = share(cache, blob)
    hub.log.clear()
    report = shell(hub).run("org/model", "--cache-dir", cache, "--json").check().report
    assert (fetched(hub), report["warnings"]) == ([], [])
    assert blob.is_symlink()  # right, so it stays as it is

    payload.chmod(0o644)
    flip_byte(payload, 5)
    payload.chmod(0o444)
    wrong = payload.read_bytes()
    shell(hub).run("org/model", "--cache-dir", cache).check()
    assert not blob.is_symlink()
    check_blobs(cache, repo)
    assert payload.read_bytes() == wrong  # somebody else's: replaced for us, not repaired for all


def share(cache: Path, blob: Path) -> Path:
    """Move *blob* into the store that the repos of a cache share, as the library does it."""
    name = "ab" + blob.name[2:]
    store = cache / "blobs" / "ab"
    store.mkdir(parents=True)
    (cache / "blobs" / ".huggingface-shared-blobs").write_text("1\n")
    payload = store / name
    blob.rename(payload)
    payload.chmod(0o444)
    (store / f"{name}.refs").write_text(f"{blob.relative_to(cache).as_posix()}\n")
    blob.symlink_to(Path("../../blobs/ab") / name)
    return payload


# -- offline ---------------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_offline_hfdl_says_what_is_there(
    serve: Serve, shell: OpenShell, place: Path, first: str
) -> None:
    repo, cache = HostedRepo.from_files("org/model", OLD), place / "cache"
    hub = serve(repo)
    if first == "ours":
        shell(hub).run("org/model", "--cache-dir", cache).check()
    else:
        Library.at(hub, place, HF_HUB_CACHE=str(cache)).calls(
            call("snapshot_download", "org/model")
        )
    hub.log.clear()
    words = ("org/model", "--cache-dir", cache, "--json")
    report = shell(hub).run(*words, HF_HUB_OFFLINE="1").check().report
    assert {file["status"] for file in report["files"]} == {"reused"}
    blob_of(cache, repo, "README.md").unlink()
    ended = shell(hub).run(*words[:3], HF_HUB_OFFLINE="1").check(4)
    assert "README.md" in ended.errors[0]
    assert len(hub.log) == 0
