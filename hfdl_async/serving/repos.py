"""What is served: files with their digests, commits of them, and the names of commits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hfdl_async.core.model import MB, Digest, RepoType
from hfdl_async.serving.content import (
    BytesContent,
    Content,
    content_of_file,
    git_sha1_of,
    sha256_of,
)

Gate = Literal[False, "auto", "manual"]

LFS_THRESHOLD_BYTES = 10 * MB  # the Hub refuses larger files in plain git
LFS_SUFFIXES = (".bin", ".safetensors", ".gguf", ".pt", ".onnx", ".parquet", ".msgpack", ".h5")
_LICENSE_STEMS = ("license", "licence", "readme")


@dataclass(frozen=True, slots=True)
class LfsFacts:
    """What git holds in place of a large file, and what the storage calls it."""

    sha256: str
    pointer_size: int
    xet_hash: str


@dataclass(frozen=True, slots=True)
class HostedFile:
    """One file of a commit. `oid` is what git knows: the blob's id, or that of the LFS pointer."""

    path: str
    content: Content
    oid: str
    lfs: LfsFacts | None = None

    @property
    def size(self) -> int:
        """Bytes of the real content."""
        return self.content.size

    @property
    def etag(self) -> str:
        """The hash that the Hub publishes for the content: SHA-256 (LFS) or the git blob id."""
        return self.lfs.sha256 if self.lfs else self.oid

    @property
    def digest(self) -> Digest:
        """The same as a digest, for comparisons in tests."""
        return Digest("sha256" if self.lfs else "git-sha1", self.etag)

    @property
    def is_public_in_gated_repo(self) -> bool:
        """Whether even a gated repo shows this file to everybody: its card and its licence."""
        return self.path.lower().split(".", 1)[0] in _LICENSE_STEMS


def host_file(path: str, content: Content, *, lfs: bool) -> HostedFile:
    """Return *content* under *path* with the digests git, LFS and Xet would give it."""
    if not lfs:
        return HostedFile(path, content, git_sha1_of(content))
    sha256 = sha256_of(content)
    pointer = BytesContent(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n"
        % (sha256.encode(), content.size)
    )
    # The real one is a Merkle hash over chunks; what matters here: 64 hex and not the SHA-256.
    xet_hash = hashlib.sha256(b"xet:" + sha256.encode()).hexdigest()
    return HostedFile(path, content, git_sha1_of(pointer), LfsFacts(sha256, pointer.size, xet_hash))


def is_lfs(path: str, size: int, *, threshold_bytes: int = LFS_THRESHOLD_BYTES) -> bool:
    """Tell whether the Hub would keep such a file in LFS: by its name, or by its size."""
    return size >= threshold_bytes or (size > 0 and path.endswith(LFS_SUFFIXES))


def host_files(
    contents: Mapping[str, Content], *, threshold_bytes: int = LFS_THRESHOLD_BYTES
) -> list[HostedFile]:
    """Return hosted files for *contents* by path; digests are computed on all cores."""

    def host(item: tuple[str, Content]) -> HostedFile:
        path, content = item
        return host_file(
            path, content, lfs=is_lfs(path, content.size, threshold_bytes=threshold_bytes)
        )

    # Threads help large contents only (hashlib lets go of the lock); thousands of small ones not.
    large = [item for item in contents.items() if item[1].size >= MB]
    small = [item for item in contents.items() if item[1].size < MB]
    hosted = [host(item) for item in small]
    if large:
        with ThreadPoolExecutor() as pool:
            hosted += pool.map(host, large)
    return hosted


@dataclass(eq=False)
class Commit:
    """One state of a repo. `pages` keeps what answers were made of it, by their parameters."""

    oid: str
    files: Mapping[str, HostedFile]
    pages: dict[object, object] = field(default_factory=dict)


@dataclass(eq=False)
class HostedRepo:
    """A repo: its commits, and the names by which they can be asked for.

    `refs` maps full ref names (`refs/heads/main`, `refs/tags/v1`, `refs/pr/1`) to commit ids and
    may change while it is served. `direct` answers small files with 200 instead of a redirect,
    as gated and private repos (and mirrors) do.
    """

    repo_id: str
    repo_type: RepoType = "model"
    private: bool = False
    gated: Gate = False
    disabled: bool = False
    direct: bool = False
    renamed_from: tuple[str, ...] = ()
    commits: dict[str, Commit] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_files(
        cls,
        repo_id: str,
        files: Mapping[str, bytes | Content],
        *,
        repo_type: RepoType = "model",
        lfs_threshold_bytes: int = LFS_THRESHOLD_BYTES,
        private: bool = False,
        gated: Gate = False,
        direct: bool = False,
        renamed_from: tuple[str, ...] = (),
    ) -> HostedRepo:
        """Return a repo whose branch main has one commit with *files*."""
        repo = cls(
            repo_id,
            repo_type,
            private=private,
            gated=gated,
            direct=direct,
            renamed_from=renamed_from,
        )
        repo.commit(files, lfs_threshold_bytes=lfs_threshold_bytes)
        return repo

    @classmethod
    def from_folder(
        cls,
        repo_id: str,
        folder: Path,
        *,
        repo_type: RepoType = "model",
        lfs_threshold_bytes: int = LFS_THRESHOLD_BYTES,
        private: bool = False,
        gated: Gate = False,
    ) -> HostedRepo:
        """Return a repo whose branch main has what *folder* holds now, read when it is asked for.

        Raises:
            OSError: the folder, or a file in it, cannot be read.
        """
        contents = {
            path.relative_to(folder).as_posix(): content_of_file(path)
            for path in sorted(folder.rglob("*"))
            if path.is_file() and ".git" not in path.relative_to(folder).parts
        }
        return cls.from_files(
            repo_id,
            contents,
            repo_type=repo_type,
            lfs_threshold_bytes=lfs_threshold_bytes,
            private=private,
            gated=gated,
        )

    def commit(
        self,
        files: Mapping[str, bytes | Content],
        *,
        branch: str | None = "main",
        lfs_threshold_bytes: int = LFS_THRESHOLD_BYTES,
    ) -> str:
        """Add a commit with exactly *files*, move *branch* to it, return its id."""
        contents: dict[str, Content] = {
            path: BytesContent(content) if isinstance(content, bytes) else content
            for path, content in files.items()
        }
        return self.commit_hosted(
            host_files(contents, threshold_bytes=lfs_threshold_bytes), branch=branch
        )

    def commit_hosted(self, files: Iterable[HostedFile], *, branch: str | None = "main") -> str:
        """Add a commit of *files* whose digests are known already, return its id."""
        by_path = {file.path: file for file in sorted(files, key=lambda file: file.path)}
        identity = hashlib.sha1(
            f"{self.repo_type}:{self.repo_id}:{len(self.commits)}".encode(), usedforsecurity=False
        )
        for file in by_path.values():
            identity.update(f"{file.oid} {file.path}\0".encode())
        oid = identity.hexdigest()
        self.commits[oid] = Commit(oid, by_path)
        if branch is not None:
            self.move(branch, oid)
        return oid

    def move(self, branch: str, commit: str) -> None:
        """Let *branch* name *commit* from now on (it is created when it is new)."""
        self.refs[f"refs/heads/{branch}"] = commit

    def tag(self, name: str, commit: str) -> None:
        """Give *commit* a tag."""
        self.refs[f"refs/tags/{name}"] = commit

    def pull_request(self, number: int, commit: str) -> None:
        """Let `refs/pr/<number>` name *commit*."""
        self.refs[f"refs/pr/{number}"] = commit

    def forget(self, commit: str) -> None:
        """Drop a commit as a force-push does; refs to it dangle until they are moved."""
        del self.commits[commit]

    def resolve(self, revision: str) -> Commit | None:
        """Return the commit that a branch, tag, full ref, commit id or its beginning names."""
        for name in (f"refs/heads/{revision}", f"refs/tags/{revision}", revision):
            if name in self.refs:
                return self.commits.get(self.refs[name])
        if revision in self.commits:
            return self.commits[revision]
        if len(revision) >= 7:
            matching = [oid for oid in self.commits if oid.startswith(revision)]
            if len(matching) == 1:
                return self.commits[matching[0]]
        return None

    @property
    def head(self) -> Commit | None:
        """The commit of the default branch."""
        return self.resolve("main")

    @property
    def internal_id(self) -> str:
        """The 24 hex digits that storage URLs name a repo by."""
        name = f"{self.repo_type}/{self.repo_id}".encode()
        return hashlib.sha1(name, usedforsecurity=False).hexdigest()[:24]

    @property
    def is_open(self) -> bool:
        """Whether anybody may read everything."""
        return not (self.private or self.gated)
