from __future__ import annotations

import asyncio
import importlib.util
import sys

import pytest

from hfdl_async.loops import new_loop, run

INSTALLED = importlib.util.find_spec("uvloop") is not None


async def kind() -> str:
    return type(asyncio.get_running_loop()).__module__


def kind_of_new_loop() -> str:
    loop = new_loop()
    try:
        return loop.run_until_complete(kind())
    finally:
        loop.close()


@pytest.mark.skipif(not INSTALLED, reason="uvloop is not installed")
def test_uvloop_is_used_where_it_is_installed() -> None:
    assert run(kind()).startswith("uvloop")
    assert kind_of_new_loop().startswith("uvloop")


def test_it_is_never_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run(kind()).startswith("asyncio")
    assert kind_of_new_loop().startswith("asyncio")
