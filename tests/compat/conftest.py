"""A hub on a thread, because the calls block, and the two sides in front of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import (  # type: ignore[attr-defined] # lazy exports
    disable_progress_bars,
    enable_progress_bars,
)

from hfdl_async.serving import HostedRepo
from tests.compat.sides import Both
from tests.e2e.stage import running_hub

Serve = Callable[..., Both]


@pytest.fixture(autouse=True)
def _plain_library(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the library fetch by HTTP, as the hub serves it, and draw nothing."""
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    disable_progress_bars()
    yield
    enable_progress_bars()


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Serve]:
    """Give a function that serves repos and returns the two sides."""
    with ExitStack() as stack:

        def start(*repos: HostedRepo) -> Both:
            return Both.over(stack.enter_context(running_hub(repos)), tmp_path)

        yield start
