"""Small repos that several tests download."""

from __future__ import annotations

import random

from hfdl_async.serving import HostedRepo

MIB = 2**20


def noise(size: int, seed: int = 1) -> bytes:
    """Return *size* bytes that no compression and no zero check can make smaller."""
    return random.Random(seed).randbytes(size)


def small_files() -> dict[str, bytes]:
    """Return what a tiny model repo has: text, one shard, an empty file, a twin."""
    shard = noise(3 * MIB)
    return {
        "config.json": b'{"model_type": "tiny"}',
        "nested/vocab.txt": b"hello\nworld\n",
        "nested/empty.txt": b"",
        "model.safetensors": shard,
        "copy/model.safetensors": shard,
        "README.md": b"# tiny\n",
    }


def tiny_repo(repo_id: str = "org/tiny") -> HostedRepo:
    """Return a repo of the files above."""
    return HostedRepo.from_files(repo_id, small_files())


def big_repo(size: int = 40 * MIB, repo_id: str = "org/big") -> HostedRepo:
    """Return a repo of one shard that is worth several requests."""
    files = {"config.json": b"{}", "model.safetensors": noise(size, 7)}
    return HostedRepo.from_files(repo_id, files)
