from __future__ import annotations

import aiohttp
import pytest

from hfdl_async.serving import Answer, Call, HostedRepo
from hfdl_async.serving.answer import Kind
from hfdl_async.testing.faults import (
    Alter,
    Fault,
    FaultScript,
    FlipByte,
    StartHub,
    Status,
    Throttle,
)

pytestmark = pytest.mark.anyio

FINE = Answer(200, {"ETag": '"e"'}, b"content")


def call(kind: Kind = "data", path: str = "a.bin", what: str = "", method: str = "GET") -> Call:
    return Call("data", method, "/", {}, ("", 0), kind=kind, what=what or kind, path=path)


def statuses(script: FaultScript, *calls: Call) -> list[int]:
    return [script.alter(one, FINE).status for one in calls]


def test_an_empty_script_has_nothing_to_do() -> None:
    script = FaultScript()
    assert not script.active
    script.add(Fault("*", Status(503)))
    assert script.active
    script.clear()
    assert not script.active


def test_where_names_kinds_and_api_routes() -> None:
    script = FaultScript([Fault("data tree", Status(503))])
    assert statuses(script, call("data"), call("api", what="tree"), call("api", what="info")) == [
        503, 503, 200,
    ]  # fmt: skip


def test_faults_choose_files_and_methods() -> None:
    script = FaultScript([Fault("*", Status(503), path="*.bin", method="GET")])
    assert statuses(script, call(), call(path="a.txt"), call(method="HEAD")) == [503, 200, 200]


def test_times_and_nth_count_matching_requests() -> None:
    assert statuses(FaultScript([Fault("*", Status(503), times=2)]), *[call()] * 3) == [
        503, 503, 200,
    ]  # fmt: skip
    assert statuses(FaultScript([Fault("*", Status(503), nth=2)]), *[call()] * 3) == [
        200, 503, 200,
    ]  # fmt: skip


def test_a_fault_that_changes_nothing_did_not_happen() -> None:
    script = FaultScript([Fault("*", FlipByte(100), times=1), Fault("*", Status(503))])
    assert statuses(script, call()) == [503]
    script = FaultScript([Fault("*", FlipByte(100), times=1)])
    assert script.alter(call(), FINE) is FINE
    long = Answer(200, {"ETag": '"e"'}, bytes(200))
    assert script.alter(call(), long) is not long
    assert len(script.fired) == 1


def test_the_first_that_applies_wins_and_gives_way_when_it_is_used_up() -> None:
    script = FaultScript([Fault("*", Status(500), times=1), Fault("*", Throttle())])
    assert statuses(script, call(), call()) == [500, 429]
    assert [fault.kind for fault, _ in script.fired] == [Status(500), Throttle()]


def test_anything_can_be_asked_of_a_request() -> None:
    script = FaultScript([Fault("*", Status(503), when=lambda call: call.path == "b")])
    assert statuses(script, call(path="a"), call(path="b")) == [200, 503]
    assert FaultScript([Fault("*", Alter(lambda _, answer: answer))]).alter(call(), FINE) is FINE


async def test_faults_are_added_while_the_hub_runs(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    running = await hub(HostedRepo.from_files("o/n", {"f": b"x"}))
    url = f"{running.endpoint}/o/n/resolve/main/f"
    seen = []
    for fault in (None, Fault("resolve", Status(503, {"Retry-After": "2"}), path="f")):
        if fault is not None:
            running.faults.add(fault)
        async with http.get(url) as response:
            seen.append((response.status, response.headers.get("Retry-After")))
    assert seen == [(200, None), (503, "2")]
    assert running.log.entries[-1].status == 503
