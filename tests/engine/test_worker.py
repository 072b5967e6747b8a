from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from hfdl_async.core.bandwidth import burst_bytes
from hfdl_async.core.control.config import FIRST_CONNECTIONS
from hfdl_async.core.control.knee import KneeController
from hfdl_async.core.controller import Decision, FixedController, Sample
from hfdl_async.core.events import ConnectionReplaced, SegmentRetried
from hfdl_async.core.model import KIB, MIB, ByteRange, Chunk, RemoteFile
from hfdl_async.core.retry import MAX_STATED_WAIT_SECONDS, Policy
from hfdl_async.core.timetable import Limit
from hfdl_async.engine.batch import BATCH_SECONDS, WRITE_BATCH_BYTES
from hfdl_async.errors import (
    LinkRefusedError,
    NetworkError,
    ProtocolError,
    RangeIgnoredError,
    RateLimitedError,
    ServerError,
)
from hfdl_async.testing.fakes import (
    ManualClock,
    MemorySource,
    Turn,
    broken,
    refused,
    short,
    stalled,
)
from tests.engine.rig import Rig

pytestmark = pytest.mark.anyio

HELLO = b"hello world"


def hello(*turns: Turn, then: Turn | None = None, policy: Policy | None = None) -> Rig:
    rig = Rig({"f": HELLO}, policy=policy or Policy())
    rig.source.script("f", *turns, then=then or Turn())
    return rig


def delays(rig: Rig) -> list[float]:
    return [fact.delay_seconds for fact in rig.told(SegmentRetried)]


async def test_asks_again_only_for_the_bytes_it_does_not_have() -> None:
    rig = hello(broken(3), broken(4))
    await rig.run()
    assert rig.sink.files == {"f": HELLO}
    assert rig.source.spans("f") == [ByteRange(0, 11), ByteRange(3, 11), ByteRange(7, 11)]
    assert delays(rig) == [0.5, 0.5]  # bytes were gained in between: the count starts anew
    assert [fact.start for fact in rig.told(SegmentRetried)] == [3, 7]


async def test_a_stream_that_ends_early_is_asked_for_the_rest() -> None:
    rig = hello(short(5))
    await rig.run()
    assert rig.source.spans("f") == [ByteRange(0, 11), ByteRange(5, 11)]


async def test_chunks_that_arrive_out_of_order_end_up_in_their_places() -> None:
    rig = Rig({"f": bytes(range(100))}, source=MemorySource({}, chunk_bytes=7, backwards=True))
    rig.source.script("f", broken(30))
    await rig.run()
    assert rig.sink.files == {"f": bytes(range(100))}


async def test_answered_errors_are_tried_max_retries_times() -> None:
    rig = hello(then=refused(ServerError("HTTP 503")), policy=Policy(max_retries=3))
    await rig.run()
    assert len(rig.source.asked) == 4
    assert delays(rig) == [0.5, 1.0, 2.0]
    assert "gave up: 4 tries" in rig.error("f").message


async def test_no_retry_means_none() -> None:
    rig = hello(refused(ServerError("HTTP 503")), policy=Policy(max_retries=0))
    await rig.run()
    assert len(rig.source.asked) == 1
    assert rig.statuses() == {"f": "failed"}


async def test_after_first_contact_a_lost_network_is_waited_for() -> None:
    rig = hello(broken(3), *[broken(0)] * 12)
    await rig.run()
    assert rig.sink.files == {"f": HELLO}
    assert sum(delays(rig)) > 200


async def test_a_lost_network_is_given_up_after_the_time_that_was_set() -> None:
    rig = hello(broken(3), then=broken(0), policy=Policy(give_up_after_seconds=60))
    began = rig.clock.monotonic()
    await rig.run()
    assert "no new byte for" in rig.error("f").message
    assert 60 <= rig.clock.monotonic() - began <= 60 + 31


async def test_a_wait_that_a_server_states_is_kept_to_and_is_no_silence() -> None:
    busy = refused(RateLimitedError("HTTP 429", retry_after_seconds=100.0))
    rig = hello(broken(3), *[busy] * 5, policy=Policy(give_up_after_seconds=60))
    await rig.run()
    assert rig.sink.files == {"f": HELLO}
    assert delays(rig)[1:] == [100.0] * 5


async def test_waits_beyond_ten_minutes_end_with_a_message() -> None:
    long = refused(RateLimitedError("HTTP 429", retry_after_seconds=MAX_STATED_WAIT_SECONDS + 1))
    rig = hello(long)
    await rig.run()
    assert rig.statuses() == {"f": "failed"}
    assert delays(rig) == []


async def test_a_server_that_keeps_answering_wrongly_gets_three_more_tries() -> None:
    rig = hello(then=refused(ProtocolError("206 with another range")))
    await rig.run()
    assert len(rig.source.asked) == 4
    assert isinstance(rig.error("f"), NetworkError)


async def test_a_refused_link_is_asked_for_again_at_once() -> None:
    rig = hello(broken(4), refused(LinkRefusedError("HTTP 403")))
    await rig.run()
    assert delays(rig) == [0.5, 0.0]
    assert rig.source.spans("f")[1:] == [ByteRange(4, 11)] * 2


async def test_a_server_that_ignores_ranges_is_asked_for_one_stream_once() -> None:
    rig = Rig({"f": bytes(range(60))}, threshold_bytes=10)
    rig.source.ignores_ranges = {"f"}
    await rig.run()
    assert [asked.whole for asked in rig.source.asked] == [False, True]
    assert rig.sink.files == {"f": bytes(range(60))}


async def test_a_broken_stream_keeps_its_prefix() -> None:
    rig = hello(broken(0), broken(7), broken(9))
    rig.source.ignores_ranges = {"f"}
    rig.source.script("f", then=Turn())
    await rig.run()
    assert [line for line in rig.sink.log if line.startswith("write")] == [
        "write f 0..9",
        "write f 9..11",
    ]


async def test_a_server_that_breaks_the_stream_at_the_same_place_is_given_up() -> None:
    rig = hello(then=Turn(7, ServerError("HTTP 500")))
    rig.source.ignores_ranges = {"f"}
    await rig.run()
    assert rig.statuses() == {"f": "failed"}
    assert len(rig.source.asked) == 1 + 6


async def test_ranges_ignored_even_for_a_stream_is_final() -> None:
    rig = hello(then=refused(RangeIgnoredError("whole files only")))
    await rig.run()
    assert isinstance(rig.error("f"), RangeIgnoredError)
    assert len(rig.source.asked) == 2


async def test_a_silent_connection_is_replaced_after_fifteen_seconds() -> None:
    rig = hello(stalled(4))
    await rig.run()
    [fact] = rig.told(ConnectionReplaced)
    assert 15 < fact.time - 1_700_001_000 <= 16
    assert rig.source.spans("f") == [ByteRange(0, 11), ByteRange(4, 11)]
    assert rig.source.silent == ["f"]


async def test_silence_is_measured_against_the_read_timeout_when_that_is_smaller() -> None:
    rig = Rig({"f": HELLO}, silence_seconds=4.0)
    rig.source.script("f", stalled(4))
    await rig.run()
    assert 4 < rig.told(ConnectionReplaced)[0].time - 1_700_001_000 <= 5


async def test_a_slow_transfer_that_never_falls_silent_is_left_alone() -> None:
    clock = ManualClock()
    source = MemorySource({}, chunk_bytes=1, clock=clock, chunk_seconds=14.0)
    rig = Rig({"f": HELLO * 20}, source=source, clock=clock)
    await rig.run()
    assert len(source.asked) == 1
    assert clock.monotonic() - 1000 > 3000


async def test_permits_are_never_exceeded() -> None:
    contents = {f"f{number}": bytes(20) + bytes([number]) for number in range(30)}
    rig = Rig(contents, controller=FixedController(3))
    await rig.run()
    assert rig.source.peak_requests == 3
    assert rig.tally.peak_connections == 3


class Shrinking:
    """Six connections, and two once anything was measured."""

    def start(self) -> Decision:
        return Decision(6, None, "start", "FIXED")

    def observe(self, sample: Sample) -> Decision:
        return Decision(2, None, "fewer", "DOWN")


async def test_a_new_number_of_connections_holds_while_running() -> None:
    clock = ManualClock()
    contents = {f"f{number:02}": bytes([number]) * 40 for number in range(30)}
    source = MemorySource({}, chunk_bytes=4, clock=clock, chunk_seconds=0.1)
    rig = Rig(contents, source=source, clock=clock, controller=Shrinking())
    in_flight: list[int] = []
    rig.line.watch(lambda now: in_flight.append(source.open_requests))
    await rig.run()
    assert source.peak_requests == 6
    assert max(in_flight[3:]) <= 2
    assert [decision.target for decision in rig.decisions] == [2]


async def test_a_worker_that_waits_out_a_retry_holds_no_permit() -> None:
    rig = Rig({"a": b"aaaa", "b": b"bbbb"}, controller=FixedController(1))
    rig.source.script("a", refused(RateLimitedError("HTTP 429", retry_after_seconds=50.0)))
    await rig.run()
    assert rig.sink.log.index("publish b") < rig.sink.log.index("write a 0..4")


async def test_memory_in_use_is_bounded_by_connections_and_batches() -> None:
    content = bytes(range(256)) * (16 * KIB)
    contents = {f"f{number}": content + bytes([number]) for number in range(6)}
    source = MemorySource({}, chunk_bytes=256 * KIB)
    rig = Rig(contents, source=source, controller=FixedController(3))
    await rig.run()
    assert source.peak_leased_bytes <= 3 * (WRITE_BATCH_BYTES + 256 * KIB)
    assert source.peak_leased_bytes > WRITE_BATCH_BYTES


async def test_what_arrives_is_written_in_batches() -> None:
    content = bytes(3 * WRITE_BATCH_BYTES)
    rig = Rig({"f": content}, source=MemorySource({}, chunk_bytes=256 * KIB))
    await rig.run()
    writes = [line for line in rig.sink.log if line.startswith("write")]
    assert len(writes) == 3


async def test_on_a_slow_line_what_came_is_written_before_its_batch_is_full() -> None:
    clock = ManualClock()
    source = MemorySource({}, chunk_bytes=16 * KIB, clock=clock, chunk_seconds=BATCH_SECONDS / 4)
    rig = Rig({"f": bytes(128 * KIB)}, source=source, clock=clock, threshold_bytes=1000)
    await rig.run()
    writes = [line for line in rig.sink.log if line.startswith("write")]
    assert writes == ["write f 0..65536", "write f 65536..131072"]


async def test_a_source_without_memory_gets_back_what_was_gathered() -> None:
    source = MemorySource({}, chunk_bytes=4 * KIB, most_leased_bytes=16 * KIB)
    rig = Rig({"f": bytes(64 * KIB)}, source=source, threshold_bytes=1000)
    await rig.run()
    assert source.peak_leased_bytes == 16 * KIB
    writes = [line for line in rig.sink.log if line.startswith("write")]
    assert len(writes) == 4


async def test_a_connection_is_not_blamed_while_the_disk_is_slow() -> None:
    rig = Rig({"f": bytes(2 * MIB)}, source=MemorySource({}, chunk_bytes=512 * KIB))
    step = rig.sink.step

    async def slow(operation: str, path: str) -> None:
        await step(operation, path)
        if operation == "write":
            await rig.clock.sleep(100.0)

    rig.sink.step = slow  # type: ignore[method-assign]
    await rig.run()
    assert rig.told(ConnectionReplaced) == []
    assert len(rig.source.asked) == 1


async def test_only_who_leaves_early_has_no_patience_with_the_disk() -> None:
    rig = hello(broken(3))
    step, in_a_hurry = rig.sink.step, []

    async def noting(operation: str, path: str) -> None:
        if operation == "write":
            in_a_hurry.append(anyio.current_effective_deadline() < math.inf)
        await step(operation, path)

    rig.sink.step = noting  # type: ignore[method-assign]
    await rig.run()
    assert rig.sink.files == {"f": HELLO}
    assert in_a_hurry == [True, False]


async def test_time_without_a_request_is_no_silence() -> None:
    first, second = b"hello", b"world"
    rig = Rig({"a": first, "b": second}, policy=Policy(give_up_after_seconds=60))
    rig.source.script("b", broken(0))
    asked = rig.source.open

    @asynccontextmanager
    async def late(
        file: RemoteFile, span: ByteRange, *, whole: bool = False, fresh: bool = False
    ) -> AsyncIterator[AsyncIterator[Chunk]]:
        if file.path == "b" and len(rig.source.spans("b")) == 0:
            while rig.sink.files.get("a") is None:
                await rig.clock.sleep(1.0)
            await rig.clock.sleep(1000.0)
        async with asked(file, span, whole=whole, fresh=fresh) as chunks:
            yield chunks

    rig.source.open = late  # type: ignore[method-assign]
    await rig.run()
    assert rig.statuses() == {"a": "downloaded", "b": "downloaded"}


async def test_a_connection_that_is_lost_after_the_last_byte_costs_nothing() -> None:
    rig = hello(broken(len(HELLO)))
    await rig.run()
    assert rig.sink.files == {"f": HELLO}
    assert delays(rig) == []


async def test_the_time_it_takes_to_prove_a_part_is_no_silence() -> None:
    rig = hello(broken(0), policy=Policy(give_up_after_seconds=60))
    rig.source.contacted = True
    step = rig.sink.step

    async def slow(operation: str, path: str) -> None:
        await step(operation, path)
        if operation == "prove":
            await rig.clock.sleep(1000.0)

    rig.sink.step = slow  # type: ignore[method-assign]
    await rig.run()
    assert rig.sink.files == {"f": HELLO}


async def test_what_had_arrived_when_the_run_was_cancelled_is_kept() -> None:
    rig = hello(stalled(7))
    with anyio.move_on_after(0.05):
        async with anyio.create_task_group() as group:
            group.start_soon(rig.engine.run)  # no ticks: the silence goes unnoticed
    rig.check_nothing_is_left()
    assert rig.sink.store.kept(rig.plan.files[0].file).spans == (ByteRange(0, 7),)


async def test_a_limit_holds_for_all_connections_together_from_end_to_end() -> None:
    rate, chunk, clock = 1e6, 16 * KIB, ManualClock()
    content, arrived = bytes(3 * MIB), list[tuple[float, int]]()
    rig = Rig(
        {"a": content, "b": content, "c": content},
        source=MemorySource({}, chunk_bytes=chunk),
        clock=clock,
    )
    rig.line.limiter.set_bandwidth(Limit(rate=rate))
    receive = rig.tally.received

    def received(count: int, now_seconds: float) -> None:
        arrived.append((now_seconds, count))
        receive(count, now_seconds)

    rig.tally.received = received  # type: ignore[method-assign]
    await rig.run()
    assert len(rig.sink.files) == 3
    readers, least = rig.source.peak_requests, burst_bytes(rate)
    for first in range(0, len(arrived), 7):
        start, total = arrived[first][0], 0
        for at, count in arrived[first:]:
            total += count
            assert total <= rate * (at - start) + least + readers * chunk
    assert clock.monotonic() - 1000.0 >= (9 * MIB - least) / rate - 0.1


async def test_a_run_that_is_cancelled_while_it_waits_keeps_what_it_has_received() -> None:
    clock = ManualClock(auto=False)
    rig = Rig({"a": bytes(MIB)}, source=MemorySource({}, chunk_bytes=64 * KIB), clock=clock)
    rig.line.limiter.set_bandwidth(Limit(rate=1e3))
    async with anyio.create_task_group() as group:
        group.start_soon(rig.engine.run)
        await anyio.wait_all_tasks_blocked()
        group.cancel_scope.cancel()
    assert rig.tally.bytes_from_wire >= 64 * KIB
    assert rig.sink.parts[0].ledger.covered == rig.tally.bytes_from_wire
    rig.check_nothing_is_left()


async def test_a_limit_that_changes_takes_effect_on_those_who_wait() -> None:
    clock = ManualClock(auto=False)
    rig = Rig({"a": bytes(MIB)}, source=MemorySource({}, chunk_bytes=64 * KIB), clock=clock)
    rig.line.limiter.set_bandwidth(Limit(rate=1.0))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(rig.engine.run)
            await anyio.wait_all_tasks_blocked()
            rig.line.limiter.set_bandwidth(Limit())
    assert rig.sink.files["a"] == bytes(MIB)


class Law(KneeController):
    """The law, with a record of its decisions."""

    def __init__(self) -> None:
        super().__init__(seed=1)
        self.told: list[Decision] = []

    def observe(self, sample: Sample) -> Decision:
        self.told.append(super().observe(sample))
        return self.told[-1]


@pytest.mark.parametrize("write_seconds", [0.0, 0.8])
async def test_a_slow_disk_keeps_the_connections_from_climbing(write_seconds: float) -> None:
    clock, law, disk = ManualClock(), Law(), anyio.Lock()
    source = MemorySource({}, chunk_bytes=256 * KIB, clock=clock, chunk_seconds=1 / 8)
    contents = {f"{number:02}": bytes(4 * MIB) for number in range(40)}
    rig = Rig(contents, source=source, clock=clock, controller=law)

    async def one_after_another(operation: str, path: str) -> None:
        if operation == "write" and write_seconds:
            async with disk:
                await clock.sleep(write_seconds)

    rig.sink.step = one_after_another  # type: ignore[method-assign]
    await rig.run()
    assert "failed" not in rig.statuses().values()
    most = max(decision.target for decision in law.told)
    reasons = {decision.reason for decision in law.told}
    if write_seconds:
        assert most <= 2 * FIRST_CONNECTIONS  # as many as the first ramp tries
        assert "probe-up" not in reasons
    else:
        assert most >= 4 * FIRST_CONNECTIONS
