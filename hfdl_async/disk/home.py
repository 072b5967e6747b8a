"""Where a download lives: the folder of its final names, and our own folder inside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hfdl_async.core.names import CACHE_STATE_FOLDER, STATE_FOLDER

STATE_FOLDERS = (STATE_FOLDER, CACHE_STATE_FOLDER)


@dataclass(frozen=True, slots=True)
class Home:
    """The *root* that final names are relative to, and how our folder below it is called.

    `private` keeps our folder to its owner, for the names in a private repo are nobody else's
    business; a cache may be shared by a group.
    """

    root: str
    state_name: str = STATE_FOLDER
    private: bool = True

    @classmethod
    def of_folder(cls, path: Path) -> Home:
        """Return the home of a download into a plain folder."""
        return cls(os.fspath(path))

    @classmethod
    def of_cache(cls, repo_folder: Path) -> Home:
        """Return the home of a repo in the shared cache."""
        return cls(os.fspath(repo_folder), CACHE_STATE_FOLDER, private=False)

    @property
    def mode(self) -> int:
        """The permission bits that our folders are made with, before the umask."""
        return 0o700 if self.private else 0o777
