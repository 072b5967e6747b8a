"""What the operating system offers beyond Python's `os`, and which of it exists here.

Everything in this file exists on some systems only; `Features.here` says which, and `calls.py`
holds the alternative to each.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

_FALLOC_FL_KEEP_SIZE = 1  # linux/falloc.h
_FICLONE = 0x40049409  # linux/fs.h: _IOW(0x94, 9, int)
_F_PREALLOCATE, _F_FULLFSYNC = 42, 51  # macOS fcntl.h
_F_ALLOCATECONTIG, _F_ALLOCATEALL, _F_PEOFPOSMODE = 2, 4, 3
_STILL_ACTIVE, _PROCESS_QUERY_LIMITED_INFORMATION = 259, 0x1000  # Windows

# What "this file system cannot do that" looks like, as opposed to "the disk is full".
UNSUPPORTED = frozenset(
    {errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.ENOTTY, errno.EXDEV}
    | {errno.EPERM, errno.ENODEV, errno.ENOLCK}
)


@dataclass(frozen=True, slots=True)
class Features:
    """What may be used; each alternative runs where its flag is off."""

    positioned: bool = True  # pwrite, pread; else seek and write under a lock
    vectored: bool = True  # pwritev; else one write per piece
    folder_descriptors: bool = True  # openat and its kin; else paths with checks
    folder_sync: bool = True  # fsync of a folder; else nothing
    allocate: bool = True  # real preallocation; else the file grows as it is written
    reserve: bool = True  # the same for a part of a file
    clone: bool = True  # sharing blocks; else copying
    copy_range: bool = True  # copying inside the kernel; else through memory
    advise: bool = True  # telling the page cache what is not needed; else nothing

    @classmethod
    def here(cls) -> Features:
        """Return what this system has."""
        return cls(
            positioned=hasattr(os, "pwrite"),
            vectored=hasattr(os, "pwritev"),
            folder_descriptors=os.open in os.supports_dir_fd and os.rename in os.supports_dir_fd,
            folder_sync=os.name == "posix",
            allocate=sys.platform in ("linux", "darwin"),
            reserve=sys.platform == "linux",
            clone=sys.platform == "linux",
            copy_range=hasattr(os, "copy_file_range"),
            advise=hasattr(os, "posix_fadvise"),
        )


@cache
def _fallocate() -> Callable[[int, int, int, int], int] | None:
    """Return fallocate(2) itself; posix_fallocate(3) may write zeros over others' bytes."""
    libc = ctypes.CDLL(None, use_errno=True)
    for name in ("fallocate64", "fallocate"):
        function = getattr(libc, name, None)
        if function is not None:
            function.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
            function.restype = ctypes.c_int
            return function  # type: ignore[no-any-return]
    return None


def reserve(fd: int, start: int, length: int) -> None:
    """Reserve real blocks for a part of the file; its size stays, and no byte is written.

    Raises:
        OSError: ENOSPC is real; one of `UNSUPPORTED` where there is no such thing.
    """
    function = _fallocate() if sys.platform == "linux" else None
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    while function(fd, _FALLOC_FL_KEEP_SIZE, start, length) != 0:
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number))


def allocate(fd: int, size: int) -> None:
    """Reserve real blocks for *size* bytes of a file that is not larger; no byte is written.

    Raises:
        OSError: ENOSPC is real; one of `UNSUPPORTED` where there is no such thing.
    """
    if sys.platform != "darwin":
        reserve(fd, 0, size)
        return
    import fcntl

    for flags in (_F_ALLOCATECONTIG, _F_ALLOCATEALL):
        request = struct.pack("=Iiqqq", flags, _F_PEOFPOSMODE, 0, size, 0)
        try:
            fcntl.fcntl(fd, _F_PREALLOCATE, request)
            break
        except OSError:
            if flags == _F_ALLOCATEALL:
                raise


def clone(source: int, target: int) -> None:
    """Let *target* share all blocks of *source*.

    Raises:
        OSError: one of `UNSUPPORTED` where the file systems cannot.
    """
    if sys.platform != "linux":
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    import fcntl

    fcntl.ioctl(target, _FICLONE, source)


def sync_data(fd: int) -> None:
    """Bring the content of *fd* to the medium."""
    if sys.platform == "darwin":
        import fcntl

        try:
            fcntl.fcntl(fd, _F_FULLFSYNC)  # fsync stops at the drive's cache there
            return
        except OSError as error:
            if error.errno not in UNSUPPORTED:
                raise
    if hasattr(os, "fdatasync"):
        os.fdatasync(fd)
    else:
        os.fsync(fd)


def memory_bytes() -> int | None:
    """Return how much memory this machine has, or None where nobody says."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def open_files_limit() -> int:
    """Return how many files this process may have open at once."""
    try:
        import resource
    except ImportError:
        return 512  # of the C runtime on Windows
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def process_alive(pid: int) -> bool:
    """Return whether a process *pid* of this machine lives, stopped or not."""
    if sys.platform == "win32":
        # Signal 0 would end the process there.
        kernel = ctypes.WinDLL("kernel32")
        process = kernel.OpenProcess(_PROCESS_QUERY_LIMITED_INFORMATION, False, pid)
        if not process:
            return False
        code = ctypes.c_ulong()
        kernel.GetExitCodeProcess(process, ctypes.byref(code))
        kernel.CloseHandle(process)
        return code.value == _STILL_ACTIVE
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
