"""What is downloaded: one large file, and thousands of small ones; and the proof afterwards."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hfdl_async.core.model import KIB, MIB

SMALLEST_BYTES, LARGEST_BYTES = 1 * KIB, 64 * KIB


@dataclass(frozen=True, slots=True)
class Workload:
    """One repo: its id, and the SHA-256 of every file by path."""

    repo_id: str
    size_bytes: int
    digests: dict[str, str] = field(repr=False)


def make_big(folder: Path, size_bytes: int) -> Workload:
    """Write the repo with one large file below *folder*."""
    repo_id, path = "bench/big", "model.safetensors"
    dice = random.Random(1)
    target = folder / repo_id / path
    target.parent.mkdir(parents=True)
    with target.open("wb") as file:
        for written in range(0, size_bytes, MIB):
            file.write(dice.randbytes(min(MIB, size_bytes - written)))
    return Workload(repo_id, size_bytes, {path: _sha256(target)})


def make_small(folder: Path, count: int) -> Workload:
    """Write the repo with *count* files of 1 to 64 KiB below *folder*, a hundred to a folder."""
    repo_id = "bench/small"
    dice = random.Random(2)
    digests: dict[str, str] = {}
    total = 0
    for number in range(count):
        path = f"part-{number // 100:03}/{number:05}.json"
        target = folder / repo_id / path
        target.parent.mkdir(parents=True, exist_ok=True)
        content = dice.randbytes(dice.randint(SMALLEST_BYTES, LARGEST_BYTES))
        target.write_bytes(content)
        digests[path] = hashlib.sha256(content).hexdigest()
        total += len(content)
    return Workload(repo_id, total, digests)


def differences(workload: Workload, folder: Path) -> Iterator[str]:
    """Yield the path of each file of *workload* that *folder* has not, or has otherwise."""
    for path, digest in workload.digests.items():
        if not (folder / path).is_file() or _sha256(folder / path) != digest:
            yield path


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(MIB):
            digest.update(block)
    return digest.hexdigest()
