"""The public name of the facts a download tells (see `hfdl_async.core.events`)."""

from hfdl_async.core.events import (
    ConcurrencyChanged,
    ConnectionReplaced,
    Event,
    FileFailed,
    FilePublished,
    FileResumed,
    FileStarted,
    FileVerified,
    Finished,
    PlanMade,
    Progress,
    RateLimited,
    SegmentRetried,
)

__all__ = [
    "ConcurrencyChanged",
    "ConnectionReplaced",
    "Event",
    "FileFailed",
    "FilePublished",
    "FileResumed",
    "FileStarted",
    "FileVerified",
    "Finished",
    "PlanMade",
    "Progress",
    "RateLimited",
    "SegmentRetried",
]
