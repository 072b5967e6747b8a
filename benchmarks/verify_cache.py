"""`hfdl verify REPO --cache-dir DIR` against a program that only hashes, on all cores.

That is `openssl dgst`, which uses the processor's instructions for SHA-256 as Python does;
`sha256sum` often does not, and stands in where there is no OpenSSL.

`python -m benchmarks.verify_cache --help`. Exits 1 when the bar is missed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from hfdl_async.core.hubcache import (
    blob_name,
    encode_tree,
    pointer_name,
    pointer_target,
    repo_folder_name,
)
from hfdl_async.core.model import GIB, MIB, Digest, ListedFile, Listing, RemoteFile
from hfdl_async.core.options import parse_size

REPO_ID, COMMIT = "bench/cached", "c" * 40
TIME_BAR = 2.0  # of the time of hashing alone: Python starts, and each cell gets its BLAKE3
HASHING = ("openssl", "dgst", "-sha256") if shutil.which("openssl") else ("sha256sum",)
MEMORY_FOLDER = Path("/dev/shm")  # a tmpfs, so that no disk is measured


def main() -> int:
    """Measure in turns, print, and return 1 if the bar was missed."""
    arguments = _arguments()
    room = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="hfdl-bench-", dir=room) as name:
        print("making the cache", file=sys.stderr)
        cache = Path(name)
        blobs = _make_cache(cache, arguments.size, arguments.files)
        ours: list[float] = []
        theirs: list[float] = []
        for turn in range(arguments.rounds):
            for measure, times in ((_verify, ours), (_hash, theirs))[:: 1 - 2 * (turn % 2)]:
                times.append(measure(cache, blobs))
                print(f"{measure.__name__[1:]}: {times[-1]:.2f} s", file=sys.stderr)
    ratio = statistics.median(ours) / statistics.median(theirs)
    for name, times in (("hfdl verify", ours), (" ".join(HASHING), theirs)):
        seconds = statistics.median(times)
        rate = arguments.size / seconds / 1e9
        print(f"{name}: {min(times):.2f} / {seconds:.2f} s min / median, {rate:.2f} GB/s")
    print(f"{ratio:.2f} of the time of hashing alone on {os.cpu_count()} cores (bar: {TIME_BAR})")
    return 0 if ratio <= TIME_BAR else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.verify_cache", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each (default 3)")
    parser.add_argument(
        "--size",
        type=lambda text: parse_size(text, bare_unit=1),
        default=4 * GIB,
        help="bytes in the cache (default 4GiB)",
    )
    parser.add_argument("--files", type=int, default=8, help="how many files (default 8)")
    return parser.parse_args()


def _make_cache(cache: Path, size: int, count: int) -> list[Path]:
    """Write a repo of *count* files as the reference client leaves it; return its blobs."""
    folder = cache / repo_folder_name(REPO_ID, "model")
    (folder / "blobs").mkdir(parents=True)
    dice, listed, blobs = random.Random(1), [], []
    for number in range(count):
        path, temporary, digest = f"part-{number:02}.safetensors", cache / "new", hashlib.sha256()
        with temporary.open("wb") as file:
            for written in range(0, size // count, MIB):
                block = dice.randbytes(min(MIB, size // count - written))
                digest.update(block)
                file.write(block)
        remote = RemoteFile(path, size // count, Digest("sha256", digest.hexdigest()))
        blobs.append(temporary.rename(folder / blob_name(remote)))
        pointer = folder / pointer_name(remote, COMMIT)
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.symlink_to(pointer_target(remote))
        listed.append(ListedFile(path, remote.size_bytes, remote.digest, pointer_id="0" * 40))
    for name, data in (
        (f"trees/{COMMIT}.json", encode_tree(Listing(COMMIT, tuple(listed)))),
        ("refs/main", COMMIT.encode()),
    ):
        assert data is not None
        (folder / name).parent.mkdir()
        (folder / name).write_bytes(data)
    return blobs


def _verify(cache: Path, _blobs: list[Path]) -> float:
    words = ("verify", REPO_ID, "--cache-dir", str(cache), "--offline", "--json")
    start = perf_counter()
    done = subprocess.run([sys.executable, "-m", "hfdl_async", *words], capture_output=True)
    seconds = perf_counter() - start
    assert done.returncode == 0, done.stderr.decode()
    statuses = [file["status"] for file in json.loads(done.stdout)["files"]]
    assert set(statuses) == {"ok"}, statuses
    return seconds


def _hash(_cache: Path, blobs: list[Path]) -> float:
    cores = os.cpu_count() or 1
    start = perf_counter()
    running = [
        subprocess.Popen([*HASHING, *blobs[core::cores]], stdout=subprocess.DEVNULL)
        for core in range(cores)
        if blobs[core::cores]
    ]
    codes = [process.wait() for process in running]
    assert not any(codes), codes
    return perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
