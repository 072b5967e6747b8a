"""Download Hugging Face repos: every byte proven, every interruption resumed.

    from hfdl_async import download

    report = await download("org/model")

Names are loaded when they are first used, so that `hfdl --version` stays quick.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hfdl_async.api import Downloader, Job, download, plan, status, verify
    from hfdl_async.blocking import HFDownloader, download_sync
    from hfdl_async.core.model import Plan, Report
    from hfdl_async.core.options import DownloadOptions
    from hfdl_async.core.verdict import VerifyReport
    from hfdl_async.errors import HfdlError

__version__ = "0.1.0"

__all__ = [
    "DownloadOptions",
    "Downloader",
    "HFDownloader",
    "HfdlError",
    "Job",
    "Plan",
    "Report",
    "VerifyReport",
    "__version__",
    "download",
    "download_sync",
    "plan",
    "status",
    "verify",
]

_HOMES = {
    "DownloadOptions": "hfdl_async.core.options",
    "Downloader": "hfdl_async.api",
    "HFDownloader": "hfdl_async.blocking",
    "HfdlError": "hfdl_async.errors",
    "Job": "hfdl_async.api",
    "Plan": "hfdl_async.core.model",
    "Report": "hfdl_async.core.model",
    "VerifyReport": "hfdl_async.core.verdict",
    "download": "hfdl_async.api",
    "download_sync": "hfdl_async.blocking",
    "plan": "hfdl_async.api",
    "status": "hfdl_async.api",
    "verify": "hfdl_async.api",
}


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
