"""A disk that forgets: what was not synced when the power failed may be lost, kept or torn.

`Journal` runs the real calls and takes down what they change. `after_power_loss` builds the folder
that a machine could find afterwards: content that was synced is there, and so are names in folders
that were synced; everything else is left to the dice, each name on its own.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hfdl_async.disk.calls import Calls

T = TypeVar("T")


@dataclass(frozen=True)
class Entry:
    """One change: of a file's content (`key` is its inode) or of a folder's names (its path)."""

    kind: str  # write, size, name, gone, sync; a symbolic link is a name from its beginning
    key: int | str
    offset: int = 0
    data: bytes = b""
    name: str = ""
    inode: int = -1


class Journal(Calls):
    """Real calls whose changes are taken down; *skip* leaves some out, to prove they count."""

    def __init__(self, root: Path, skip: Collection[str] = ()) -> None:
        super().__init__()
        self.root = os.path.realpath(root)
        self.skip = skip
        self.entries: list[Entry] = []
        self.names: dict[tuple[str, str], int] = {}
        self.contents: dict[int, bytes] = {}
        self.links: dict[int, str] = {}  # what a symbolic link says, by key
        self._keys: dict[int, int] = {}  # a number of our own, as inode numbers are used again
        for path in sorted(root.rglob("*")):
            if path.is_symlink() or path.is_file():
                key = self._keys[path.lstat().st_ino] = len(self._keys)
                self.names[os.path.join(self.root, path.parent.relative_to(root)), path.name] = key
                if path.is_symlink():
                    self.links[key] = os.readlink(path)
                else:
                    self.contents[key] = path.read_bytes()
        self._last = len(self._keys)

    def _key(self, fd: int) -> int:
        return self._keys[os.fstat(fd).st_ino]

    def _new_key(self, found: os.stat_result) -> int:
        self._last += 1
        self._keys[found.st_ino] = self._last
        return self._last

    def _path(self, folder: int | None, name: str = "") -> str:
        base = os.readlink(f"/proc/self/fd/{folder}") if folder is not None else "/"
        return os.path.join(base, name) if name else base

    def system(self, name: str, call: Callable[..., T], *arguments: Any) -> T:
        if name in self.skip:
            return None  # type: ignore[return-value]
        before = self._before(name, arguments)
        result = super().system(name, call, *arguments)
        self.entries += self._after(name, arguments, result, before)
        return result

    def _before(self, name: str, arguments: tuple[Any, ...]) -> Any:
        if name == "open" and len(arguments) == 4:
            return os.path.lexists(self._path(arguments[3], arguments[0]))
        if name == "rename":
            found = os.stat(arguments[0], dir_fd=arguments[2], follow_symlinks=False)
            return self._keys[found.st_ino]
        if name == "write":
            return os.fstat(arguments[0]).st_size
        return None

    def _after(
        self, name: str, arguments: tuple[Any, ...], result: Any, before: Any
    ) -> list[Entry]:
        if name == "open" and len(arguments) == 4 and arguments[1] & os.O_CREAT and not before:
            inode = self._new_key(os.fstat(result))
            return [Entry("name", self._path(arguments[3]), name=arguments[0], inode=inode)]
        if name == "symlink":
            target, path, folder = arguments
            inode = self._new_key(os.stat(path, dir_fd=folder, follow_symlinks=False))
            self.links[inode] = target
            return [Entry("name", self._path(folder), name=path, inode=inode)]
        if name == "write":
            fd, data = arguments[0], arguments[1]
            offset = arguments[2] if isinstance(data, list) else before
            flat = b"".join(map(bytes, data)) if isinstance(data, list) else bytes(data)
            return [Entry("write", self._key(fd), offset, flat[:result])]
        if name == "truncate":
            return [Entry("size", self._key(arguments[0]), arguments[1])]
        if name == "sync":
            return [Entry("sync", self._key(arguments[0]))]
        if name == "sync_folder":
            return [Entry("sync", self._path(arguments[0]))]
        if name == "rename":
            old, new, old_folder, new_folder = arguments
            return [
                Entry("name", self._path(new_folder), name=new, inode=before),
                Entry("gone", self._path(old_folder), name=old, inode=before),
            ]
        if name == "unlink":
            return [Entry("gone", self._path(arguments[1]), name=arguments[0])]
        return []


def after_power_loss(journal: Journal, count: int, dice: random.Random, to: Path) -> None:
    """Build in *to* what may be found when the power fails after *count* entries."""
    entries = journal.entries[:count]
    names = {(os.path.normpath(folder), name): key for (folder, name), key in journal.names.items()}
    contents = {key: bytearray(data) for key, data in journal.contents.items()}
    last_sync: dict[int | str, int] = {}
    for position, entry in enumerate(entries):
        if entry.kind == "sync":
            last_sync[entry.key] = position
    for position, entry in enumerate(entries):
        safe = position < last_sync.get(entry.key, -1)
        if entry.kind == "sync" or not (safe or dice.random() < 0.5):
            continue
        if entry.kind in ("write", "size"):
            assert isinstance(entry.key, int)
            _change(contents.setdefault(entry.key, bytearray()), entry, safe, dice)
        else:
            where = (str(entry.key), entry.name)
            if entry.kind == "name":
                names[where] = entry.inode
            elif entry.inode in (-1, names.get(where)):
                names.pop(where, None)
    for (folder, name), inode in names.items():
        path = to / os.path.relpath(os.path.join(folder, name), journal.root)
        path.parent.mkdir(parents=True, exist_ok=True)
        if inode in journal.links:
            path.symlink_to(journal.links[inode])
        else:
            path.write_bytes(contents.get(inode, b""))


def _change(content: bytearray, entry: Entry, safe: bool, dice: random.Random) -> None:
    if entry.kind == "size":
        content.extend(bytes(max(0, entry.offset - len(content))))
        return
    data = entry.data if safe else entry.data[: dice.randrange(len(entry.data) + 1)]
    stop = entry.offset + len(data)
    content.extend(bytes(max(0, stop - len(content))))
    content[entry.offset : stop] = data
