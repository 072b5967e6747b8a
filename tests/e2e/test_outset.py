"""First looks, first ramps and the laws that follow, over a whole line and in whole runs."""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
import pytest

from hfdl_async.core.control import opening as openings
from hfdl_async.core.control.config import ControlConfig
from hfdl_async.core.control.knee import KneeController
from hfdl_async.core.control.opening import Look, opening
from hfdl_async.core.model import MB
from hfdl_async.engine.line import Cut, Flow, Line, Outlook
from hfdl_async.testing.fakes import ManualClock, MemorySource
from tests.engine.rig import Rig

pytestmark = pytest.mark.anyio

STEP_SECONDS = 0.02
REQUEST_BYTES = 64 * MB


@dataclass
class Path:
    """A line on which each connection is held back, and all of them, and a machine behind it."""

    each: float  # bytes per second
    together: float
    machine: float  # bytes per second that use up all its processors
    files: int = 4
    named: int | None = None  # connections that the user asks for
    clock: ManualClock = field(default_factory=ManualClock)
    looks: list[Look] = field(default_factory=list)
    flows: dict[Flow, float] = field(default_factory=dict)
    machine_seconds: float = 0.0
    bytes: float = 0.0

    def law(self, look: Look) -> KneeController:
        """Return the law that *look* speaks for."""
        self.looks.append(look)
        begin = opening(look, self.config, self.named)
        return KneeController(begin.config, seed=1, hint=begin.hint)

    @property
    def config(self) -> ControlConfig:
        """The constants of the law."""
        return ControlConfig(most=self.named or 64)

    async def flow_for(self, seconds: float) -> Line:
        """Let as many requests flow as the line allows, for so long."""
        line = Line(
            KneeController(self.config, seed=1, hint=self.named),
            self.clock,
            after_look=self.law,
            looks_first=self.named is None,
            machine_seconds=lambda: self.machine_seconds,
        )
        line.watch(lambda now: None, outlook=lambda: Outlook(self.files))
        async with anyio.create_task_group() as group:
            group.start_soon(line.run)
            for _ in range(round(seconds / STEP_SECONDS)):
                self._replace_what_has_ended(line)
                await self.clock.sleep(STEP_SECONDS)
                self._flow(line)
            group.cancel_scope.cancel()
        return line

    def _replace_what_has_ended(self, line: Line) -> None:
        for flow, left in list(self.flows.items()):
            if left <= 0 or flow.cut_kind is Cut.SURPLUS:
                line.end(flow, failed=False)
                del self.flows[flow]
        while len(self.flows) < line.permits.opened:
            flow = line.begin(anyio.CancelScope(), silence_seconds=30.0)
            flow.listen(self.clock.monotonic())
            self.flows[flow] = REQUEST_BYTES

    def _flow(self, line: Line) -> None:
        count = STEP_SECONDS * min(self.each, self.together / len(self.flows))
        for flow in self.flows:
            line.received(flow, int(count), self.clock.monotonic())
            self.flows[flow] -= count
        together = count * len(self.flows)
        self.bytes += together
        self.machine_seconds += min(STEP_SECONDS, together / self.machine)


@pytest.mark.parametrize("named", [None, 16, 64])
@pytest.mark.parametrize(
    ("each", "together"), [(55 * MB, 900 * MB), (60 * MB, 600 * MB), (110 * MB, 900 * MB)]
)
async def test_connections_that_are_each_held_back_are_not_taken_for_a_full_machine(
    each: float, together: float, named: int | None
) -> None:
    together = min(together, (named or 64) * each)
    path = Path(each, together, machine=0.6 * together, named=named)
    await path.flow_for(12.0)
    assert any(look.fills_the_machine for look in path.looks)  # so it seemed
    assert path.bytes >= 0.85 * 12.0 * together


@pytest.mark.parametrize("named", [None, 8, 16, 32, 64])
@pytest.mark.parametrize(("files", "most"), [(1, 1), (4, 2)])
async def test_a_full_machine_is_left_with_as_few_connections_as_fill_it(
    files: int, most: int, named: int | None
) -> None:
    path = Path(900 * MB, 900 * MB, machine=900 * MB, files=files, named=named)
    line = await path.flow_for(3.0)
    assert line.allowed <= most
    assert path.bytes >= 0.99 * 3.0 * 900 * MB


async def test_connections_that_are_too_many_for_the_next_law_go_at_once() -> None:
    path = Path(each=150 * MB, together=600 * MB, machine=600 * MB)  # no single one fills it
    line = await path.flow_for(0.4)
    assert path.looks[-1].fills_the_machine
    assert line.allowed == line.busy == 2


async def test_a_whole_run_goes_through_a_trial_of_fewer_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openings, "FULL_BYTES_PER_SECOND", 350_000)
    clock = ManualClock()
    source = MemorySource({}, chunk_bytes=1000, clock=clock, chunk_seconds=0.01)
    looks: list[Look] = []

    def law(look: Look) -> KneeController:
        looks.append(look)
        begin = opening(look, ControlConfig())
        return KneeController(begin.config, seed=1, hint=begin.hint)

    contents = {f"{number}.bin": bytes([number]) * 300_000 for number in range(4)}
    rig = Rig(
        contents, source=source, clock=clock, controller=KneeController(seed=1),
        threshold_bytes=20_000, after_look=law, machine_seconds=clock.monotonic,
    )  # fmt: skip
    await rig.run()
    assert set(rig.statuses().values()) == {"downloaded"}
    assert [look.fills_the_machine for look in looks] == [True, False]
    targets = [decision.target for decision in rig.decisions]
    assert targets[:2] == [1, 4]  # three were cut, and came back
