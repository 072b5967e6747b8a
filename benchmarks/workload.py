"""What is downloaded: groups of files, the same bytes every time; and the proof afterwards."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from hfdl_async.core.model import KIB, MIB

QUICK_SHARE = 20  # of the files, and of the bytes of large ones, with `--quick`
QUICK_LEAST_FILES = 25
LARGE_FROM_BYTES = 1 * MIB


@dataclass(frozen=True, slots=True)
class Group:
    """*count* files with sizes from *low_bytes* to *high_bytes*, both included.

    Small ones are kept in git and come in folders of *per_folder*; large ones in LFS, side by side.
    """

    count: int
    low_bytes: int
    high_bytes: int
    per_folder: int = 100

    @property
    def is_large(self) -> bool:
        """Whether the Hub would redirect to its storage for them."""
        return self.low_bytes >= LARGE_FROM_BYTES

    def paths(self) -> Iterator[str]:
        """Yield the paths of the group, in order."""
        for number in range(self.count):
            if self.is_large:
                yield f"model-{number + 1:05}-of-{self.count:05}.safetensors"
            else:
                yield f"part-{number // self.per_folder:04}/{number:07}.json"

    def scaled(self, share: int) -> Group:
        """Return the group at about one part in *share* of its size."""
        if self.is_large:
            low, high = (
                max(LARGE_FROM_BYTES, n // share) for n in (self.low_bytes, self.high_bytes)
            )
            return replace(self, low_bytes=low, high_bytes=high)
        return replace(self, count=max(QUICK_LEAST_FILES, self.count // share))


@dataclass(frozen=True, slots=True)
class Workload:
    """The files of one repo, `bench/<name>`; one that is *listed_only* has no content anywhere."""

    name: str
    groups: tuple[Group, ...]
    listed_only: bool = False

    @property
    def repo_id(self) -> str:
        """The id of the repo."""
        return f"bench/{self.name}"

    @property
    def files(self) -> int:
        """How many files there are."""
        return sum(group.count for group in self.groups)

    def paths(self) -> Iterator[str]:
        """Yield the paths of all files."""
        for group in self.groups:
            yield from group.paths()

    def scaled(self, share: int) -> Workload:
        """Return the workload at about one part in *share* of its size."""
        return replace(self, groups=tuple(group.scaled(share) for group in self.groups))


@dataclass(frozen=True, slots=True)
class Made:
    """A workload that was written below *served*: bytes in all, and the SHA-256 of each path."""

    workload: Workload
    served: Path
    size_bytes: int
    digests: dict[str, str] = field(repr=False)

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self.served / self.workload.repo_id


def make(workload: Workload, served: Path) -> Made:
    """Write the files of *workload* below *served*; of one that is only listed, none."""
    dice = random.Random(workload.name)
    digests: dict[str, str] = {}
    total = 0
    if not workload.listed_only:
        for group in workload.groups:
            for path in group.paths():
                target = served / workload.repo_id / path
                target.parent.mkdir(parents=True, exist_ok=True)
                size = dice.randint(group.low_bytes, group.high_bytes)
                digests[path] = _write_noise(target, size, dice)
                total += size
    return Made(workload, served, total, digests)


def _write_noise(target: Path, size_bytes: int, dice: random.Random) -> str:
    digest = hashlib.sha256()
    with target.open("wb") as file:
        for written in range(0, size_bytes, MIB):
            block = dice.randbytes(min(MIB, size_bytes - written))
            digest.update(block)
            file.write(block)
    return digest.hexdigest()


def differences(made: Made, folder: Path) -> list[str]:
    """Return the path of each file of *made* that *folder* has not, or has otherwise."""

    def differs(item: tuple[str, str]) -> bool:
        path, digest = item
        return not (folder / path).is_file() or sha256_of(folder / path) != digest

    with ThreadPoolExecutor() as pool:  # hashing lets go of the interpreter's lock
        wrong = pool.map(differs, made.digests.items(), chunksize=100)
        return [path for path, bad in zip(made.digests, wrong, strict=True) if bad]


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file at *path*, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(MIB):
            digest.update(block)
    return digest.hexdigest()


def small_files(count: int, *, per_folder: int = 100) -> Group:
    """Return the group of small files that all scenarios use: 1 to 64 KiB."""
    return Group(count, 1 * KIB, 64 * KIB, per_folder)


def large_files(count: int, size_bytes: int) -> Group:
    """Return *count* large files of one size."""
    return Group(count, size_bytes, size_bytes)
