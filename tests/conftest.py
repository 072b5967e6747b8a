"""What every test gets: one async backend, a home of its own, no trace of the caller's account."""

import os
import signal
import tempfile

# A shell that starts us in the background, or `nohup`, has these ignored, and children inherit it.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

# The Hub client reads these once, at its import, so they are set before anything imports it.
_HOME = tempfile.mkdtemp(prefix="hfdl-tests-")


def _is_foreign(name: str) -> bool:
    return name.startswith(("HF_", "HFDL_", "HUGGING_FACE_", "HUGGINGFACE_")) or name in (
        "TRANSFORMERS_OFFLINE",
        "XDG_CACHE_HOME",
        "NO_COLOR",
        *(f"{scheme}_PROXY" for scheme in ("HTTP", "HTTPS", "ALL", "NO")),
        *(f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")),
    )


for _name in [name for name in os.environ if _is_foreign(name)]:
    del os.environ[_name]
os.environ["HF_HOME"] = _HOME
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import atexit  # noqa: E402
import shutil  # noqa: E402
from collections.abc import AsyncIterator  # noqa: E402
from contextlib import AsyncExitStack  # noqa: E402

import aiohttp  # noqa: E402
import hypothesis  # noqa: E402
import pytest  # noqa: E402

from hfdl_async.serving import HostedRepo, Settings  # noqa: E402
from hfdl_async.testing.faults import ScriptedHub, StartHub  # noqa: E402

# The same examples on every run, and no clock: a slow machine is not a failure.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None, database=None)
hypothesis.settings.load_profile("steady")

atexit.register(shutil.rmtree, _HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    """Run async tests on asyncio, which aiohttp needs."""
    return "asyncio"


@pytest.fixture(autouse=True)
def _isolated_home(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give every test a Hugging Face home of its own; child processes inherit it."""
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf-home")))


@pytest.fixture
async def hub() -> AsyncIterator[StartHub]:
    """Give a function that starts hubs; all of them end with the test."""
    async with AsyncExitStack() as stack:

        async def start(*repos: HostedRepo, settings: Settings | None = None) -> ScriptedHub:
            return await stack.enter_async_context(ScriptedHub(repos, settings=settings))

        yield start


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a plain client that undoes nothing of what a server sends."""
    async with aiohttp.ClientSession(auto_decompress=False, requote_redirect_url=False) as session:
        yield session
