"""Two sides of one call: the reference client and our stand-in for it, each with its own cache."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub import DryRunFileInfo
from huggingface_hub.errors import HfHubHTTPError

from hfdl_async import compat
from hfdl_async.core.names import CACHE_STATE_FOLDER, STATE_FOLDER
from hfdl_async.testing.faults import ScriptedHub

OWN = {CACHE_STATE_FOLDER, STATE_FOLDER, ".locks", ".cache"}  # what each keeps for itself


@dataclass(frozen=True)
class Outcome:
    """What a call came to, with the side's own folder called `ROOT`."""

    value: object = None
    error: type[BaseException] | None = None
    status: int | None = None


@dataclass(frozen=True)
class Side:
    """One of the two: its functions, and the folder in which all of its files are."""

    module: Any
    root: Path
    hub: ScriptedHub

    def call(self, function: str, *words: str, **options: Any) -> Any:
        """Call *function*; a `local_dir` is taken to be below the root."""
        if "local_dir" in options:
            options["local_dir"] = self.root / options["local_dir"]
        places = {"cache_dir": self.root / "cache", "endpoint": self.hub.endpoint}
        return getattr(self.module, function)(*words, **{**places, **options})

    def outcome(self, function: str, *words: str, **options: Any) -> Outcome:
        """Call *function* and return what came of it."""
        try:
            return Outcome(self._plain(self.call(function, *words, **options)))
        except Exception as error:
            status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
            return Outcome(None, type(error), status)

    def _plain(self, value: object) -> object:
        if isinstance(value, list):
            return sorted((self._plain(item) for item in value), key=str)
        if isinstance(value, DryRunFileInfo):
            return {**vars(value), "local_path": self._plain(value.local_path)}
        assert isinstance(value, str)
        return value.replace(str(self.root), "ROOT")

    def requests(self, call: Callable[[], object]) -> list[str]:
        """Return what *call* asked the Hub for."""
        before = len(self.hub.log.entries)
        call()
        return [entry.what for entry in self.hub.log.entries[before:]]

    def tree(self, *, listings: bool = True) -> Mapping[str, str]:
        """Return every file by name: where a link leads, or what the content is."""
        found: dict[str, str] = {}
        for folder, folders, names in os.walk(self.root):
            skipped = OWN if listings else OWN | {"trees"}
            folders[:] = [name for name in folders if name not in skipped]
            for name in names:
                path = Path(folder, name)
                found[path.relative_to(self.root).as_posix()] = _content(path)
        return found


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"-> {os.readlink(path)}"
    if path.name == "CACHEDIR.TAG":
        return path.read_text(encoding="ascii").splitlines()[0]
    if path.parent.name == "trees":
        return json.dumps(json.loads(path.read_bytes()), sort_keys=True)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Both:
    """The two sides of a test, in front of one hub."""

    theirs: Side
    ours: Side

    @classmethod
    def over(cls, hub: ScriptedHub, folder: Path) -> Both:
        """Return two sides with folders below *folder*."""
        sides = []
        for name, module in (("theirs", huggingface_hub), ("ours", compat)):
            root = folder / name
            root.mkdir()
            sides.append(Side(module, root.resolve(), hub))
        return cls(*sides)

    def agree(self, function: str, *words: str, **options: Any) -> Outcome:
        """Make the call on both sides, insist on equal outcomes, and return theirs."""
        theirs = self.theirs.outcome(function, *words, **options)
        ours = self.ours.outcome(function, *words, **options)
        assert ours == theirs, (ours, theirs)
        return theirs

    def same_files(self, *, listings: bool = True) -> None:
        """Insist on equal folders; *listings* off where only ours has asked for the whole one."""
        theirs = self.theirs.tree(listings=listings)
        assert theirs
        ours = self.ours.tree(listings=listings)
        assert ours == theirs, sorted(set(ours.items()) ^ set(theirs.items()))
