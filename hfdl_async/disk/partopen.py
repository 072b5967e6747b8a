"""Taking up the part that an earlier run left, or making a new one. Runs in a thread."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from blake3 import blake3

from hfdl_async.core.model import Digest, RemoteFile
from hfdl_async.core.names import shown
from hfdl_async.core.sealed import StateRefused
from hfdl_async.core.state import MAX_RECORD_BYTES, Claim, Record, decode_record
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.reserving import Reserve
from hfdl_async.disk.statefiles import TEMPORARY, read_state, remove_if_there, set_aside
from hfdl_async.disk.trouble import refused_newer

PART, RECORD = ".part", ".json"
_logger = logging.getLogger("hfdl_async.disk")

Note = Callable[[str], None]
"""Takes a sentence for the user about something odd that was found and dealt with."""


@dataclass(frozen=True, slots=True)
class PartNames:
    """The names of one unfinished file in the parts folder."""

    part: str
    record: str


@dataclass(frozen=True, slots=True)
class OpenedPart:
    """An open part and what its record claims."""

    fd: int
    names: PartNames
    claims: tuple[Claim, ...]
    reserve: Reserve
    saved: bool  # there is a record on disk


def part_key(file: RemoteFile, commit: str) -> str:
    """Return the name under which unfinished bytes of *file* are kept.

    Files of one content share it, whatever they are called and in whichever commit they are. Where
    no digest is published only the same path of the same commit is the same content.
    """
    if file.content_key is not None:
        return file.content_key
    text = f"{commit}\0{file.path}".encode("utf-8", "surrogatepass")
    return f"path-{blake3(text).hexdigest()}-{file.size_bytes}"


def part_names(key: str) -> PartNames:
    """Return the names for *key*."""
    return PartNames(key + PART, key + RECORD)


def open_part(calls: Calls, parts: Folder, file: RemoteFile, key: str, note: Note) -> OpenedPart:
    """Open the part for *file*, with the claims of its record if both can be used.

    Raises:
        StorageError: a newer version wrote the record.
        OSError: the disk refused; a part that was made for this is gone again.
    """
    names = part_names(key)
    there = _take_up(calls, parts, names, note)
    claims = read_claims(calls, parts, names, file, note) if there else None
    if not there:
        remove_if_there(calls, parts, names.record)
    fd = calls.open_file(parts, names.part, os.O_RDWR | os.O_CREAT | (0 if there else os.O_EXCL))
    try:
        reserve = Reserve(calls, file.size_bytes)
        reserve.begin(fd)
    except OSError:
        os.close(fd)
        if not there:
            remove_if_there(calls, parts, names.part)
        raise
    return OpenedPart(fd, names, claims or (), reserve, saved=claims is not None)


def _take_up(calls: Calls, parts: Folder, names: PartNames, note: Note) -> bool:
    """Return whether there is a part that may be written into; remove what may not be."""
    try:
        found = calls.look(parts, names.part)
    except FileNotFoundError:
        return False
    if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
        return True
    # A link, a FIFO, or a second name of somebody's file: writing there would write elsewhere.
    note(f"{shown(parts.join(names.part))} was not a file of ours and was removed")
    remove_if_there(calls, parts, names.part)
    return False


def read_claims(
    calls: Calls, parts: Folder, names: PartNames, file: RemoteFile, note: Note | None
) -> tuple[Claim, ...] | None:
    """Return what the record claims, or None; one that cannot be used is set aside.

    Without *note* nothing is changed.

    Raises:
        StorageError: a newer version wrote it; it is left alone.
    """
    try:
        data = read_state(calls, parts, names.record, MAX_RECORD_BYTES)
        if data is None:
            return None
        record = decode_record(data)
        if not _same(record, file.digest, file.size_bytes):
            raise StateRefused("it is the record of another file")
    except StateRefused as refusal:
        if refusal.newer:
            raise refused_newer(parts.join(names.record), refusal) from refusal
        if note is not None:
            aside = set_aside(calls, parts, names.record)
            path = shown(parts.join(names.record))
            note(f"{path} could not be used ({refusal.reason}); it is kept as {aside}")
        return None
    return record.claims


def _same(record: Record, digest: Digest | None, size: int) -> bool:
    return record.digest == digest and record.size == size


def remove_part(calls: Calls, parts: Folder, names: PartNames) -> None:
    """Remove a part and its record, the record first: a claim must never outlive its bytes."""
    remove_if_there(calls, parts, names.record)
    remove_if_there(calls, parts, names.part)


def forget(calls: Calls, parts: Folder, keys: set[str]) -> None:
    """Remove the parts and records whose key is in *keys*."""
    present = {name.rpartition(".")[0] for name in calls.names_in(parts)}
    for key in present & keys:
        remove_part(calls, parts, part_names(key))


def sweep(calls: Calls, parts: Folder, needed: set[str]) -> int:
    """Remove everything but parts and records whose key is in *needed*; return how many went.

    A record without its part goes as well.
    """
    removed, names = 0, set(calls.names_in(parts))
    for name in names:
        key, dot, kind = name.rpartition(".")
        if dot + kind in (PART, RECORD) and key in needed and key + PART in names:
            continue
        if dot + kind in (PART, RECORD, TEMPORARY) or not needed:
            removed += remove_if_there(calls, parts, name)
            _logger.debug("removed %s: nothing needs it any more", shown(name))
    return removed
