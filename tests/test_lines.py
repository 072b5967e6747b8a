from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from hfdl_async.core.control.opening import FULL_BYTES_PER_SECOND
from hfdl_async.core.control.replay import replay
from hfdl_async.disk.tracefile import TraceFile
from hfdl_async.engine.limiter import Limiter
from hfdl_async.engine.line import Flow, Line, Outlook
from hfdl_async.errors import StorageError
from hfdl_async.lines import Lines, Terms
from hfdl_async.testing.fakes import ManualClock

pytestmark = pytest.mark.anyio

HUB, MIRROR = "https://hub.invalid", "https://mirror.invalid"


def terms(
    trace: Path | None = None,
    *,
    most: int = 64,
    is_polite: bool = False,
    hint: int | None = None,
) -> Terms:
    return Terms(most, is_polite, buffers_bytes=1, trace=trace, seed=lambda: 7, hint=hint)


async def download(line: Line, clock: ManualClock, *, rate: int, seconds: float) -> None:
    """Let as many requests as are allowed bring *rate* each, for so long."""
    flows: list[Flow] = []
    stop = clock.monotonic() + seconds
    while clock.monotonic() < stop:
        while line.busy < line.allowed:
            flow = line.begin(anyio.CancelScope(), silence_seconds=30)
            flow.listen(clock.monotonic() + 0.05)
            flows.append(flow)
        await clock.sleep(0.05)
        for flow in flows[: line.allowed]:
            line.received(flow, round(rate * 0.05), clock.monotonic())
    for flow in flows:
        line.end(flow, failed=False)


async def test_all_downloads_from_one_hub_share_a_line_and_another_hub_has_its_own() -> None:
    clock = ManualClock()
    async with anyio.create_task_group() as group:
        lines = Lines(terms(), clock, Limiter(clock), group)
        assert lines.to(HUB) is lines.to(HUB)
        assert lines.to(MIRROR) is not lines.to(HUB)
        group.cancel_scope.cancel()


async def test_connections_that_are_held_back_one_by_one_lead_to_the_ceiling() -> None:
    clock = ManualClock()
    async with anyio.create_task_group() as group:
        lines = Lines(terms(most=40), clock, Limiter(clock), group)
        line = lines.to(HUB)
        await download(line, clock, rate=10**7, seconds=15)
        assert line.allowed == 40
        group.cancel_scope.cancel()


@pytest.mark.parametrize(("rate", "hint"), [(FULL_BYTES_PER_SECOND, 4), (10**6, None)])
async def test_a_line_that_a_few_connections_fill_is_begun_with_a_few(
    tmp_path: Path, rate: int, hint: int | None
) -> None:
    clock = ManualClock()
    trace = tmp_path / "trace"
    async with anyio.create_task_group() as group:
        lines = Lines(terms(trace), clock, Limiter(clock), group, TraceFile(trace))
        line = lines.to(HUB)
        assert line.allowed == 1
        await download(line, clock, rate=rate, seconds=5)
        group.cancel_scope.cancel()
    first, *rest = trace.read_text().splitlines()
    assert (f'"hint":{hint or "null"},' in first) is True
    assert '"seed":7,' in first
    assert len(rest) >= 9
    assert all(each.agrees for each in replay([first, *rest]))


async def test_the_start_by_the_first_answers_of_small_files_replays(tmp_path: Path) -> None:
    clock = ManualClock()
    trace = tmp_path / "trace"
    async with anyio.create_task_group() as group:
        lines = Lines(terms(trace), clock, Limiter(clock), group, TraceFile(trace))
        line = lines.to(HUB)
        line.watch(lambda now: None, outlook=lambda: Outlook(small=1000))
        await download(line, clock, rate=10**6, seconds=5)
        group.cancel_scope.cancel()
    first, *rest = trace.read_text().splitlines()
    assert '"first":32,' in first
    assert len(rest) >= 9
    assert all(each.agrees for each in replay([first, *rest]))


async def test_the_law_begins_near_a_number_that_was_named() -> None:
    clock = ManualClock()
    async with anyio.create_task_group() as group:
        lines = Lines(terms(most=24, hint=24), clock, Limiter(clock), group)
        line = lines.to(HUB)
        assert line.allowed == 24
        await download(line, clock, rate=10**7, seconds=0.5)
        assert line.allowed == 24
        group.cancel_scope.cancel()


async def test_the_trace_of_a_second_hub_is_a_second_file(tmp_path: Path) -> None:
    clock = ManualClock()
    async with anyio.create_task_group() as group:
        first = TraceFile(tmp_path / "trace")
        lines = Lines(terms(tmp_path / "trace"), clock, Limiter(clock), group, first)
        for hub in (HUB, MIRROR):
            await download(lines.to(hub), clock, rate=10**6, seconds=2)
        group.cancel_scope.cancel()
    for name in ("trace", "trace.2"):
        assert list(replay((tmp_path / name).read_text().splitlines()))


async def test_the_file_of_a_trace_is_made_before_anything_begins(tmp_path: Path) -> None:
    assert await terms().begin_trace() is None
    assert await terms(tmp_path / "trace").begin_trace() is not None
    assert (tmp_path / "trace").read_bytes() == b""
    with pytest.raises(StorageError):
        await terms(tmp_path).begin_trace()


def test_who_asks_for_a_share_of_the_line_is_polite() -> None:
    assert terms(is_polite=True, most=9).config.growth_demand > terms().config.growth_demand
    assert terms(is_polite=True, most=9).config.most == 9
