"""A verified file that is durable under a name of ours and only lacks its final one."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hfdl_async.core.model import RemoteFile
from hfdl_async.disk.calls import Folder
from hfdl_async.disk.statefiles import TEMPORARY

Identity = tuple[int, int, int]
"""Device, inode and size: two files that agree in them at one time are one file."""


def identity_of(found: os.stat_result) -> Identity:
    """Return what tells the file *found* from every other."""
    return found.st_dev, found.st_ino, found.st_size


@dataclass(frozen=True, slots=True)
class Settled:
    """What publishing needs to know of one file.

    Attributes:
        file: what it is.
        folder: the open folder it lies in.
        name: its name there.
        identity: of the file that was written and synced.
        cells: the BLAKE3 of each cell, or ().
        record: the name of its resume record, if it has one.
    """

    file: RemoteFile
    folder: Folder
    name: str
    identity: Identity
    cells: tuple[str, ...] = ()
    record: str | None = None

    @property
    def is_ours_alone(self) -> bool:
        """Whether no other program can know its name: then nobody replaced it there."""
        return self.name.endswith(TEMPORARY)
