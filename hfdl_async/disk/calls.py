"""Every call that changes the disk, in one place.

Names below the destination are reached from an open folder, one component at a time, and never
through a symbolic link. Each call passes `Calls.system` by its name: a test that overrides that
one method can count, fail, shorten, tear or end the process at the Nth call. These methods raise
plain `OSError`; `translated` turns it into what a user reads.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from hfdl_async.disk import native
from hfdl_async.disk.native import UNSUPPORTED, Features

T = TypeVar("T")
Buffer = bytes | bytearray | memoryview

IOV_MAX = 1024  # POSIX allows less, no system that Python runs on has less
COPY_BYTES = 1024 * 1024
_NOFOLLOW: int = getattr(os, "O_NOFOLLOW", 0)
# O_NONBLOCK: opening a FIFO that somebody planted must not wait for its other end.
_FLAGS: int = (
    getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)
_FOLDER_FLAGS: int = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_REPARSE_POINT = 0x400  # Windows: a junction is a link that `S_ISLNK` does not know


@dataclass(frozen=True, slots=True)
class Folder:
    """An open folder: its descriptor, or only its path where the system has no such thing.

    `may_be_link` is for the destination itself and for links that the user allowed. State files in
    it are made with `file_mode`, before the umask.
    """

    path: str
    fd: int | None = None
    may_be_link: bool = False
    file_mode: int = 0o666

    def join(self, name: str) -> str:
        """Return the path of *name* in it, for messages and for systems without descriptors."""
        return os.path.join(self.path, name)


def is_link(found: os.stat_result) -> bool:
    """Return whether *found* (not followed) is a symbolic link or a junction."""
    attributes: int = getattr(found, "st_file_attributes", 0)
    return stat.S_ISLNK(found.st_mode) or bool(attributes & _REPARSE_POINT)


def allocated_bytes(found: os.stat_result) -> int:
    """Return the bytes of disk that a file takes up: none of its holes, all that is reserved."""
    blocks: int | None = getattr(found, "st_blocks", None)  # Windows does not say
    return found.st_size if blocks is None else blocks * 512


def no_such_way(path: str) -> OSError:
    """Return the error of a name that is a link where none may be."""
    return OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def no_folder(path: str) -> OSError:
    """Return the error of a name that should be a folder and is not."""
    return NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)


class Calls:
    """The system calls, with one behaviour on every system."""

    def __init__(self, features: Features | None = None) -> None:
        self.features = features or Features.here()
        self._seek = threading.Lock()  # one file position per descriptor, many threads

    def system(self, name: str, call: Callable[..., T], *arguments: object) -> T:
        """Make *call*, known as *name*: the one seam that tests override."""
        return call(*arguments)

    # Folders ------------------------------------------------------------------------------

    def open_root(self, path: str, *, create: bool = False) -> Folder:
        """Open the destination itself, which may be a link: the user chose it."""
        if create:
            self.system("mkdir", lambda: os.makedirs(path, exist_ok=True))
        if self.features.folder_descriptors:
            return Folder(path, self.system("open", os.open, path, _FOLDER_FLAGS))
        if not stat.S_ISDIR(os.stat(path).st_mode):
            raise no_folder(path)
        return Folder(path, may_be_link=True)

    def open_folder(
        self,
        parent: Folder,
        name: str,
        *,
        create: bool = False,
        mode: int = 0o777,
        follow: bool = False,
    ) -> Folder:
        """Open the folder *name* in *parent*; a new one is made durable at once.

        Raises:
            OSError: ELOOP when it is a link and *follow* is off, ENOTDIR when it is no folder.
        """
        if create and self.make_folder(parent, name, mode):
            self.sync_folder(parent)
        path = parent.join(name)
        if parent.fd is not None:
            flags = _FOLDER_FLAGS | (0 if follow else _NOFOLLOW)
            try:
                opened = self.system("open", _open_at, name, flags, 0, parent.fd)
            except NotADirectoryError as error:
                # Linux says so of a link, too, when it may not follow it.
                if is_link(self.look(parent, name)):
                    raise no_such_way(path) from error
                raise no_folder(path) from error
            return Folder(path, opened, file_mode=mode & 0o666)
        found = os.stat(path) if follow else os.lstat(path)
        if not follow and is_link(found):
            raise no_such_way(path)
        if not stat.S_ISDIR(found.st_mode):
            raise no_folder(path)
        return Folder(path, may_be_link=follow, file_mode=mode & 0o666)

    def make_folder(self, parent: Folder, name: str, mode: int = 0o777) -> bool:
        """Make the folder *name*; return False when something has that name already."""
        try:
            self.system("mkdir", _mkdir_at, *self._at(parent, name), mode)
        except FileExistsError:
            return False
        return True

    def names_in(self, folder: Folder) -> list[str]:
        """Return the names in *folder*."""
        return os.listdir(folder.path if folder.fd is None else folder.fd)

    def sync_folder(self, folder: Folder) -> None:
        """Make the names in *folder* durable, where the system can be asked to."""
        if folder.fd is None or not self.features.folder_sync:
            return
        try:
            self.system("sync_folder", os.fsync, folder.fd)
        except OSError as error:
            if error.errno not in UNSUPPORTED:  # some network and overlay file systems
                raise

    def close_folder(self, folder: Folder) -> None:
        """Let go of *folder*."""
        if folder.fd is not None:
            os.close(folder.fd)

    # Names --------------------------------------------------------------------------------

    def _at(self, folder: Folder, name: str) -> tuple[str, int | None]:
        if folder.fd is not None:
            return name, folder.fd
        if not folder.may_be_link and is_link(
            os.lstat(folder.path)
        ):  # swapped in since it was opened
            raise no_such_way(folder.path)
        return folder.join(name), None

    def look(self, folder: Folder, name: str) -> os.stat_result:
        """Return what *name* is, without following it."""
        path, fd = self._at(folder, name)
        return os.stat(path, dir_fd=fd, follow_symlinks=False)

    def look_through(self, folder: Folder, name: str) -> os.stat_result:
        """Return what *name*, a link, leads to."""
        path, fd = self._at(folder, name)
        return os.stat(path, dir_fd=fd)

    def rename(self, source: Folder, name: str, target: Folder, new_name: str) -> None:
        """Give *name* its new name, replacing what had it; a link there is replaced itself."""
        old, old_fd = self._at(source, name)
        new, new_fd = self._at(target, new_name)
        self.system("rename", _replace_at, old, new, old_fd, new_fd)

    def unlink(self, folder: Folder, name: str) -> None:
        """Remove the name of a file or link."""
        self.system("unlink", _unlink_at, *self._at(folder, name))

    def remove_folder(self, parent: Folder, name: str) -> bool:
        """Remove the folder *name* if it is empty; return whether that was so.

        Raises:
            OSError: it is no folder, or may not be removed.
        """
        try:
            self.system("rmdir", _rmdir_at, *self._at(parent, name))
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return False
        return True

    def symlink(self, target: str, folder: Folder, name: str) -> None:
        """Make *name* a symbolic link that says *target*.

        Raises:
            FileExistsError: something has that name already.
        """
        path, fd = self._at(folder, name)
        self.system("symlink", _symlink_at, target, path, fd)

    def link_target(self, folder: Folder, name: str) -> str | None:
        """Return what the link *name* says, or None where there is no link of that name."""
        path, fd = self._at(folder, name)
        try:
            return os.readlink(path, dir_fd=fd)
        except FileNotFoundError:
            return None
        except OSError as error:
            if error.errno != errno.EINVAL:  # something else than a link
                raise
            return None

    def hardlink(self, source: str, folder: Folder, name: str) -> None:
        """Give the file at the path *source* the second name *name*."""
        path, fd = self._at(folder, name)
        self.system("link", _link_at, source, path, fd)

    # Files --------------------------------------------------------------------------------

    def open_file(
        self, folder: Folder, name: str, flags: int, mode: int = 0o666, *, follow: bool = False
    ) -> int:
        """Open *name* in *folder*, only with *follow* through a link, and only a plain file."""
        path, fd = self._at(folder, name)
        if not follow:
            flags |= _NOFOLLOW
            if not _NOFOLLOW or fd is None:
                self._refuse_link(path)
        opened = self.system("open", _open_at, path, flags | _FLAGS, mode, fd)
        if flags & os.O_EXCL:
            return opened  # made just now, so it is a plain file
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            os.close(opened)
            raise OSError(errno.EINVAL, "not a plain file", folder.join(name))
        return opened

    def _refuse_link(self, path: str) -> None:
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return
        if is_link(found):
            raise no_such_way(path)

    def close(self, fd: int) -> None:
        """Close the file *fd*; an error here means that written bytes may be lost."""
        self.system("close", os.close, fd)

    def write_at(self, fd: int, pieces: Sequence[Buffer], offset: int) -> None:
        """Write *pieces* one behind the other at *offset*, all of them, however often it takes."""
        rest = [memoryview(piece).cast("B") for piece in pieces if len(piece)]
        while rest:
            batch = rest[:IOV_MAX] if self.features.vectored else rest[:1]
            done = self.system("write", self._write_some, fd, batch, offset)
            if done == 0:
                raise OSError(errno.EIO, "the system wrote nothing")
            offset += done
            while rest and done >= len(rest[0]):
                done -= len(rest.pop(0))
            if done:
                rest[0] = rest[0][done:]

    def _write_some(self, fd: int, pieces: Sequence[memoryview], offset: int) -> int:
        if self.features.positioned:
            if sys.platform != "win32" and self.features.vectored:
                return os.pwritev(fd, pieces, offset)
            return os.pwrite(fd, pieces[0], offset)
        with self._seek:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.write(fd, pieces[0])

    def append(self, fd: int, data: bytes) -> None:
        """Write all of *data* at the end of a file that was opened to append."""
        rest = memoryview(data)
        while rest:
            rest = rest[self.system("write", os.write, fd, rest) :]

    def read_into(self, fd: int, buffer: memoryview, offset: int) -> int:
        """Fill *buffer* from *offset*; return how many bytes there were (fewer only at the end)."""
        done = 0
        while done < len(buffer):
            count = self.system("read", self._read_some, fd, buffer[done:], offset + done)
            if count == 0:
                break
            done += count
        return done

    def _read_some(self, fd: int, buffer: memoryview, offset: int) -> int:
        if self.features.positioned and hasattr(os, "preadv"):
            return os.preadv(fd, [buffer], offset)
        if self.features.positioned:
            data = os.pread(fd, len(buffer), offset)
        else:
            with self._seek:
                os.lseek(fd, offset, os.SEEK_SET)
                data = os.read(fd, len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def sync_data(self, fd: int) -> None:
        """Bring the content of *fd* to the medium; never ask twice after a failure."""
        self.system("sync", native.sync_data, fd)

    def drop_cached(self, fd: int, start: int, length: int) -> None:
        """Tell the page cache that these bytes, which are on the medium, are not needed."""
        if not self.features.advise or sys.platform in ("win32", "darwin"):
            return
        with suppress(OSError):  # it is advice: nothing that is proven may fail for it
            self.system("advise", os.posix_fadvise, fd, start, length, os.POSIX_FADV_DONTNEED)

    def set_size(self, fd: int, size: int) -> None:
        """Cut or extend the file to *size*."""
        self.system("truncate", os.ftruncate, fd, size)

    def allocate(self, fd: int, size: int) -> None:
        """Give the file *size* and its blocks, or only its size where blocks cannot be had.

        Raises:
            OSError: ENOSPC, EDQUOT, EFBIG: there is no room.
        """
        if self.features.allocate:
            self._allocate(native.allocate, fd, size)
        self.set_size(fd, size)

    def reserve(self, fd: int, start: int, length: int) -> None:
        """Reserve blocks inside the size of the file, where the file system can; see `Features`.

        Raises:
            OSError: ENOSPC, EDQUOT: there is no room.
        """
        self._allocate(native.reserve, fd, start, length)

    def _allocate(self, call: Callable[..., None], fd: int, *extent: int) -> None:
        if not extent[-1]:
            return
        try:
            self.system("allocate", call, fd, *extent)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise

    def clone(self, source: int, target: int) -> bool:
        """Let *target* share the blocks of *source*; return False where that cannot be."""
        if not self.features.clone:
            return False
        try:
            self.system("clone", native.clone, source, target)
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
            return False
        return True

    def copy_range(self, source: int, target: int, offset: int, length: int) -> None:
        """Copy *length* bytes at *offset* from one file to the same place of the other."""
        stop = offset + length
        while self.features.copy_range and offset < stop:
            try:
                count = self.system("write", _copy_some, source, target, stop - offset, offset)
            except OSError as error:
                if error.errno not in UNSUPPORTED:
                    raise
                break
            if count == 0:
                break
            offset += count
        buffer = memoryview(bytearray(min(COPY_BYTES, max(stop - offset, 0))))
        while offset < stop:
            count = self.read_into(source, buffer[: stop - offset], offset)
            if count == 0:
                raise OSError(errno.EIO, "the file to copy became shorter")
            self.write_at(target, [buffer[:count]], offset)
            offset += count


def _open_at(path: str, flags: int, mode: int, folder: int | None) -> int:
    return os.open(path, flags, mode, dir_fd=folder)


def _mkdir_at(path: str, folder: int | None, mode: int) -> None:
    os.mkdir(path, mode, dir_fd=folder)


def _replace_at(old: str, new: str, old_folder: int | None, new_folder: int | None) -> None:
    os.replace(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder)


def _unlink_at(path: str, folder: int | None) -> None:
    os.unlink(path, dir_fd=folder)


def _rmdir_at(path: str, folder: int | None) -> None:
    os.rmdir(path, dir_fd=folder)


def _symlink_at(target: str, path: str, folder: int | None) -> None:
    os.symlink(target, path, dir_fd=folder)


def _link_at(source: str, path: str, folder: int | None) -> None:
    os.link(source, path, dst_dir_fd=folder)


def _copy_some(source: int, target: int, length: int, offset: int) -> int:
    return os.copy_file_range(source, target, length, offset, offset)
