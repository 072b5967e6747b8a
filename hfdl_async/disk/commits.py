"""What the folder of a repo in the shared cache says of its commits. All functions run in a thread.

Which commit a revision is (`refs/`), which files a commit has (`trees/`), and which of them are
here (`snapshots/`). All of it is anybody's: what is read is a list of what to prove, no proof.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from hfdl_async.core.hubcache import (
    CACHEDIR_TAG,
    MAX_TREE_BYTES,
    decode_tree,
    digest_of_blob,
    encode_tree,
    ref_name,
    tree_name,
)
from hfdl_async.core.model import ListedFile, Listing
from hfdl_async.core.names import is_commit
from hfdl_async.core.sealed import StateRefused
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.folder import Folders, folder_at, split_path
from hfdl_async.disk.statefiles import read_state, write_state
from hfdl_async.disk.trouble import translated

MAX_REF_BYTES = 4096
TAG = "CACHEDIR.TAG"

Document = tuple[str, bytes]
"""A name below the root, and what is to be there."""


def read_tree(calls: Calls, root: Folder | None, commit: str) -> Listing | None:
    """Return the listing of *commit*, or None where there is none that can be used."""
    data = _read(calls, root, tree_name(commit), MAX_TREE_BYTES)
    return None if data is None else decode_tree(data, commit)


def read_ref(calls: Calls, root: Folder | None, revision: str) -> str | None:
    """Return the commit that *revision* was when somebody last asked, or None."""
    name = ref_name(revision)
    data = None if name is None else _read(calls, root, name, MAX_REF_BYTES)
    commit = "" if data is None else data.decode("ascii", "replace").strip()
    return commit if is_commit(commit) else None


def _read(calls: Calls, root: Folder | None, path: str, limit: int) -> bytes | None:
    if root is None:
        return None
    folder, name = split_path(path)
    try:
        with folder_at(calls, root, folder) as opened:
            return read_state(calls, opened, name, limit)
    except (OSError, StateRefused):
        return None  # then it is as if it were not there


def files_in(snapshot: Path) -> Iterator[ListedFile]:
    """Yield the files of a snapshot, with the digest that the name of their blob says.

    The size is None where a link leads nowhere.
    """
    for folder, _, names in os.walk(snapshot):
        for name in names:
            place = os.path.join(folder, name)
            path = os.path.relpath(place, snapshot).replace(os.sep, "/")
            digest = None
            if os.path.islink(place):
                digest = digest_of_blob(os.path.basename(os.readlink(place)))
            try:
                status = os.stat(place)
            except OSError:
                yield ListedFile(path, None, digest)
                continue
            if stat.S_ISREG(status.st_mode):
                yield ListedFile(path, status.st_size, digest)


def unwritten(
    calls: Calls, root: Folder | None, revision: str, listing: Listing, *, listed: bool
) -> list[Document]:
    """Return what is yet to be said of *listing*'s commit, in the order to write it.

    The ref comes last, so that nobody meets a ref to a commit that is not there. *listed* says that
    the listing came from here: it is kept already, or it is only of what is here.
    """
    documents: list[Document] = []
    tree = None if listed else encode_tree(listing)
    kept = None if tree is None else _read(calls, root, tree_name(listing.commit), MAX_TREE_BYTES)
    if tree is not None and tree != kept:
        documents.append((tree_name(listing.commit), tree))
    ref, commit = ref_name(revision), listing.commit.encode("ascii")
    if revision == listing.commit or ref is None:
        return documents
    if _read(calls, root, ref, MAX_REF_BYTES) != commit:  # no line end: readers take it as it is
        documents.append((ref, commit))
    return documents


def write(calls: Calls, folders: Folders, documents: Sequence[Document]) -> None:
    """Write *documents* in their order, each in one step.

    Raises:
        HfdlError: one cannot be written; those that follow are not.
    """
    for path, data in documents:
        folder, name = split_path(path)
        with (
            translated(folders.root.join(path)),
            folder_at(calls, folders.root, folder, create=True) as opened,
        ):
            write_state(calls, opened, name, data, staging=folders.parts)


def write_tag(calls: Calls, cache: Path, folders: Folders) -> None:
    """Mark the folder *cache* as one that backups may leave out, if nobody has.

    Where that cannot be, the cache is as good without.
    """
    try:
        root = calls.open_root(os.fspath(cache))
        try:
            calls.look(root, TAG)
        except FileNotFoundError:
            write_state(calls, root, TAG, CACHEDIR_TAG, staging=folders.parts)
        finally:
            calls.close_folder(root)
    except OSError:
        return
