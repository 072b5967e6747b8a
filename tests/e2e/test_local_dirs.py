"""Folders that several programs fill, and content that is on this machine already."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from hfdl_async.core.model import MIB
from hfdl_async.serving import HostedRepo
from hfdl_async.serving.content import Content
from hfdl_async.testing.faults import ScriptedHub
from tests.e2e.cachestage import Library, blob_of, call, head_of, snapshot_of
from tests.e2e.conftest import OpenShell, Serve
from tests.e2e.stage import (
    STATE,
    WEIGHTS,
    check_complete,
    content_requests,
    files_of,
    final_files,
    flip_byte,
    noise,
    payload,
    size_of,
)

pytestmark = pytest.mark.e2e

OLD: Mapping[str, bytes | Content] = {
    "README.md": b"# first\n",
    "config.json": b'{"model_type": "noise"}\n',
    "tokenizer/vocab.txt": b"a\nb\nc\n" * 9_000,
    "tokenizer/gone/merges.txt": b"a b\n" * 100,
    "gone.bin": noise("gone", 2 * MIB),
    WEIGHTS: noise("first", 3 * MIB),
}
NEW: Mapping[str, bytes | Content] = {
    "README.md": b"# second\n",
    "config.json": b'{"model_type": "noise"}\n',
    "tokenizer/vocab.txt": b"a\nb\nc\n" * 9_000,
    "renamed.safetensors": noise("first", 3 * MIB),
    WEIGHTS: noise("second", 3 * MIB),
}
GONE = {"tokenizer/gone/merges.txt", "gone.bin"}
DEAD = "http://127.0.0.1:9"


def old_repo() -> HostedRepo:
    return HostedRepo.from_files("org/model", OLD)


def library_call(folder: Path, **options: object) -> tuple[str, list[object], dict[str, object]]:
    return call("snapshot_download", "org/model", local_dir=str(folder), **options)


def fill_by_library(hub: ScriptedHub, place: Path) -> Path:
    """Return a folder that the reference client filled."""
    folder = place / "d"
    assert Library.at(hub, place).calls(library_call(folder)) == [str(folder)]
    hub.log.clear()
    return folder


class TestWhatWeFilled:
    def test_the_library_has_nothing_to_do_for_a_commit(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        hub = serve(old_repo())
        commit = head_of(old_repo())
        shell(hub).run("org/model", "--local-dir", "d").check()
        dead = Library(place, {"HF_ENDPOINT": DEAD})
        assert dead.calls(library_call(place / "d", revision=commit)) == [str(place / "d")]
        check_complete(place / "d", old_repo())
        # Without the records it has to ask: this test would notice if they were not needed.
        shutil.rmtree(place / "d" / ".cache")
        hub.log.clear()
        Library.at(hub, place).calls(library_call(place / "d", revision=commit))
        assert len(hub.log) > 0

    def test_the_library_asks_once_what_a_branch_is(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        hub = serve(old_repo())
        shell(hub).run("org/model", "--local-dir", "d").check()
        hub.log.clear()
        assert Library.at(hub, place).calls(library_call(place / "d")) == [str(place / "d")]
        assert [(entry.kind, entry.what) for entry in hub.log] == [("api", "revision")]

    def test_of_a_subset_the_library_fetches_the_rest_only(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        hub = serve(old_repo())
        shell(hub).run("org/model", WEIGHTS, "README.md", "--local-dir", "d").check()
        hub.log.clear()
        Library.at(hub, place).calls(library_call(place / "d"))
        asked = {path for path in files_of(old_repo()) for one in content_requests(hub)
                 if one.endswith(path)}  # fmt: skip
        assert asked == files_of(old_repo()).keys() - {WEIGHTS, "README.md"}
        hub.log.clear()
        shell(hub).run("org/model", "--local-dir", "d", "--json").check()
        assert payload(hub) == 0

    def test_the_records_of_an_update_are_those_of_the_new_commit(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        repo = old_repo()
        hub = serve(repo)
        shell(hub).run("org/model", "--local-dir", "d").check()
        commit = repo.commit(NEW)
        shell(hub).run("org/model", "--local-dir", "d", "--prune").check()
        dead = Library(place, {"HF_ENDPOINT": DEAD})
        assert dead.calls(library_call(place / "d", revision=commit)) == [str(place / "d")]

    def test_files_of_the_repo_where_records_lie_are_left_alone(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        files = {"a.txt": b"a", ".cache/huggingface/download/a.txt.metadata": b"the repo's own"}
        hub = serve(HostedRepo.from_files("org/odd", files))
        for _ in range(2):
            ended = shell(hub).run("org/odd", "--local-dir", "d", "--json").check()
            assert ended.report["warnings"] == []
        found = {path.relative_to(place / "d").as_posix(): path.read_bytes()
                 for path in (place / "d").rglob("*")
                 if path.is_file() and STATE not in path.parts}  # fmt: skip
        assert found == files

    def test_records_never_go_through_a_link(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        hub = serve(old_repo())
        (place / "outside").mkdir()
        (place / "d").mkdir()
        (place / "d" / ".cache").symlink_to(place / "outside")
        report = shell(hub).run("org/model", "--local-dir", "d", "--json").check().report
        assert os.listdir(place / "outside") == []
        assert "`hf download` will not know these files" in report["warnings"][-1]


class TestWhatOthersFilled:
    def test_a_folder_of_the_library_is_adopted(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        hub = serve(old_repo())
        folder = fill_by_library(hub, place)
        report = shell(hub).run("org/model", "--local-dir", "d", "--json").check().report
        assert payload(hub) == 0
        assert report["bytes"]["reused"] == size_of(old_repo())
        check_complete(folder, old_repo())
        assert shell().run("status", "d").check().out.count("6 files") == 1
        shell(hub).run("verify", "d").check()

    def test_a_folder_of_the_library_is_brought_to_a_new_commit(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        repo = old_repo()
        hub = serve(repo)
        folder = fill_by_library(hub, place)
        repo.commit(NEW)
        planned = shell(hub).run("plan", "org/model", "--local-dir", "d", "--json").check().report
        assert planned["plan"]["problems"] == []
        shell(hub).run("org/model", "--local-dir", "d").check()
        assert {name: path.read_bytes() for name, path in final_files(folder).items()
                if name in ("README.md", "config.json")} == {
            name: NEW[name] for name in ("README.md", "config.json")}  # fmt: skip
        assert payload(hub) <= 6 * MIB + 100  # the unchanged vocabulary is not among it

    @pytest.mark.parametrize("case", ["changed", "newer", "malformed", "missing", "of another"])
    def test_what_a_record_does_not_vouch_for_is_somebodys(
        self, serve: Serve, shell: OpenShell, place: Path, case: str
    ) -> None:
        repo = old_repo()
        hub = serve(repo)
        folder = fill_by_library(hub, place)
        record, file = (
            folder / ".cache/huggingface/download/README.md.metadata",
            folder / "README.md",
        )
        before = file.stat()
        if case == "changed":  # and the time is set back
            file.write_bytes(b"# FIRST\n")
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        elif case == "newer":
            os.utime(file, (time.time() + 60, time.time() + 60))
        elif case == "malformed":
            record.write_text("what\nis\nthis\n")
        elif case == "of another":
            record.write_text(
                record.read_text().replace(record.read_text().split("\n")[1], "0" * 40)
            )
        else:
            record.unlink()
        repo.commit(NEW)
        kept = file.read_bytes()
        ended = shell(hub).run("org/model", "--local-dir", "d").check(8)
        assert "README.md: another file of this name is here" in ended.err
        assert WEIGHTS not in ended.err
        assert file.read_bytes() == kept
        assert payload(hub) == 0

    def test_a_file_of_ours_that_the_library_updated_is_no_obstacle(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        repo = old_repo()
        hub = serve(repo)
        shell(hub).run("org/model", "--local-dir", "d").check()
        repo.commit({**NEW, "README.md": b"# in between\n"})
        fill_by_library(hub, place)
        repo.commit(NEW)
        shell(hub).run("org/model", "--local-dir", "d").check()
        assert (place / "d/README.md").read_bytes() == NEW["README.md"]

    def test_a_clone_with_lfs_is_adopted_and_its_pointers_are_replaced(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        repo = old_repo()
        hub = serve(repo)
        shell(hub).run("org/model", "--local-dir", "d").check()
        clone = place / "clone"
        for name, path in final_files(place / "d").items():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, clone / name)
        (clone / ".git" / "refs").mkdir(parents=True)
        (clone / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
        weights = files_of(repo)[WEIGHTS]
        pointer = (
            "version https://git-lfs.github.com/spec/v1\n"
            f"oid sha256:{weights.digest.hex}\nsize {weights.size}\n"
        )
        hub.log.clear()
        shell(hub).run("org/model", "--local-dir", "clone").check()
        assert payload(hub) == 0

        shutil.rmtree(clone / STATE)
        (clone / WEIGHTS).write_text(pointer)
        (place / "d" / WEIGHTS).unlink()  # else the content would be found by nobody's help
        shell(hub).run("org/model", "--local-dir", "clone").check()
        assert payload(hub) == weights.size
        assert (clone / WEIGHTS).stat().st_size == weights.size
        assert (clone / ".git" / "HEAD").read_text() == "ref: refs/heads/main\n"

        shutil.rmtree(clone / STATE)
        (clone / WEIGHTS).write_text(pointer.replace(weights.digest.hex, "0" * 64))
        assert WEIGHTS in shell(hub).run("org/model", "--local-dir", "clone").check(8).err


class TestReuse:
    @pytest.mark.parametrize("how", ["clone", "hard", "copy"])
    def test_from_the_cache_into_a_folder(
        self, serve: Serve, shell: OpenShell, place: Path, how: str
    ) -> None:
        repo = old_repo()
        hub, cache = serve(repo), place / "hub"
        environment = {"HF_HUB_CACHE": str(cache)}
        shell(hub).run("org/model", "--cache", **environment).check()
        hub.log.clear()
        words = ("org/model", "--local-dir", "d", "--link", how, "--json")
        plan = shell(hub).run("plan", *words, **environment).check().report["plan"]
        written = 0 if how == "hard" else size_of(repo)
        assert (plan["bytes_to_fetch"], plan["bytes_to_reuse"]) == (0, size_of(repo))
        assert plan["bytes_to_write"] == written
        report = shell(hub).run(*words, **environment).check().report
        assert payload(hub) == 0
        assert (report["bytes"]["downloaded"], report["bytes"]["reused"]) == (0, size_of(repo))
        check_complete(place / "d", repo)
        blob = blob_of(cache, repo, WEIGHTS)
        assert ((place / "d" / WEIGHTS).stat().st_ino == blob.stat().st_ino) is (how == "hard")
        # What is one file for both is no reason to read it again here.
        again = shell(hub).run("org/model", "--local-dir", "d", "--json", **environment)
        assert again.check().report["bytes"]["reused"] == size_of(repo)
        check_complete(place / "d", repo)

    @pytest.mark.parametrize("source", ["hfdl", "cache", "local dir", "plain"])
    def test_from_a_named_folder_into_the_cache(
        self, serve: Serve, shell: OpenShell, place: Path, source: str
    ) -> None:
        repo = old_repo()
        hub = serve(repo)
        if source == "hfdl":
            shell(hub).run("org/model", "--local-dir", "d").check()
        elif source == "cache":
            Library.at(hub, place, HF_HUB_CACHE=str(place / "d")).calls(
                call("snapshot_download", "org/model")
            )
        else:
            fill_by_library(hub, place)
        if source == "plain":
            shutil.rmtree(place / "d" / ".cache")
        hub.log.clear()
        words = ("org/model", "--cache-dir", "hub", "--reuse-from", "d", "--json")
        report = shell(hub).run(*words).check().report
        assert payload(hub) == 0
        assert report["bytes"]["reused"] == size_of(repo)
        library = Library.at(hub, place, HF_HUB_CACHE=str(place / "hub"), HF_HUB_OFFLINE="1")
        found = library.calls(call("snapshot_download", "org/model"))
        assert found == [str(snapshot_of(place / "hub", repo))]

    def test_a_wrong_blob_is_neither_taken_over_nor_a_failure(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        repo = old_repo()
        hub, cache = serve(repo), place / "hub"
        environment = {"HF_HUB_CACHE": str(cache)}
        shell(hub).run("org/model", "--cache", **environment).check()
        blob = blob_of(cache, repo, WEIGHTS)
        flip_byte(blob, MIB, keep_mtime=True)
        damaged = blob.read_bytes()
        hub.log.clear()
        for how in ("clone", "hard"):
            shell(hub).run("org/model", "--local-dir", how, "--link", how, **environment).check()
            check_complete(place / how, repo)
        assert payload(hub) == 2 * files_of(repo)[WEIGHTS].size
        assert blob.read_bytes() == damaged  # it is not this run's to repair

    def test_a_renamed_file_is_not_fetched_again(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        repo = old_repo()
        hub = serve(repo)
        shell(hub).run("org/model", "--local-dir", "d").check()
        repo.commit({**OLD, "renamed.bin": noise("gone", 2 * MIB)})
        hub.log.clear()
        shell(hub).run("org/model", "--local-dir", "d").check()
        assert payload(hub) == 0
        check_complete(place / "d", repo)

    def test_a_folder_that_is_not_there_is_a_mistake(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        hub = serve(old_repo())
        ended = shell(hub).run("org/model", "--local-dir", "d", "--reuse-from", "typo").check(2)
        assert f"--reuse-from: there is no folder {place / 'typo'}" in ended.err
        assert len(hub.log) == 0
        assert os.listdir(place) == []


class TestPrune:
    def test_what_the_repo_no_longer_has_goes(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        repo = old_repo()
        hub = serve(repo)
        shell(hub).run("org/model", "--local-dir", "d").check()
        repo.commit(NEW)
        words = ("org/model", "--local-dir", "d", "--prune", "--json")
        planned = shell(hub).run("plan", *words).check().report
        assert set(planned["plan"]["to_remove"]) == GONE
        assert "gone.bin" in shell(hub).run("plan", *words[:-1]).check().out
        assert (place / "d/gone.bin").exists()

        report = shell(hub).run(*words).check().report
        assert [text for text in report["warnings"] if "removed 2 files" in text]
        check_complete(place / "d", repo)
        assert not (place / "d/tokenizer/gone").exists()
        assert (place / "d/tokenizer").is_dir()
        verified = shell(hub).run("verify", "d", "--json").check().report
        assert {file["path"] for file in verified["files"]} == NEW.keys()
        assert verified["warnings"] == []
        status = json.loads(shell().run("status", "d", "--json").check().out)
        assert status["folders"][0]["complete"]["files"] == len(NEW)
        assert not (place / "d/.cache/huggingface/download/gone.bin.metadata").exists()

    def test_without_it_they_stay_and_are_named(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        repo = old_repo()
        hub = serve(repo)
        shell(hub).run("org/model", "--local-dir", "d").check()
        repo.commit(NEW)
        report = shell(hub).run("org/model", "--local-dir", "d", "--json").check().report
        named = [text for text in report["warnings"] if "no longer in the repo" in text]
        assert all(path in named[0] for path in GONE)
        assert final_files(place / "d").keys() == NEW.keys() | GONE

    def test_what_is_not_ours_untouched_or_outdated_stays(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        repo = old_repo()
        hub = serve(repo)
        shell(hub).run("org/model", "--local-dir", "d").check()
        (place / "d/gone.bin").write_bytes(b"mine now")
        (place / "d/tokenizer/gone/notes.txt").write_bytes(b"mine")
        repo.commit(NEW)
        words = ("org/model", "README.md", "--local-dir", "d", "--prune", "--json")
        report = shell(hub).run(*words).check().report
        assert any("kept, since somebody changed" in text and "gone.bin" in text
                   for text in report["warnings"])  # fmt: skip
        expected = (OLD.keys() - GONE) | {"gone.bin", "tokenizer/gone/notes.txt"}
        assert final_files(place / "d").keys() == expected

    def test_a_run_that_fails_removes_nothing(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        repo = old_repo()
        hub = serve(repo)
        shell(hub).run("org/model", "--local-dir", "d").check()
        repo.commit(NEW)
        (place / "d" / "README.md").write_bytes(b"mine now")
        shell(hub).run("org/model", "--local-dir", "d", "--prune").check(8)
        assert final_files(place / "d").keys() == OLD.keys()

    def test_the_cache_is_not_pruned(self, serve: Serve, shell: OpenShell) -> None:
        hub = serve(old_repo())
        ended = shell(hub).run("org/model", "--cache", "--prune").check(2)
        assert "prune is for folders" in ended.err
        assert len(hub.log) == 0

    def test_a_rename_by_hard_link_leaves_one_name(
        self, serve: Serve, shell: OpenShell, place: Path
    ) -> None:
        repo = old_repo()
        hub = serve(repo)
        shell(hub).run("org/model", "--local-dir", "d").check()
        repo.commit({"config.json": OLD["config.json"], "renamed.bin": OLD["gone.bin"]})
        hub.log.clear()
        shell(hub).run("org/model", "--local-dir", "d", "--prune", "--link", "hard").check()
        assert payload(hub) == 0
        check_complete(place / "d", repo)
        assert (place / "d/renamed.bin").stat().st_nlink == 1
