"""What is complete and what is unfinished under a folder: read only, no lock, no network."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hfdl_async.core.model import RemoteFile, RepoType
from hfdl_async.core.state import Owner, Receipt, StoredListing
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.folder import open_for_reading, read_listing, read_owner
from hfdl_async.disk.home import STATE_FOLDERS, Home
from hfdl_async.disk.lock import Holder, read_holder
from hfdl_async.disk.receipts import Receipts
from hfdl_async.disk.survey import leftover_parts, recorded_size_at
from hfdl_async.errors import HfdlError


@dataclass(frozen=True, slots=True)
class UnfinishedFile:
    """A file that was begun; *have_bytes* is what its record claims, not proven."""

    path: str
    size_bytes: int
    have_bytes: int

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {"path": self.path, "size_bytes": self.size_bytes, "have_bytes": self.have_bytes}


@dataclass(frozen=True, slots=True)
class FolderStatus:
    """One folder of a download; whose it is, is None where its state does not say."""

    path: Path
    repo_id: str | None
    repo_type: RepoType | None
    revision: str | None
    commit: str | None
    complete_files: int
    complete_bytes: int
    unfinished: tuple[UnfinishedFile, ...]
    holder: Holder | None

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form."""
        return {
            "path": str(self.path),
            "repo_id": self.repo_id,
            "repo_type": self.repo_type,
            "revision": self.revision,
            "commit": self.commit,
            "complete": {"files": self.complete_files, "bytes": self.complete_bytes},
            "unfinished": [file.to_dict() for file in self.unfinished],
            "holder": self.holder.to_dict() if self.holder else None,
        }


@dataclass(frozen=True, slots=True)
class StatusReport:
    """All folders of downloads that were found."""

    folders: tuple[FolderStatus, ...]

    def to_dict(self) -> dict[str, object]:
        """Return what `status --json` prints (`schema` 1)."""
        return {"schema": 1, "folders": [folder.to_dict() for folder in self.folders]}


def read_status(base: Path, *, calls: Calls | None = None) -> StatusReport:
    """Return the state of *base* if it is the folder of a download, and of those right below it.

    Changes nothing; damaged state counts as none.
    """
    calls = calls or Calls()
    base = base.absolute()
    places = [base]
    try:
        places += sorted(place for place in base.iterdir() if place.name not in STATE_FOLDERS)
    except OSError:
        return StatusReport(())
    homes = [home for place in places if (home := _home_at(place)) is not None]
    found = (_read(calls, home) for home in homes)
    return StatusReport(tuple(folder for folder in found if folder is not None))


def _home_at(place: Path) -> Home | None:
    for home in (Home.of_folder(place), Home.of_cache(place)):
        with suppress(OSError):
            if stat.S_ISDIR((place / home.state_name).lstat().st_mode):
                return home
    return None


def _read(calls: Calls, home: Home) -> FolderStatus | None:
    try:
        with open_for_reading(calls, home) as (root, state):
            if root is None or state is None:
                return None
            owner, listing = _owner(calls, state), _listing(calls, state)
            complete = [
                receipt
                for receipt in _receipts(calls, state)
                if recorded_size_at(calls, root, receipt) == receipt.size
            ]
            return FolderStatus(
                path=Path(home.root),
                repo_id=owner.repo_id if owner else None,
                repo_type=owner.repo_type if owner else None,
                revision=owner.revision if owner else None,
                commit=owner.commit if owner else None,
                complete_files=len(complete),
                complete_bytes=sum(receipt.size for receipt in complete),
                unfinished=_unfinished(calls, state, listing),
                holder=read_holder(calls, state),
            )
    except (OSError, HfdlError):
        return None


def _owner(calls: Calls, state: Folder) -> Owner | None:
    try:
        return read_owner(calls, state)
    except HfdlError:
        return None


def _listing(calls: Calls, state: Folder) -> StoredListing | None:
    try:
        return read_listing(calls, state)
    except HfdlError:
        return None


def _receipts(calls: Calls, state: Folder) -> list[Receipt]:
    receipts = Receipts(calls)
    try:
        receipts.load(state)
    except (OSError, HfdlError):
        return []
    return list(receipts.by_path.values())


def _unfinished(
    calls: Calls, state: Folder, listing: StoredListing | None
) -> tuple[UnfinishedFile, ...]:
    files: Sequence[RemoteFile] = listing.files if listing else ()
    commit = listing.commit if listing else ""
    try:
        left = leftover_parts(calls, state, files, commit)
    except (OSError, HfdlError):
        return ()
    return tuple(
        UnfinishedFile(file.path, file.size_bytes, left[file.path].have_bytes)
        for file in files
        if file.path in left and left[file.path].have_bytes
    )
