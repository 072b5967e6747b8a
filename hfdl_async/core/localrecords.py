"""What the reference client notes of the files it puts into a plain folder: no disk in here.

It keeps a record for each file below `.cache/huggingface/download/`, believes it for as long as the
file is not newer than the record, and then asks nobody about that file at its commit. The format is
that of `huggingface_hub` 2.x and is checked against it by `tests/e2e/test_local_dirs.py`.

Records are anybody's. They say where content may have come from, never that it is right.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from hfdl_async.core.hubcache import digest_of_blob
from hfdl_async.core.model import Digest
from hfdl_async.core.names import is_commit

RECORDS_FOLDER = ".cache/huggingface"
DOWNLOADS_FOLDER = f"{RECORDS_FOLDER}/download"
TREES_FOLDER = f"{RECORDS_FOLDER}/trees"
GITIGNORE = b"*"
MAX_RECORD_BYTES = 4096
MAX_POINTER_BYTES = 1024  # git-lfs itself takes nothing larger for a pointer

_NS = 1_000_000_000
_POINTER_HEAD = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER_DIGEST = re.compile(rb"oid sha256:([0-9a-f]{64})")
_POINTER_SIZE = re.compile(rb"size ([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class LocalRecord:
    """At *timestamp* (UNIX seconds) the file was *etag* of *commit*."""

    commit: str
    etag: str
    timestamp: float

    @property
    def digest(self) -> Digest | None:
        """The digest that the etag is: of a git blob or of the content; None for another kind."""
        return digest_of_blob(self.etag)

    def covers(self, mtime_ns: int) -> bool:
        """Return whether a file changed at *mtime_ns* is still the one that was noted.

        One second is allowed for, as the reference client does.
        """
        return mtime_ns / _NS - 1 <= self.timestamp


def record_name(path: str) -> str:
    """Return where the record of the file *path* lies below the folder."""
    return f"{DOWNLOADS_FOLDER}/{path}.metadata"


def encode_local_record(record: LocalRecord) -> bytes:
    """Return *record* as the reference client writes it."""
    return f"{record.commit}\n{record.etag}\n{record.timestamp}\n".encode("ascii")


def decode_local_record(data: bytes) -> LocalRecord | None:
    """Return the record in *data*, or None where it is not one."""
    try:
        commit, etag, text = (line.strip() for line in data.decode("ascii").split("\n")[:3])
        timestamp = float(text)
    except ValueError:
        return None
    if not is_commit(commit) or not etag or not math.isfinite(timestamp):
        return None
    return LocalRecord(commit, etag, timestamp)


def clashes_with_records(paths: Iterable[str]) -> bool:
    """Return whether a repo has a file of its own where records would lie."""
    return any(_is_records_own(path.casefold()) for path in paths if path.startswith("."))


def _is_records_own(path: str) -> bool:
    return path in (".cache", RECORDS_FOLDER) or path.startswith(f"{RECORDS_FOLDER}/")


def decode_lfs_pointer(data: bytes) -> tuple[Digest, int] | None:
    """Return the digest and the size of the file that the git-LFS pointer *data* stands for.

    None where *data* is no pointer: https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md
    """
    if len(data) > MAX_POINTER_BYTES or not data.startswith(_POINTER_HEAD):
        return None
    lines = data.removeprefix(_POINTER_HEAD).split(b"\n")
    digests = [match[1] for line in lines if (match := _POINTER_DIGEST.fullmatch(line))]
    sizes = [match[1] for line in lines if (match := _POINTER_SIZE.fullmatch(line))]
    if len(digests) != 1 or len(sizes) != 1:
        return None
    return Digest("sha256", digests[0].decode("ascii")), int(sizes[0])
