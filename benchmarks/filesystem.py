"""Which kind of file system a folder is on."""

from __future__ import annotations

from pathlib import Path

MOUNTS = Path("/proc/self/mounts")


def filesystem_of(folder: Path) -> str:
    """Return its kind as the kernel calls it, `unknown` where it does not tell."""
    return find_filesystem(MOUNTS.read_text(), folder.resolve()) if MOUNTS.exists() else "unknown"


def find_filesystem(mounts: str, folder: Path) -> str:
    """Return the kind of the innermost mount in *mounts* that holds *folder*."""
    found, kind = Path(), "unknown"
    for line in mounts.splitlines():
        _, point, this_kind, *_ = line.split()
        place = Path(point.replace("\\040", " "))
        # A later mount hides an earlier one at the same place.
        if folder.is_relative_to(place) and len(place.parts) >= len(found.parts):
            found, kind = place, this_kind
    return kind
