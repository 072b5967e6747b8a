"""A whole engine over the fakes, in a few words: what is there, what goes wrong, what came out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import anyio

from hfdl_async.core.control.opening import Look
from hfdl_async.core.controller import Controller, Decision, FixedController
from hfdl_async.core.events import Event
from hfdl_async.core.model import Action, Plan, PlannedFile, RepoRef
from hfdl_async.core.retry import Policy
from hfdl_async.engine.bus import Bus
from hfdl_async.engine.engine import FINAL_SECONDS, Ports, Run, Settings
from hfdl_async.engine.line import Line
from hfdl_async.engine.tally import Tally
from hfdl_async.errors import HfdlError
from hfdl_async.testing.fakes import ManualClock, MemorySink, MemorySource, remote_file

HANG_SECONDS = 5.0  # of real time: only a bug takes as long

AnyEvent = TypeVar("AnyEvent", bound=Event)


def fetch(path: str, content: bytes, *, have_bytes: int = 0) -> PlannedFile:
    """Return the plan for one file to fetch."""
    return PlannedFile(remote_file(path, content), Action.FETCH, have_bytes=have_bytes)


@dataclass(eq=False)
class Rig:
    """An engine and its world. Contents are planned for fetching unless *items* says otherwise."""

    contents: Mapping[str, bytes]
    items: Sequence[PlannedFile] | None = None
    source: MemorySource = field(default_factory=lambda: MemorySource({}))
    sink: MemorySink = field(default_factory=MemorySink)
    clock: ManualClock = field(default_factory=ManualClock)
    controller: Controller = field(default_factory=lambda: FixedController(4))
    threshold_bytes: int = 1_000_000
    policy: Policy = field(default_factory=Policy)
    silence_seconds: float = 30.0
    final_seconds: float = FINAL_SECONDS
    jitter: float = 1.0
    after_look: Callable[[Look], Controller] | None = None
    machine_seconds: Callable[[], float] = lambda: 0.0
    may_lose: bool = False  # the disk refuses claims, so what was written cannot be kept

    def __post_init__(self) -> None:
        self.source.contents.update(self.contents)
        self.before = asyncio.all_tasks()
        self.bus = Bus()
        self.events: list[Event] = []
        self.bus.listen(self.events.append)
        self.decisions: list[Decision] = []
        self.line = Line(
            self.controller,
            self.clock,
            after_look=self.after_look,
            machine_seconds=self.machine_seconds,
        )
        self.line.watch(lambda now: None, on_change=self.decisions.append)
        self.tally = Tally(self.clock.monotonic())
        items = self.items
        if items is None:
            items = [fetch(path, content) for path, content in self.contents.items()]
        self.plan = Plan(RepoRef("org/model"), "0" * 40, Path("/in-memory"), tuple(items), 0)
        self.engine = Run(
            self.plan,
            Ports(self.source, self.sink, self.clock, lambda: self.jitter),
            self.line,
            self.bus,
            self.tally,
            Settings(self.threshold_bytes, self.policy, self.silence_seconds, self.final_seconds),
        )

    async def run(self) -> None:
        """Run to the end, with the ticks of the line beside it."""
        with anyio.fail_after(HANG_SECONDS):
            async with anyio.create_task_group() as group:
                group.start_soon(self.line.run)
                await self.engine.run()
                group.cancel_scope.cancel()
        self.check_nothing_is_left()

    async def run_for(self, turns: int) -> bool:
        """Run, cancelled after so many turns of the loop; return whether it was done before."""
        done = False
        with anyio.fail_after(HANG_SECONDS), anyio.CancelScope() as scope:
            self._cancel_after(turns, scope)
            await self.run()
            done = True
        self.check_nothing_is_left()
        return done

    def _cancel_after(self, turns: int, scope: anyio.CancelScope) -> None:
        loop = asyncio.get_running_loop()
        self.clock.own_callbacks = 1

        def turn(left: int) -> None:
            if left:
                loop.call_soon(turn, left - 1)
            else:
                self.clock.own_callbacks = 0
                scope.cancel()

        loop.call_soon(turn, turns)

    def check_nothing_is_left(self) -> None:
        """Check what holds after every run, however it ended."""
        assert asyncio.all_tasks() <= self.before
        assert self.source.leases == 0
        assert self.source.open_requests == 0
        assert self.sink.open_parts == set()
        assert self.line.busy == 0
        assert self.line.permits.held == 0
        for path, content in self.sink.files.items():
            assert content == self.source.contents[path]
        for part in self.sink.parts:
            kept = self.sink.store.kept(part.file).covered
            named = part.file.path in self.sink.files
            assert named or self.may_lose or kept >= part.ledger.covered

    def statuses(self) -> dict[str, str]:
        """Return how each file ended."""
        return {path: outcome.status for path, outcome in self.engine.outcomes.items()}

    def error(self, path: str) -> HfdlError:
        """Return why a file failed."""
        error = self.engine.outcomes[path].error
        assert error is not None
        return error

    def told(self, kind: type[AnyEvent]) -> list[AnyEvent]:
        """Return the facts of one kind, in order."""
        return [event for event in self.events if isinstance(event, kind)]
