"""What the API says about a commit: tree entries in pages, path facts, siblings.

Entries are serialised once per commit and joined per page, so that a page of a thousand costs no
more than its length.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence

from hfdl_async.serving.repos import Commit, HostedFile, HostedRepo

MASK = "*" * 64
_EXPANDED: dict[str, object] = {
    "lastCommit": {"id": "0" * 40, "title": "Upload", "date": "2024-01-01T00:00:00.000Z"},
    "securityFileStatus": {"status": "unscanned"},
}


def file_entry(
    file: HostedFile, *, masked: bool = False, expand: bool = False
) -> dict[str, object]:
    """Return the tree's form of one file."""
    entry: dict[str, object] = {
        "type": "file",
        "oid": file.oid,
        "size": file.size,
        "path": file.path,
    }
    if file.lfs is not None:
        entry["lfs"] = {
            "oid": MASK if masked else file.lfs.sha256,
            "size": file.size,
            "pointerSize": file.lfs.pointer_size,
        }
        entry["xetHash"] = MASK if masked else file.lfs.xet_hash
    return {**entry, **_EXPANDED} if expand else entry


def folder_entry(commit: Commit, path: str) -> dict[str, object]:
    """Return the tree's form of a folder; its id stands for the commit's folder of that name."""
    oid = hashlib.sha1(f"{commit.oid}:{path}".encode(), usedforsecurity=False).hexdigest()
    return {"type": "directory", "oid": oid, "size": 0, "path": path}


def _folders_of(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]


def entries(
    commit: Commit, *, under: str, recursive: bool, masked: bool, expand: bool
) -> Sequence[str] | None:
    """Return serialised tree entries below *under*, folders among them; None: no such folder."""
    key = ("tree", under, recursive, masked, expand)
    known = commit.pages.get(key)
    if isinstance(known, list):
        return known
    prefix = f"{under}/" if under else ""
    found: list[str] = []
    folders: set[str] = set()
    for path, file in commit.files.items():
        if not path.startswith(prefix):
            continue
        deep = "/" in path[len(prefix) :]
        for folder in _folders_of(path):
            if folder.startswith(prefix) and folder not in folders:
                folders.add(folder)
                if recursive or "/" not in folder[len(prefix) :]:
                    found.append(json.dumps(folder_entry(commit, folder)))
        if recursive or not deep:
            found.append(json.dumps(file_entry(file, masked=masked, expand=expand)))
    if under and not found:
        return None
    commit.pages[key] = found
    return found


def siblings(commit: Commit, *, blobs: bool) -> list[dict[str, object]]:
    """Return the files as repo info names them."""
    result: list[dict[str, object]] = []
    for file in commit.files.values():
        sibling: dict[str, object] = {"rfilename": file.path}
        if blobs:
            sibling |= {"size": file.size, "blobId": file.oid}
            if file.lfs is not None:
                sibling["lfs"] = {
                    "sha256": file.lfs.sha256,  # the tree calls the same thing oid
                    "size": file.size,
                    "pointerSize": file.lfs.pointer_size,
                }
        result.append(sibling)
    return result


def info(repo: HostedRepo, commit: Commit, *, blobs: bool) -> str:
    """Return repo info as JSON."""
    key = ("info", repo.repo_id, repo.private, repo.gated, repo.disabled, blobs)
    known = commit.pages.get(key)
    if isinstance(known, str):
        return known
    text = json.dumps(
        {
            "_id": repo.internal_id,
            "id": repo.repo_id,
            f"{repo.repo_type}Id": repo.repo_id,
            "author": repo.repo_id.split("/")[0],
            "sha": commit.oid,
            "private": repo.private,
            "gated": repo.gated,
            "disabled": repo.disabled,
            "lastModified": "2024-01-01T00:00:00.000Z",
            "createdAt": "2024-01-01T00:00:00.000Z",
            "downloads": 0,
            "likes": 0,
            "tags": [],
            "usedStorage": sum(file.size for file in commit.files.values()),
            "siblings": siblings(commit, blobs=blobs),
        }
    )
    commit.pages[key] = text
    return text


def cursor_at(offset: int, last_entry: str) -> str:
    """Return an opaque cursor of the Hub's make: base64 of (base64 of a JSON, colon, offset)."""
    entry = json.loads(last_entry)
    inner = json.dumps({"file_name": entry["path"], "tree_oid": entry["oid"]}).encode()
    return base64.b64encode(base64.b64encode(inner) + b":%d" % offset).decode()


def offset_of(cursor: str) -> int | None:
    """Return the offset that `cursor_at` put into *cursor*, or None when it is not one."""
    try:
        return int(base64.b64decode(cursor, validate=True).rpartition(b":")[2])
    except (binascii.Error, ValueError):
        return None
