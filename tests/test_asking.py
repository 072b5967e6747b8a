from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from hfdl_async import download
from hfdl_async.api import SystemClock
from hfdl_async.asking import Services, not_here, policy_of
from hfdl_async.core.options import Options
from hfdl_async.engine.tally import Tally
from hfdl_async.net.transport import Transport
from hfdl_async.preparing import Preparation
from hfdl_async.target import Request, find_target
from hfdl_async.testing.fault_answers import Throttle
from hfdl_async.testing.faults import Fault, StartHub
from tests.repos import tiny_repo

pytestmark = pytest.mark.anyio


async def test_a_listing_that_lacks_a_named_file_is_asked_for_again(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(tiny_repo())
    asked = {"cache_dir": tmp_path, "endpoint": running.endpoint}
    await download("org/tiny", "config.json", **asked)  # type: ignore[arg-type]
    [tree] = tmp_path.glob("models--org--tiny/trees/*.json")
    whole = json.loads(tree.read_text())
    partial = {"config.json": whole["files"]["config.json"]}
    tree.write_text(json.dumps({**whole, "files": partial}))
    report = await download("org/tiny", "README.md", **asked)  # type: ignore[arg-type]
    assert report["README.md"].read_bytes() == b"# tiny\n"
    assert json.loads(tree.read_text()) == whole


@pytest.mark.parametrize("proof", ["verify", "fix_broken", "force"])
async def test_who_wants_a_proof_gets_the_listing_of_the_hub(
    proof: str, hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(tiny_repo())
    asked = {"cache_dir": tmp_path, "endpoint": running.endpoint}
    await download("org/tiny", **asked)  # type: ignore[arg-type]
    [tree] = tmp_path.glob("models--org--tiny/trees/*.json")
    right = tree.read_text()
    tree.write_text(right.replace('"config.json"', '"other.json"'))
    await download("org/tiny", **asked, **{proof: True})  # type: ignore[arg-type]
    assert tree.read_text() == right


async def test_a_hold_during_the_listing_is_what_the_display_says(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(tiny_repo())
    running.faults.add(Fault("api", Throttle(38), times=1))
    tally, notes = Tally(0.0), []

    class Skipping(SystemClock):
        skipped = 0.0

        def monotonic(self) -> float:
            return time.monotonic() + self.skipped

        async def sleep(self, seconds: float) -> None:
            notes.append(tally.snapshot(0.0).note)
            self.skipped += seconds

    clock = Skipping()
    request = Request(
        "org/tiny", (), Options.parse({"local_dir": tmp_path, "endpoint": running.endpoint})
    )
    async with Transport(clock) as transport:
        services = Services(transport, clock, random.random)
        await Preparation(request, find_target(request), services, tally).plan()
    assert notes[0] == "waiting 38 s for the Hub's limit"
    assert tally.snapshot(0.0).note == ""


def test_what_is_not_here_is_named() -> None:
    assert not_here(["a", "b"]).message == "offline, and not here: a, b"


def test_patience_is_that_of_the_options() -> None:
    policy = policy_of(Options.parse({"max_retries": 7, "give_up_after": 9}))
    assert (policy.max_retries, policy.give_up_after_seconds) == (7, 9.0)
