"""Many on one cache at once: processes, containers, the reference client; killed or not."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from hfdl_async.core.model import KIB, MB, MIB
from hfdl_async.serving import HostedRepo, Settings
from hfdl_async.serving.content import Content
from hfdl_async.testing.faults import ScriptedHub
from tests.e2e.cachestage import (
    STATE,
    Library,
    check_blobs,
    check_snapshot,
    folder_of,
    head_of,
    snapshot_of,
)
from tests.e2e.conftest import OpenShell, Serve
from tests.e2e.stage import (
    MODULE,
    Running,
    Shell,
    files_of,
    model,
    noise,
    payload,
    size_of,
    until,
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
]

ONCE = 1.05  # of the size: nothing comes twice
KILL_COSTS = 64 * MIB
FLEET = 8
LITTLE = 24 * MIB
SHORT = os.environ.get("SWEEP") == "short"
SEED = int(os.environ.get("SWEEP_SEED", "20"))


@pytest.fixture
def cache(place: Path) -> Path:
    return place / "cache"


def words_for(cache: Path) -> tuple[object, ...]:
    return ("org/model", "--cache-dir", cache, "--no-progress")


def check_cache(cache: Path, repo: HostedRepo) -> None:
    """Insist that the cache is right and complete for every reader, and nothing is left over."""
    from huggingface_hub import scan_cache_dir, snapshot_download

    check_blobs(cache, repo)
    check_snapshot(cache, repo)
    assert (folder_of(cache, repo) / "refs" / "main").read_text() == head_of(repo)
    assert list((folder_of(cache, repo) / STATE / "parts").iterdir()) == []
    assert scan_cache_dir(cache).warnings == []
    found = snapshot_download("org/model", cache_dir=cache, local_files_only=True)
    assert found == str(snapshot_of(cache, repo))


# -- a fleet of our own ----------------------------------------------------------------------


def test_eight_at_once_on_a_cold_cache_fetch_it_once(
    serve: Serve, shell: OpenShell, cache: Path
) -> None:
    repo = model(LITTLE)
    hub = serve(repo)
    with ExitStack() as stack:
        fleet = [
            stack.enter_context(shell(hub).start(*words_for(cache), "--json")) for _ in range(FLEET)
        ]
        reports = [one.wait().check().report for one in fleet]
    check_cache(cache, repo)
    assert payload(hub) <= ONCE * size_of(repo)
    fetched = [report["bytes"]["downloaded"] for report in reports]
    assert sorted(fetched)[:-1] == [0] * (FLEET - 1)
    assert {report["path"] for report in reports} == {str(snapshot_of(cache, repo))}


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_another_one_takes_over_from_a_killed_one(
    serve: Serve, shell: OpenShell, cache: Path, share: float
) -> None:
    repo = model(96 * MIB)
    hub = serve(repo, settings=Settings(rate_bytes_per_second=80 * MB))
    signed = folder_of(cache, repo) / STATE / "holder.json"
    with ExitStack() as stack:
        fleet = [
            stack.enter_context(shell(hub).start(*words_for(cache), "--json")) for _ in range(3)
        ]
        until(lambda: payload(hub) > share * size_of(repo))
        holder = json.loads(signed.read_text())["pid"]
        [victim] = [one for one in fleet if one.process.pid == holder]
        victim.send(signal.SIGKILL)
        assert victim.wait().code == -signal.SIGKILL
        others = [one.wait().check().report for one in fleet if one is not victim]
    check_cache(cache, repo)
    assert payload(hub) <= ONCE * size_of(repo) + KILL_COSTS
    assert sum(report["bytes"]["downloaded"] > 0 for report in others) == 1


def test_it_waits_for_nobody_on_request(serve: Serve, shell: OpenShell, cache: Path) -> None:
    repo = model(LITTLE)
    hub = serve(repo, settings=Settings(rate_bytes_per_second=12 * MB))
    with shell(hub).start(*words_for(cache)) as first:
        until(lambda: payload(hub) > MIB, first)
        busy = shell(hub).run(*words_for(cache), "--wait", "0").check(9)
        assert f"process {first.process.pid} on {socket.gethostname()}" in busy.errors[0]
        [folder] = shell(hub).run("status", cache, "--json").check().report["folders"]
        assert folder["holder"]["pid"] == first.process.pid
        first.wait().check()
    check_cache(cache, repo)


def test_two_repos_in_one_cache_do_not_wait_for_each_other(
    serve: Serve, shell: OpenShell, cache: Path
) -> None:
    slow, other = model(LITTLE), model(MIB, "org/other")
    hub = serve(slow, other, settings=Settings(rate_bytes_per_second=12 * MB))
    with shell(hub).start(*words_for(cache)) as first:
        until(lambda: payload(hub) > MIB, first)
        shell(hub).run("org/other", *words_for(cache)[1:], "--wait", "0").check()
        assert not first.has_ended
        first.wait().check()
    check_cache(cache, slow)
    check_snapshot(cache, other)


def test_a_reader_never_meets_a_ref_to_what_is_not_there(
    serve: Serve, shell: OpenShell, cache: Path
) -> None:
    repo = model(LITTLE)
    hub = serve(repo, settings=Settings(rate_bytes_per_second=24 * MB))
    ref = folder_of(cache, repo) / "refs" / "main"
    snapshot = snapshot_of(cache, repo)
    with shell(hub).start(*words_for(cache)) as running:
        while not ref.exists():
            for path in snapshot.rglob("*"):
                assert path.exists(), f"{path} leads nowhere"
            assert not running.has_ended, str(running.wait())
            time.sleep(0.002)
        assert ref.read_text() == head_of(repo)
        check_snapshot(cache, repo)
        running.wait().check()
    check_cache(cache, repo)


def test_a_group_may_share_a_cache(serve: Serve, shell: OpenShell, cache: Path) -> None:
    repo = model(LITTLE)
    hub = serve(repo)
    before = os.umask(0o002)
    try:
        shell(hub).run(*words_for(cache)).check()
        repo.commit({"config.json": b"{}", "new.safetensors": noise("new", MIB)})
        shell(hub).run(*words_for(cache)).check()
    finally:
        os.umask(before)
    check_cache(cache, repo)
    for path in [cache, *cache.rglob("*")]:
        if not path.is_symlink():
            mode = path.stat().st_mode & 0o777
            assert mode == (0o775 if path.is_dir() else 0o664), f"{path}: {mode:o}"


# -- process 1 of a container ----------------------------------------------------------------

CONTAINER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


@pytest.fixture
def container() -> tuple[str, ...]:
    """Give what makes a command the first process of a namespace of its own."""
    if shutil.which("unshare") is None:
        pytest.skip("NOT TESTED HERE: process 1 of a container needs unshare(1)")
    done = subprocess.run([*CONTAINER, "true"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"NOT TESTED HERE: no right to make a namespace: {done.stderr.strip()}")
    return CONTAINER


def inside(running: Running) -> int:
    """Return, by its number out here, the process that is number 1 in there."""
    children = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children")
    [child] = children.read_text().split()
    numbers = Path(f"/proc/{child}/status").read_text().split("NSpid:")[1].splitlines()[0].split()
    assert numbers[-1] == "1"
    return int(child)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_process_one_of_a_container_stops_when_it_is_told_to(
    serve: Serve,
    shell: OpenShell,
    place: Path,
    cache: Path,
    container: tuple[str, ...],
    signum: signal.Signals,
) -> None:
    repo = model(LITTLE)
    hub = serve(repo, settings=Settings(rate_bytes_per_second=12 * MB))
    contained = Shell(place, hub.endpoint, (*container, *MODULE))
    with contained.start(*words_for(cache)) as running:
        until(lambda: payload(hub) > LITTLE // 2, running)
        os.kill(inside(running), signum)
        ended = running.wait().check(143 if signum == signal.SIGTERM else 130)
    assert "what arrived is saved" in ended.err
    sent, rest = payload(hub), shell(hub).run(*words_for(cache), "--json").check().report
    check_cache(cache, repo)
    assert rest["bytes"]["resumed"] > 0
    assert rest["bytes"]["downloaded"] <= size_of(repo) - sent + 16 * MIB


def test_containers_in_which_everybody_is_process_one_share_a_cache(
    serve: Serve, place: Path, cache: Path, container: tuple[str, ...]
) -> None:
    repo = model(LITTLE)
    hub = serve(repo)
    contained = Shell(place, hub.endpoint, (*container, *MODULE))
    with ExitStack() as stack:
        fleet = [stack.enter_context(contained.start(*words_for(cache))) for _ in range(4)]
        for one in fleet:
            one.wait().check()
    check_cache(cache, repo)
    assert payload(hub) <= ONCE * size_of(repo)


def test_a_container_that_is_taken_away_is_taken_over(
    serve: Serve, shell: OpenShell, place: Path, cache: Path, container: tuple[str, ...]
) -> None:
    repo = model(LITTLE)
    hub = serve(repo, settings=Settings(rate_bytes_per_second=24 * MB))
    contained = Shell(place, hub.endpoint, (*container, *MODULE))
    with contained.start(*words_for(cache)) as first:
        until(lambda: payload(hub) > LITTLE // 2, first)
        with contained.start(*words_for(cache)) as second:
            until(lambda: len(hub.log.of("revision")) == 2, second)
            os.kill(inside(first), signal.SIGKILL)
            first.wait()
            second.wait().check()
    check_cache(cache, repo)


# -- the reference client at the same time ---------------------------------------------------

RACES = 10 if SHORT else 100
EVERYDAY_RACES = 2
RACE_RATE = 12 * MB
DOWNLOAD = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download("org/race", cache_dir=sys.argv[1]))
"""
RACE_FILES: dict[str, bytes | Content] = {
    "README.md": b"# race\n",
    "config.json": b"{}\n" * 500,
    "nested/vocab.txt": b"a\nb\n" * 5_000,
    "nested/empty.txt": b"",
    # Some small enough for our memory, which are not locked, and some that are.
    **{
        f"{number}.safetensors": noise(f"race/{number}", 150 * KIB * number)
        for number in range(1, 11)
    },
    "twin.safetensors": noise("race/10", 1500 * KIB),
}


@pytest.fixture(scope="module")
def race_repo() -> HostedRepo:
    return HostedRepo.from_files("org/race", RACE_FILES)


class Race:
    """Two downloaders on one cache, one of which may die; the same for the same number."""

    def __init__(self, number: int, hub: ScriptedHub, place: Path, repo: HostedRepo) -> None:
        dice = random.Random(f"{SEED}/race/{number}")
        self.hub, self.repo = hub, repo
        self.cache = place / "cache"
        environment = Library.at(hub, place).variables
        commands = {
            "ours": [*MODULE, "org/race", "--cache-dir", str(self.cache), "--json"],
            "theirs": [sys.executable, "-c", DOWNLOAD, str(self.cache)],
        }
        self.order = ("ours", "theirs") if number % 2 == 0 else ("theirs", "ours")
        self.victim = self.order[dice.randrange(2)] if dice.random() < 0.9 else None
        self.head_start_seconds = dice.choice((0.0, dice.uniform(0.0, 0.6)))
        self.kill_at = dice.random() * sum(
            {file.etag: file.size for file in files_of(repo).values()}.values()
        )
        self.running = {
            name: subprocess.Popen(
                command, env=environment, cwd=place, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            )
            for name, command in self._starting(commands)
        }  # fmt: skip

    def _starting(self, commands: dict[str, list[str]]) -> Iterator[tuple[str, list[str]]]:
        first, second = self.order
        yield first, commands[first]
        time.sleep(self.head_start_seconds)
        yield second, commands[second]

    def run(self) -> str:
        """Carry it out and return what happened, for a message."""
        about = f"seed {SEED}: {self.order[0]} first, {self.victim} killed at {self.kill_at:.0f}"
        try:
            if self.victim is not None:
                victim = self.running[self.victim]
                until(lambda: payload(self.hub) >= self.kill_at or victim.poll() is not None)
                victim.kill()
            for name, process in self.running.items():
                out, err = process.communicate(timeout=60)
                allowed = (0, -signal.SIGKILL) if name == self.victim else (0,)
                assert process.returncode in allowed, f"{about}; {name}:\n{out}\n{err}"
                assert name == self.victim or "Traceback" not in err, f"{about}\n{err}"
        finally:
            for process in self.running.values():
                process.kill()
                process.communicate()
        return about

    def check(self, about: str) -> None:
        """Insist on what the survivor promised: its snapshot whole, no blob wrong."""
        from huggingface_hub import scan_cache_dir, snapshot_download

        check_blobs(self.cache, self.repo)
        check_snapshot(self.cache, self.repo)
        assert scan_cache_dir(self.cache).warnings == [], about
        found = snapshot_download("org/race", cache_dir=self.cache, local_files_only=True)
        assert found == str(snapshot_of(self.cache, self.repo)), about


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(number, marks=() if number < EVERYDAY_RACES else pytest.mark.deep)
        for number in range(RACES)
    ],
)
def test_the_reference_client_and_hfdl_at_the_same_time(
    serve: Serve, place: Path, race_repo: HostedRepo, number: int
) -> None:
    hub = serve(race_repo, settings=Settings(rate_bytes_per_second=RACE_RATE))
    race = Race(number, hub, place, race_repo)
    race.check(race.run())


@pytest.mark.parametrize("survivor", ["ours", "theirs"])
def test_who_comes_after_a_killed_one_finds_nothing_wrong(
    serve: Serve, shell: OpenShell, place: Path, race_repo: HostedRepo, survivor: str
) -> None:
    hub = serve(race_repo, settings=Settings(rate_bytes_per_second=RACE_RATE))
    cache = place / "cache"
    library = Library.at(hub, place, HF_HUB_CACHE=str(cache))
    command = {
        "theirs": [*MODULE, "org/race", "--cache-dir", str(cache)],
        "ours": [sys.executable, "-c", DOWNLOAD, str(cache)],
    }[survivor]
    with subprocess.Popen(command, env=library.variables, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as victim:  # fmt: skip
        until(lambda: payload(hub) > size_of(race_repo) // 2 or victim.poll() is not None)
        victim.kill()
    check_blobs(cache, race_repo)
    if survivor == "ours":
        shell(hub).run("org/race", "--cache", HF_HUB_CACHE=str(cache)).check()
    else:
        library.hf("download", "org/race").check()
    check_blobs(cache, race_repo)
    check_snapshot(cache, race_repo)
    scan = json.loads(library.hf("cache", "ls", "--format", "json").check().out)
    assert [entry["repo_id"] for entry in scan] == ["org/race"]
