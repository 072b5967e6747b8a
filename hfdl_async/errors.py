"""Every error raised on purpose, its exit code, and how a retry loop may treat it.

The hierarchy is public: a caller catches `HfdlError`, or one class of failure. Only the
message is positional and everything else is an attribute, so that errors pickle.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from hfdl_async.core.model import Report

__all__ = [
    "AccessError",
    "BusyError",
    "DownloadError",
    "GatedError",
    "HfdlError",
    "IntegrityError",
    "InterruptedDownloadError",
    "LinkRefusedError",
    "LostConnectionError",
    "NetworkError",
    "NotFoundError",
    "OtherRepoError",
    "ProtocolError",
    "RangeIgnoredError",
    "RateLimitedError",
    "Refusal",
    "ServerError",
    "StorageError",
    "UnsafeError",
    "UsageError",
]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What of a server's answer made an error, as far as it may be shown.

    Attributes:
        url: what was asked for, without a query.
        status: the HTTP status.
        code, message: what the Hub says in `X-Error-Code` and `X-Error-Message`, or nothing.
        request_id: the Hub's name for the request, or nothing.
    """

    url: str
    status: int
    code: str = ""
    message: str = ""
    request_id: str = ""


class HfdlError(Exception):
    """Something that happened to something, and what to do about it.

    Attributes:
        exit_code: what the command exits with when this ends a run.
        kind: the stable one-word class of the failure, as the JSON report shows it.
        ends_run: whether every other file would meet the same failure.
        hint: the next step for the user, or None.
        report: after a run, what had been achieved; None before.
        refusal: the answer that says so, where a server gave one.
    """

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "internal"
    ends_run: bool = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.report: Report | None = None
        self.refusal: Refusal | None = None

    @property
    def message(self) -> str:
        """What happened, in one sentence."""
        return str(self.args[0])


class UsageError(HfdlError):
    """An option or a value that cannot be."""

    exit_code = 2
    kind = "usage"


class AccessError(HfdlError):
    """The Hub knows what was asked for, or will not say, and refuses it."""

    exit_code = 3
    kind = "access"
    ends_run = True


class GatedError(AccessError):
    """Access must be asked for on a page of the Hub first: *url*."""

    def __init__(self, message: str, *, hint: str | None = None, url: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.url = url


class NotFoundError(HfdlError):
    """No such repo, revision or file, or nothing was selected."""

    exit_code = 4
    kind = "not-found"


class NetworkError(HfdlError):
    """Gave up on the network: final as it stands; subclasses may be tried again."""

    exit_code = 5
    kind = "network"


class LostConnectionError(NetworkError):
    """No answer, or half of one: DNS, connect, reset, early end, silence. Worth another try."""


class ServerError(NetworkError):
    """The server answered with a 5xx or 408. Worth another try."""


class RateLimitedError(NetworkError):
    """The server asked for patience: 429, or 503 with a `Retry-After`.

    `retry_after_seconds` is the wait the server stated, or None when it stated none.
    """

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class ProtocolError(NetworkError):
    """An answer that cannot be used: another range, a portal's page. Worth a few more tries."""


class RangeIgnoredError(NetworkError):
    """A whole file came back for a range: ask for the file in one stream instead."""


class LinkRefusedError(NetworkError):
    """The storage host refused a signed URL: a fresh one may do."""


class IntegrityError(HfdlError):
    """Content differs from the digest the Hub published."""

    exit_code = 6
    kind = "integrity"


class StorageError(HfdlError):
    """The disk said no: full, read-only, an I/O error, something in the way.

    `ends_run` tells a disk that refuses everything from one name that cannot be.
    """

    exit_code = 7
    kind = "storage"

    def __init__(self, message: str, *, hint: str | None = None, ends_run: bool = False) -> None:
        super().__init__(message, hint=hint)
        self.ends_run = ends_run


class UnsafeError(HfdlError):
    """Refused for safety: a hostile name, a redirect, files that are not ours."""

    exit_code = 8
    kind = "unsafe"


class OtherRepoError(UnsafeError):
    """The folder belongs to another repo."""


class BusyError(HfdlError):
    """Another process works on this target."""

    exit_code = 9
    kind = "busy"


class InterruptedDownloadError(HfdlError):
    """The run was stopped before this file was finished; found in reports, never raised."""

    exit_code = 130
    kind = "interrupted"


class DownloadError(HfdlError):
    """Several files failed for different reasons, listed in `errors`."""

    exit_code = 10
    kind = "mixed"

    def __init__(
        self, message: str, *, hint: str | None = None, errors: Sequence[HfdlError] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.errors = tuple(errors)
