"""The command as a process: signals, closed streams, what it imports."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.errors import HfdlError, NetworkError
from hfdl_async.serving.process import serve_in_process
from hfdl_async.ui.interrupts import Interrupts
from hfdl_async.ui.runs import for_target, unless_interrupted
from hfdl_async.ui.settings import settle

HFDL = [sys.executable, "-m", "hfdl_async"]
SLOW = ["--generate", "org/slow", "--size", "40MB", "--rate", "10MB"]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    arguments = ["--generate", "org/model", "--size", "3MB"]
    with serve_in_process(arguments) as served:
        yield served.endpoint


@pytest.fixture(scope="module")
def slow_endpoint() -> Iterator[str]:
    with serve_in_process(SLOW) as served:
        yield served.endpoint


def environ(endpoint: str, **more: str) -> dict[str, str]:
    return {**os.environ, "HFDL_ENDPOINT": endpoint, **more}


def begin(endpoint: str, folder: Path, *more: str) -> subprocess.Popen[str]:
    """Start a download and return when bytes are arriving."""
    command = [*HFDL, "org/slow", "--local-dir", str(folder), "--json", *more]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ(endpoint)
    )
    parts = folder / ".download_state" / "parts"
    deadline = time.monotonic() + 20
    while not (parts.is_dir() and any(path.stat().st_blocks for path in parts.glob("*.part"))):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.5)
    return process


@pytest.mark.e2e
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_says_how_to_go_on_and_the_next_run_continues(
    slow_endpoint: str, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    folder = tmp_path / "x"
    process = begin(slow_endpoint, folder, "--no-resume")
    process.send_signal(number)
    output, errors = process.communicate(timeout=10)
    report = json.loads(output)
    assert (process.returncode, report["exit_code"]) == (code, code), errors
    assert report["status"] == "interrupted"
    assert f"hint: to continue, run: hfdl org/slow --local-dir {folder} --json\n" in errors
    assert "Traceback" not in errors
    done = subprocess.run(
        [*HFDL, "org/slow", "--local-dir", str(folder), "--json"],
        capture_output=True, env=environ(slow_endpoint), check=True,
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["status"] == "ok"
    assert report["bytes"]["resumed"] + report["bytes"]["reused"] > 0


@pytest.mark.e2e
def test_imports_of_help_and_version_are_few() -> None:
    code = (
        "import sys; sys.argv[1:] = {arguments}\n"
        "from hfdl_async.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {{'aiohttp', 'anyio', 'huggingface_hub', 'pydantic'}} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    for arguments in (["--help"], ["--help-all"], ["--version"], ["-v"], ["verify", "--help"]):
        subprocess.run(
            [sys.executable, "-c", code.format(arguments=arguments)],
            check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip


@pytest.mark.e2e
def test_a_quiet_download_imports_nothing_that_it_does_not_need(
    endpoint: str, tmp_path: Path
) -> None:
    code = (
        "import sys\n"
        "from hfdl_async.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "print(*sorted(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "org/model", "-q", "--local-dir", str(tmp_path / "x")],
        capture_output=True, text=True, check=True,
        env=environ(endpoint, HF_HOME=str(tmp_path)),
    )  # fmt: skip
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "hfdl_async.net.lane" in loaded
    spare = {"aiohttp", "h11"}  # for answers out of the ordinary
    validation, login = {"pydantic"}, {"huggingface_hub.errors", "httpx2", "importlib.metadata"}
    screens = {"IPython", "rich.console", "rich.live", "hfdl_async.display.terminal"}
    others = {"hfdl_async.ui.demo", "hfdl_async.serving"}
    needless = loaded & (spare | validation | login | screens | others)
    assert not needless


@pytest.mark.e2e
@pytest.mark.skipif(os.name == "nt", reason="no such shell")
@pytest.mark.parametrize("ending", ["| head -c1", ">&-", "2>&-", ">&- 2>&- <&-"])
@pytest.mark.parametrize("what", ["--help", "org/model --json", "org/model", "plan org/model"])
def test_streams_that_are_closed_leave_the_code_and_no_traceback(
    endpoint: str, tmp_path: Path, what: str, ending: str
) -> None:
    script = f"( {sys.executable} -m hfdl_async {what}; echo $? >code ) {ending}"
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, cwd=tmp_path,
        env=environ(endpoint, PYTHONPATH=str(Path(__file__).parents[2])), check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert "Broken" not in done.stderr
    assert (tmp_path / "code").read_text() == "0\n"


@pytest.mark.e2e
@pytest.mark.parametrize("variables", [{"LC_ALL": "C"}, {"PYTHONIOENCODING": "ascii"}])
@pytest.mark.parametrize("what", [["--help-all"], ["org/model"], ["plan", "org/model"]])
def test_terminals_that_are_not_utf8_are_no_reason_to_fail(
    endpoint: str, tmp_path: Path, what: list[str], variables: dict[str, str]
) -> None:
    folder = tmp_path / "模型"
    folder.mkdir()
    where = [] if what[0].startswith("-") else ["--directory", str(folder)]
    done = subprocess.run(
        [*HFDL, *what, *where], capture_output=True, env=environ(endpoint, **variables), check=True
    )
    assert b"Traceback" not in done.stderr
    if where:
        assert done.stdout.splitlines()[-1] == os.fsencode(folder / "model")


@pytest.mark.anyio
async def test_a_signal_cancels_the_work_and_gives_nothing() -> None:
    import anyio

    interrupts = Interrupts([])
    ended: list[str] = []

    async def work() -> str:
        interrupts.signum = signal.SIGINT
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("cancelled")
        return "never"

    assert await unless_interrupted(work, interrupts) is None
    assert ended == ["cancelled"]


@pytest.mark.anyio
async def test_results_and_errors_of_the_work_pass_through() -> None:
    async def good() -> str:
        return "done"

    async def bad() -> str:
        raise NetworkError("gone")

    assert await unless_interrupted(good, Interrupts([])) == "done"
    with pytest.raises(HfdlError, match="gone"):
        await unless_interrupted(bad, Interrupts([]))


def test_a_folder_of_ours_is_verified_as_one_whatever_the_environment_says(tmp_path: Path) -> None:
    (tmp_path / "ours" / STATE_FOLDER).mkdir(parents=True)
    around = {"HFDL_CACHE": "1"}

    def cached(target: str, given: dict[str, object]) -> bool:
        return "cache" in for_target(target, settle("verify", given, around)).options

    assert not cached(str(tmp_path / "ours"), {})
    assert cached(str(tmp_path / "ours"), {"cache": True})
    assert cached("org/model", {})
