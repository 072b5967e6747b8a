"""A hub, a shell and a folder for each end-to-end test."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from hfdl_async.core.model import GIB
from hfdl_async.serving import HostedRepo, Settings
from hfdl_async.testing.faults import ScriptedHub
from tests.e2e.stage import Shell, fast_folder, running_hub


class Serve(Protocol):
    """The shape of the fixture that starts a hub."""

    def __call__(self, *repos: HostedRepo, settings: Settings | None = None) -> ScriptedHub:
        """Serve *repos* until the test ends."""
        ...


class OpenShell(Protocol):
    """The shape of the fixture that makes a place to run the command in."""

    def __call__(self, hub: ScriptedHub | None = None, folder: Path | None = None) -> Shell:
        """Return a shell in *folder*, or in the one of the test."""
        ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Give a function that starts hubs; all of them end with the test."""
    with ExitStack() as stack:

        def start(*repos: HostedRepo, settings: Settings | None = None) -> ScriptedHub:
            return stack.enter_context(running_hub(repos, settings))

        yield start


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Give a folder, in memory where there is room: tests write hundreds of megabytes."""
    memory = fast_folder(2 * GIB)
    if memory is None:
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="hfdl-e2e-", dir=memory))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def shell(place: Path) -> OpenShell:
    """Give a function that makes shells."""

    def open_shell(hub: ScriptedHub | None = None, folder: Path | None = None) -> Shell:
        return Shell(folder or place, hub.endpoint if hub else "")

    return open_shell
