"""Killed, interrupted, terminated at any instant: the same command goes on from what it had."""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import pytest

from hfdl_async.core.model import MB, MIB
from hfdl_async.serving import HostedRepo, Settings
from hfdl_async.testing.faults import Fault, ScriptedHub, SlowHeaders
from tests.e2e.conftest import OpenShell, Serve
from tests.e2e.stage import (
    WEIGHTS,
    Ended,
    Shell,
    check_complete,
    check_final_names,
    files_of,
    model,
    parts_of,
    payload,
    size_of,
    until,
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
]

KILL_COSTS = 64 * MIB
SIGNAL_COSTS = 16 * MIB
LITTLE, LITTLE_RATE = 80 * MIB, 80 * MB
BIG, BIG_RATE = 256 * MIB, 20 * MB
SHORT = os.environ.get("SWEEP") == "short"
SEED = int(os.environ.get("SWEEP_SEED", "20"))


def points(name: str, count: int) -> list[float]:
    """Return *count* points from start to end of a download, the same for the same seed."""
    dice = random.Random(f"{SEED}/{name}")
    return [round(dice.uniform(0.0, 0.97), 3) for _ in range(count)]


DEEP_KILLS = points("kills", 3 if SHORT else 20)
DEEP_SIGNALS = points("signals", 2 if SHORT else 10)


class Scene:
    """One repo, one hub held at a rate, one folder, one command."""

    def __init__(self, hub: ScriptedHub, shell: Shell, repo: HostedRepo) -> None:
        self.hub, self.shell, self.repo = hub, shell, repo
        self.target = shell.folder / "model"
        self.words = (repo.repo_id, "--local-dir", self.target, "--no-progress")

    def stop_at(self, share: float, *signals: signal.Signals) -> Ended:
        """Run until this share of the repo was sent since now, then send the signals."""
        before, goal = payload(self.hub), share * size_of(self.repo)
        with self.shell.start(*self.words) as running:
            until(lambda: payload(self.hub) - before > goal, running)
            for signum in signals:
                running.send(signum)
            ended = running.wait()
        check_final_names(self.target, self.repo)
        self.check_parts()
        return ended

    def check_parts(self) -> None:
        """At most one part and one record for each file, and never one of a finished file."""
        unfinished = files_of(self.repo).keys() - check_final_names(self.target, self.repo)
        for suffix in (".part", ".json"):
            found = [path for path in parts_of(self.target) if path.suffix == suffix]
            # Published and not yet swept: a kill may come between a name and its record's end.
            assert len(found) <= len(unfinished) + (suffix == ".json"), found

    def finish(self) -> dict[str, object]:
        """Run the same command to its end and return the report."""
        report = self.shell.run(*self.words, "--json").check().report
        check_complete(self.target, self.repo)
        assert report["status"] == "ok"
        return report


@pytest.fixture
def scene(serve: Serve, shell: OpenShell) -> Scene:
    repo = model(LITTLE)
    hub = serve(repo, settings=Settings(rate_bytes_per_second=LITTLE_RATE))
    return Scene(hub, shell(hub), repo)


@pytest.fixture
def big_scene(serve: Serve, shell: OpenShell) -> Scene:
    repo = model(BIG)
    hub = serve(repo, settings=Settings(rate_bytes_per_second=BIG_RATE))
    return Scene(hub, shell(hub), repo)


def kill_and_finish(scene: Scene, share: float) -> None:
    scene.stop_at(share, signal.SIGKILL)
    scene.finish()
    cost = payload(scene.hub) - size_of(scene.repo)
    assert cost <= KILL_COSTS, f"seed {SEED}, at {share}: {cost / MIB:.1f} MiB fetched again"


# The last one is late enough for a download that starts over to cost more than it may.
@pytest.mark.parametrize("share", [*points("everyday", 2), 0.95])
def test_a_killed_download_goes_on_where_it_was(scene: Scene, share: float) -> None:
    kill_and_finish(scene, share)


@pytest.mark.deep
@pytest.mark.parametrize("share", DEEP_KILLS)
def test_a_long_download_killed_anywhere_goes_on_where_it_was(
    big_scene: Scene, share: float
) -> None:
    kill_and_finish(big_scene, share)


def test_killed_again_and_again_it_still_gets_there(scene: Scene) -> None:
    kills = 3
    for share in points("in a row", kills):
        scene.stop_at(share / kills, signal.SIGKILL)
    scene.finish()
    assert payload(scene.hub) - size_of(scene.repo) <= kills * KILL_COSTS, f"seed {SEED}"


def test_killed_before_the_first_byte_it_starts(scene: Scene) -> None:
    with scene.shell.start(*scene.words) as running:
        until(lambda: scene.target.exists(), running)
        running.send(signal.SIGKILL)
        assert running.wait().code == -signal.SIGKILL
    scene.check_parts()
    scene.finish()


def stop_and_finish(scene: Scene, share: float, signum: signal.Signals) -> None:
    ended = scene.stop_at(share, signum)
    if ended.code == 0:  # the signal came after the last byte
        return
    ended.check(130 if signum == signal.SIGINT else 143)
    assert ended.out == ""
    assert "interrupted: what arrived is saved" in ended.err
    assert ended.errors[-1].startswith(f"hint: to continue, run: hfdl {scene.repo.repo_id} ")
    sent = payload(scene.hub)
    state = scene.shell.run("status", scene.target, "--json").check().report["folders"][0]
    assert state["repo_id"] == scene.repo.repo_id
    assert state["holder"] is None
    saved = sum(part["have_bytes"] for part in state["unfinished"]) + state["complete"]["bytes"]
    assert saved >= sent - SIGNAL_COSTS, f"seed {SEED}, at {share}"
    scene.finish()
    cost = payload(scene.hub) - size_of(scene.repo)
    assert cost <= SIGNAL_COSTS, f"seed {SEED}, at {share}: {cost / MIB:.1f} MiB fetched again"


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_what_arrived(scene: Scene, signum: signal.Signals) -> None:
    stop_and_finish(scene, 0.6, signum)


@pytest.mark.deep
@pytest.mark.parametrize("share", DEEP_SIGNALS)
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_point_saves_what_arrived(
    big_scene: Scene, signum: signal.Signals, share: float
) -> None:
    stop_and_finish(big_scene, share, signum)


def test_the_command_in_the_hint_is_the_whole_command(scene: Scene) -> None:
    hint = scene.stop_at(0.3, signal.SIGINT).check(130).errors[-1]
    command = hint.removeprefix("hint: to continue, run: hfdl ")
    assert command.split() == [str(word) for word in scene.words]


def test_a_second_signal_ends_it_at_once_and_costs_no_more_than_a_kill(scene: Scene) -> None:
    ended = scene.stop_at(0.7, signal.SIGINT, signal.SIGTERM)
    ended.check(130)
    assert ended.err.count("what arrived is saved") == 1
    scene.finish()
    assert payload(scene.hub) - size_of(scene.repo) <= KILL_COSTS


@pytest.mark.parametrize(
    ("where", "command"),
    [("revision", "download"), ("tree", "download"), ("resolve", "download"), ("tree", "plan")],
)
def test_a_signal_is_heard_while_a_server_is_silent(
    serve: Serve, shell: OpenShell, where: str, command: str
) -> None:
    repo = model(MIB)
    hub = serve(repo)
    scene = Scene(hub, shell(hub), repo)
    scene.hub.faults.add(Fault(where, SlowHeaders(600.0)))
    words = [f"{hub.endpoint}/org/model/tree/main", *scene.words[1:], "--json"]
    with scene.shell.start(command, *words) as running:
        until(lambda: scene.hub.log.of(where), running)
        running.send(signal.SIGTERM)
        report = running.wait().check(143).report
    assert (report["status"], report["exit_code"]) == ("interrupted", 143)
    assert (report["repo_id"], report["endpoint"]) == (repo.repo_id, hub.endpoint)
    scene.hub.faults.clear()
    scene.finish()


def test_an_interrupted_run_reports_itself(scene: Scene, place: Path) -> None:
    words = (*scene.words, "--json")
    with scene.shell.start(*words) as running:
        until(lambda: payload(scene.hub) > 32 * MIB, running)
        running.send(signal.SIGINT)
        report = running.wait().check(130).report
    assert report["status"] == "interrupted"
    assert report["exit_code"] == 130
    assert report["path"] == str(place / "model")
    assert WEIGHTS not in [file["path"] for file in report["files"] if file["status"] != "failed"]
    assert scene.finish()["bytes"]["resumed"] > 0  # type: ignore[index]
