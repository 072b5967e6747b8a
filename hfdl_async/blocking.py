"""Downloads for code without a loop, and the predecessor's class. They also work inside a loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import warnings
from collections.abc import Callable, Coroutine
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar

from hfdl_async import api
from hfdl_async.core.model import Report
from hfdl_async.core.options import DownloadOptions
from hfdl_async.engine.bus import Listener
from hfdl_async.loops import new_loop, run

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["HFDownloader", "download_sync"]

T = TypeVar("T")


def download_sync(
    repo: str,
    files: api.Files = None,
    *,
    progress: bool | None = None,
    on_event: Listener | None = None,
    **options: Unpack[DownloadOptions],
) -> Report:
    """Download as `download` does and block until it has ended.

    Where a loop already runs (a notebook cell), the download gets a loop of its own in another
    thread; a warning says once that `await download(...)` is the better way there.

    Raises:
        HfdlError: it failed, in part or as a whole; `report` says how far it came.
    """
    return _run(lambda: api.download(repo, files, progress=progress, on_event=on_event, **options))


class HFDownloader:
    """The predecessor's way in: construct, then `download()`.

    The arguments keep the predecessor's names, units and defaults: `chunk_size` in bytes,
    `min_free_space` and `file_size_threshold` in MB, `speed_test_duration` in seconds.
    """

    def __init__(
        self,
        model_id: str,
        download_dir: str | PathLike[str] = "downloads",
        num_threads: int | str = "auto",
        repo_type: str = "model",
        chunk_size: int | None = None,
        min_free_space: int | None = None,
        file_size_threshold: int = 200,
        min_speed_percentage: int | None = None,
        speed_test_duration: int | None = None,
        verify: bool = False,
        fix_broken: bool = False,
        force: bool = False,
    ) -> None:
        self.model_id = model_id
        self.report: Report | None = None
        self._options: DownloadOptions = {
            "directory": download_dir,
            "connections": num_threads,
            "file_size_threshold": file_size_threshold,
            "verify": verify,
            "fix_broken": fix_broken,
            "force": force,
        }
        if repo_type != "model":
            self._options["repo_type"] = repo_type  # else a prefix of the id decides
        if chunk_size is not None:
            self._options["chunk_size"] = chunk_size
        if min_free_space is not None:
            self._options["min_free_space"] = min_free_space
        if speed_test_duration is not None:
            self._options["speed_test_duration"] = speed_test_duration
        if min_speed_percentage is not None:
            self._options["min_speed_percentage"] = min_speed_percentage

    def download(self) -> bool:
        """Download and return True; `report` has the details.

        Raises:
            HfdlError: it failed, in part or as a whole.
        """
        self.report = _run(self._download)
        return True

    async def adownload(self) -> bool:
        """Download as `download` does, without blocking the loop.

        Raises:
            HfdlError: it failed, in part or as a whole.
        """
        self.report = await self._download()
        return True

    def _download(self) -> Coroutine[Any, Any, Report]:
        return api.download(self.model_id, **self._options)


def block_on(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Return what the coroutine that *make* makes returns, wherever this is called.

    Where a loop already runs, that is another loop in another thread.
    """
    return _in_another_thread(make) if _in_a_loop() else run(make())


def _run(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    if _in_a_loop():
        _warn_once()
    return block_on(make)


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_another_thread(make: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run on a loop of its own and block; an interrupt here cancels the run there."""
    results: list[T] = []
    errors: list[BaseException] = []
    loop = new_loop()
    task = loop.create_task(make())

    def work() -> None:
        asyncio.set_event_loop(loop)
        try:
            results.append(loop.run_until_complete(task))
        except BaseException as error:  # noqa: BLE001 - carried over to the thread that waits
            errors.append(error)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    thread = threading.Thread(target=work, name="hfdl download")
    thread.start()
    try:
        thread.join()
    except BaseException:
        with contextlib.suppress(RuntimeError):  # closed: it ended just now
            loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    if errors:
        raise errors[0]
    return results[0]


_warned = False


def _warn_once() -> None:
    global _warned
    if not _warned:
        _warned = True
        warnings.warn(
            "a loop is running here: `await download(...)` would not block it",
            RuntimeWarning,
            stacklevel=4,
        )
