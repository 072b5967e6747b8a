from __future__ import annotations

import hashlib
from pathlib import Path

from hfdl_async.core.model import Digest
from hfdl_async.serving.content import BytesContent
from hfdl_async.serving.repos import HostedRepo, host_file, is_lfs

HELLO = "ce013625030ba8dba906f756967f9e9ca394464a"  # what git calls b"hello\n"


def test_a_small_file_is_known_by_its_git_id() -> None:
    file = host_file("a.txt", BytesContent(b"hello\n"), lfs=False)
    assert file.oid == file.etag == HELLO
    assert file.digest == Digest("git-sha1", HELLO)


def test_a_large_file_is_known_by_sha256_and_git_knows_its_pointer_only() -> None:
    data = b"weights"
    sha256 = hashlib.sha256(data).hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize 7\n".encode()
    file = host_file("a.bin", BytesContent(data), lfs=True)
    assert file.lfs is not None
    assert file.digest == Digest("sha256", sha256)
    assert file.lfs.pointer_size == len(pointer)
    assert file.oid == hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest()
    assert len(file.lfs.xet_hash) == 64
    assert file.lfs.xet_hash != sha256


def test_lfs_is_decided_by_name_or_size_and_never_for_empty_files() -> None:
    assert is_lfs("a.safetensors", 10)
    assert is_lfs("a.txt", 100, threshold_bytes=100)
    assert not is_lfs("a.txt", 99, threshold_bytes=100)
    assert not is_lfs("a.bin", 0)


def test_a_revision_may_be_a_branch_a_tag_a_ref_a_commit_or_its_beginning() -> None:
    repo = HostedRepo.from_files("o/n", {"f": b"1"})
    first = repo.refs["refs/heads/main"]
    repo.tag("v1", first)
    repo.pull_request(7, first)
    second = repo.commit({"f": b"2"})
    for revision in ("v1", "refs/tags/v1", "refs/pr/7", first, first[:7]):
        commit = repo.resolve(revision)
        assert commit is not None, revision
        assert commit.oid == first
    assert repo.head is repo.commits[second]
    assert repo.resolve("none") is None
    assert repo.resolve(first[:6]) is None


def test_a_branch_moves_back_and_a_commit_can_be_lost() -> None:
    repo = HostedRepo.from_files("o/n", {"f": b"1"})
    first = repo.refs["refs/heads/main"]
    repo.commit({"f": b"2"})
    repo.move("main", first)
    assert repo.head is repo.commits[first]
    repo.forget(first)
    assert repo.head is None


def test_commits_of_equal_content_are_different_commits() -> None:
    repo = HostedRepo.from_files("o/n", {"f": b"1"})
    repo.commit({"f": b"1"})
    assert len(repo.commits) == 2


def test_a_folder_is_served_without_its_git_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.txt").write_bytes(b"a")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_bytes(b"secret")
    head = HostedRepo.from_folder("o/n", tmp_path).head
    assert head is not None
    assert list(head.files) == ["sub/a.txt"]


def test_card_and_licence_are_public_in_a_gated_repo() -> None:
    files = [
        host_file(name, BytesContent(b""), lfs=False) for name in ("README.md", "LICENSE", "a")
    ]
    assert [file.is_public_in_gated_repo for file in files] == [True, True, False]
