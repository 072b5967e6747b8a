"""What a test or the demo may set about a hub; all of it may change while it runs."""

from __future__ import annotations

from dataclasses import dataclass, field

READER_TOKEN = "hf_reader_of_everything"  # noqa: S105 - a persona of the test server
STRANGER_TOKEN = "hf_stranger_without_access"  # noqa: S105 - the same


@dataclass(slots=True)
class Settings:
    """How the hub behaves when nothing is wrong with it.

    Attributes:
        page_size: entries of a tree page.
        url_lifetime_seconds: how long a signed URL is good for; fractions work.
        rate_bytes_per_second: cap for all connections together.
        rate_per_connection: cap for each connection, in bytes per second.
        latency_seconds: silence before every answer.
        api_quota, resolver_quota: requests per window before 429.
        quota_window_seconds: length of that window.
        readers: tokens that may read everything.
        strangers: tokens the Hub knows, without access to gated and private repos.
        code_on_401: send `X-Error-Code: RepoNotFound` with a 401. The Hub does not, but the
            reference client maps a 401 without it only when the URL is https.
        external_lfs_origin: large files are redirected here, to `<origin>/<repo id>/<path>`.
        external_small_origin: the same for small files.
    """

    page_size: int = 1000
    url_lifetime_seconds: float = 3600.0
    rate_bytes_per_second: float | None = None
    rate_per_connection: float | None = None
    latency_seconds: float = 0.0
    api_quota: int = 1_000_000
    resolver_quota: int = 1_000_000
    quota_window_seconds: float = 300.0
    readers: set[str] = field(default_factory=lambda: {READER_TOKEN})
    strangers: set[str] = field(default_factory=lambda: {STRANGER_TOKEN})
    code_on_401: bool = True
    external_lfs_origin: str | None = None
    external_small_origin: str | None = None
