"""The shared cache of the Hugging Face libraries, as names and documents: no disk in here.

The layout and the listing format are those of `huggingface_hub` 2.x; what they must look like was
found by experiment and is checked against that library by `tests/e2e/test_shared_cache.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from hfdl_async.core.filetable import FileTable, ListedFiles, content_in, pack_hashes
from hfdl_async.core.model import Algorithm, Digest, Listing, RemoteFile, RepoType
from hfdl_async.core.names import Naming, check_name

TREE_VERSION = 1
MAX_TREE_BYTES = 1024 * 1024 * 1024
CACHEDIR_TAG = (
    b"Signature: 8a477f597d28d172789f06886806bc55\n"
    b"# This file marks a folder of cached downloads; backups may leave it out.\n"
    b"# For information about cache directory tags, see:\n"
    b"#\thttps://bford.info/cachedir/\n"
)

_SHA1 = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ALGORITHMS: Mapping[int, Algorithm] = {40: "git-sha1", 64: "sha256"}
_EXACT = Naming()


def repo_folder_name(repo_id: str, repo_type: RepoType) -> str:
    """Return the name of a repo's folder in the cache."""
    return "--".join((f"{repo_type}s", *repo_id.split("/")))


def is_repo_folder(name: str) -> bool:
    """Return whether *name* is one that `repo_folder_name` makes."""
    return name.startswith(("models--", "datasets--", "spaces--"))


def blob_name(file: RemoteFile) -> str:
    """Return where the content of *file* lies in the folder of its repo."""
    assert file.digest is not None, "a blob is called after its digest"
    return f"blobs/{file.digest.hex}"


def blob_name_in(hashes: bytes) -> str:
    """Return what `blob_name` does, of a row of a table of files."""
    return f"blobs/{content_in(hashes).hex()}"


def pointer_name(file: RemoteFile, commit: str) -> str:
    """Return where readers look for *file* of *commit* in the folder of its repo."""
    return f"snapshots/{commit}/{file.path}"


def pointer_target(file: RemoteFile) -> str:
    """Return what the link at `pointer_name` says: relative, so that the cache can be moved."""
    return way_to_root(file.path) + blob_name(file)


def way_to_root(path: str) -> str:
    """Return how a link at the pointer of the file *path* begins, or of another in its folder."""
    return "../" * (2 + path.count("/"))


def ref_name(revision: str) -> str | None:
    """Return where the commit of *revision* is noted, or None where a name cannot be made of it."""
    return None if check_name(revision, _EXACT) else f"refs/{revision}"


def tree_name(commit: str) -> str:
    """Return where the listing of *commit* is kept."""
    return f"trees/{commit}.json"


def digest_of_blob(name: str) -> Digest | None:
    """Return the digest that a blob's *name* is, or None for a file of another kind."""
    algorithm = _ALGORITHMS.get(len(name))
    if algorithm is None or not (_SHA1 if algorithm == "git-sha1" else _SHA256).fullmatch(name):
        return None
    return Digest(algorithm, name)


def encode_tree(listing: Listing) -> bytes | None:
    """Return *listing* as the library keeps it, or None where something that it needs is unknown.

    A reader takes the file for the whole repo, so there is no such thing as half of it.
    """
    files: dict[str, dict[str, object]] = {}
    for file in sorted(listing.files, key=lambda file: file.path):
        if file.size_bytes is None or file.digest is None:
            return None
        if file.digest.algorithm == "git-sha1":
            entry: dict[str, object] = {"size": file.size_bytes, "blob_id": file.digest.hex}
        elif file.pointer_id is None:
            return None
        else:
            entry = {
                "size": file.size_bytes,
                "blob_id": file.pointer_id,
                "lfs_sha256": file.digest.hex,
                "lfs_size": file.size_bytes,
            }
        if file.xet_hash is not None:
            entry["xet_hash"] = file.xet_hash
        files[file.path] = entry
    return json.dumps({"format_version": TREE_VERSION, "files": files}, indent=1).encode("ascii")


def decode_tree(data: bytes, commit: str) -> Listing | None:
    """Return the listing of *commit* in *data*, or None where it is not one that can be used.

    The file is anybody's: it is used as a list of what to prove, and never as a proof.
    """
    rows = _Rows()
    try:
        value: Any = json.loads(data, object_hook=rows.pack)
        files = value["files"]
        # The entries came in this order. Anything else between them is not what the library writes.
        if value["format_version"] != TREE_VERSION or list(files.values()) != list(
            range(len(rows))
        ):
            return None
        if any(check_name(path, _EXACT) for path in files):
            return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
    rows.table.paths += files
    return Listing(commit, ListedFiles(rows.table))


class _Rows:
    """The files of a tree as it is read: as objects of JSON they would take 50 MB for 100,000."""

    def __init__(self) -> None:
        self.table = FileTable()

    def __len__(self) -> int:
        return len(self.table.hashes)

    def pack(self, value: dict[str, Any]) -> object:
        """Return the number of the row that an entry became; every other object as it is.

        Only in the entry of a file `blob_id` is a text: a file of that name has a row there.
        """
        blob_id = value.get("blob_id")
        if not isinstance(blob_id, str):
            return value
        sha256, xet_hash = value.get("lfs_sha256"), value.get("xet_hash")
        size = value["size"] if sha256 is None else value["lfs_size"]
        if type(size) is not int or size < 0:
            raise ValueError("not a size")
        _check_hex(_SHA1, blob_id)
        if xet_hash is not None:
            _check_hex(_SHA256, xet_hash)
        if sha256 is None:
            hashes = pack_hashes(Digest("git-sha1", blob_id), xet_hash=xet_hash)
        else:
            _check_hex(_SHA256, sha256)
            digest = Digest("sha256", sha256)
            hashes = pack_hashes(digest, pointer_id=blob_id, xet_hash=xet_hash)
        self.table.sizes.append(size)
        self.table.hashes.append(hashes)
        return len(self) - 1


def _check_hex(kind: re.Pattern[str], value: object) -> None:
    if not isinstance(value, str) or not kind.fullmatch(value):
        raise ValueError("not a hash")
