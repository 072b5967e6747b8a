"""A library that makes every sync a lie, to see what durability costs; a C compiler makes it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

_SOURCE = """
int fsync(int file) { return 0; }
int fdatasync(int file) { return 0; }
int syncfs(int file) { return 0; }
int sync_file_range(int file, long start, long size, unsigned flags) { return 0; }
"""


def make_library(folder: Path) -> Path | None:
    """Return the library for LD_PRELOAD, made in *folder*; None without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    source, library = folder / "nosync.c", folder / "nosync.so"
    source.write_text(_SOURCE)
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, source], check=True)
    return library
