"""The loops that what waits for sockets is tested on: asyncio's own, and uvloop if installed."""

from __future__ import annotations

import importlib.util

import pytest

_WITH_UVLOOP = pytest.mark.skipif(
    importlib.util.find_spec("uvloop") is None, reason="uvloop is not installed"
)
LOOPS = [
    pytest.param("asyncio", id="asyncio"),
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop", marks=_WITH_UVLOOP),
]
