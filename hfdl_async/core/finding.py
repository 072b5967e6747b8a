"""What lies at a final name, compared with what the listing says should."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from hfdl_async.core.model import Digest
from hfdl_async.core.state import Receipt


class Found(Enum):
    """The kinds of things a run can find at a final name."""

    ABSENT = "absent"
    FITS = "fits"  # a receipt says so and still fits; not read unless asked to
    RIGHT = "right"  # no fitting receipt, but the content is equal: can be adopted
    OLDER = "older"  # ours, of an older commit, untouched since
    ROTTEN = "rotten"  # ours, wrong by content though size and mtime are as recorded
    CHANGED = "changed"  # ours, but somebody changed it since
    FOREIGN = "foreign"  # not ours, and different
    WRONG = "wrong"  # where only one content may be, another: nobody's work, to be replaced
    LINK = "link"  # a symbolic link at the final name itself
    IN_THE_WAY = "in the way"  # a folder or a special file here, or a file where a folder goes


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found for one file.

    Attributes:
        state: the kind.
        have_bytes: bytes that an unfinished part claims to hold (not proven yet).
        part_bytes: bytes of disk space that this part takes up, whatever it holds.
        receipt: the recorded one where it differs from what is wanted; for RIGHT a fresh one that
            is not recorded yet.
        found: the digest of the content, where it was read.
        nameless: the content is right, but the name that leads to it is missing.
        blocker: for IN_THE_WAY, the path in the repo of what is in the way.
    """

    state: Found
    have_bytes: int = 0
    part_bytes: int = 0
    receipt: Receipt | None = None
    found: Digest | None = None
    blocker: str | None = None
    nameless: bool = False

    @property
    def is_right(self) -> bool:
        """Whether the content that is wanted is in place."""
        return self.state in (Found.FITS, Found.RIGHT)


ABSENT = Finding(Found.ABSENT)
"""What most files of a first download are: one value for a million of them."""

FITS = Finding(Found.FITS)
"""What nearly all files of a later one are: whose receipt it is can be looked up."""
