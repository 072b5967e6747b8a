"""A small language for what goes wrong: where, for which file, how often, and what.

    hub.faults.add(Fault("data", Reset(after=1000), path="*.safetensors", times=2))
    hub.faults.add(Fault("tree", Status(503), nth=2))

The first fault that matches a request and changes its answer wins; one that changes nothing (a
flipped byte outside of the range asked for) counts as not having happened.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from hfdl_async.serving.answer import Answer, Call
from hfdl_async.serving.repos import HostedRepo
from hfdl_async.serving.server import HubServer
from hfdl_async.serving.settings import Settings
from hfdl_async.testing.fault_answers import (
    Alter,
    Body,
    EtagChange,
    HtmlPage,
    LinkedEtagChange,
    MissingHeader,
    RedirectChain,
    RedirectLoop,
    RedirectTo,
    RefuseLink,
    SetHeaders,
    Status,
    Throttle,
)
from hfdl_async.testing.fault_bodies import (
    Close,
    Encoded,
    Endless,
    FlipByte,
    IgnoreRange,
    Longer,
    NoLength,
    OkWithContentRange,
    Reset,
    ShiftedRange,
    Shorter,
    SlowHeaders,
    Stall,
    Trickle,
    WrongRange,
)
from hfdl_async.testing.fault_listings import (
    EditTree,
    ForeignLink,
    JsonErrorList,
    LoopingCursor,
    hostile_names,
    masked,
    without_digests,
    without_field,
    wrong_sizes,
)

__all__ = [
    "Alter",
    "Body",
    "Close",
    "EditTree",
    "Encoded",
    "Endless",
    "EtagChange",
    "Fault",
    "FaultKind",
    "FaultScript",
    "FlipByte",
    "ForeignLink",
    "HtmlPage",
    "IgnoreRange",
    "JsonErrorList",
    "LinkedEtagChange",
    "Longer",
    "LoopingCursor",
    "MissingHeader",
    "NoLength",
    "OkWithContentRange",
    "RedirectChain",
    "RedirectLoop",
    "RedirectTo",
    "RefuseLink",
    "Reset",
    "ScriptedHub",
    "SetHeaders",
    "ShiftedRange",
    "Shorter",
    "SlowHeaders",
    "Stall",
    "StartHub",
    "Status",
    "Throttle",
    "Trickle",
    "WrongRange",
    "hostile_names",
    "masked",
    "without_digests",
    "without_field",
    "wrong_sizes",
]


class FaultKind(Protocol):
    """What goes wrong: a function from answer to answer."""

    def apply(self, call: Call, answer: Answer) -> Answer:
        """Return what is sent instead, or *answer* itself where this does not apply."""
        ...


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of a script.

    Attributes:
        where: kinds of request (`api`, `resolve`, `cache`, `data`, `other`) or API routes
            (`info`, `revision`, `tree`, `paths-info`, `refs`, …), separated by blanks; `*`: all.
        kind: what goes wrong.
        path: a glob for the file's path in the repo.
        nth: only at the nth matching request, counted from 1.
        times: only this often.
        method: only for this method.
        when: only if this says so of the request.
    """

    where: str
    kind: FaultKind
    path: str = "*"
    nth: int | None = None
    times: int | None = None
    method: str | None = None
    when: Callable[[Call], bool] | None = None

    def matches(self, call: Call) -> bool:
        """Tell whether this is about *call*."""
        names = self.where.split()
        return (
            ("*" in names or call.kind in names or call.what in names)
            and (self.path == "*" or fnmatchcase(call.path, self.path))
            and self.method in (None, call.method)
            and (self.when is None or self.when(call))
        )


@dataclass(slots=True)
class _Line:
    fault: Fault
    seen: int = 0
    fired: int = 0

    def apply(self, call: Call, answer: Answer) -> Answer:
        fault = self.fault
        if fault.times is not None and self.fired >= fault.times:
            return answer
        changed = fault.kind.apply(call, answer)
        if changed is answer:
            return answer
        self.seen += 1
        if fault.nth is not None and self.seen != fault.nth:
            return answer
        self.fired += 1
        return changed


class FaultScript:
    """The faults of one server, in order of preference."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._lines: list[_Line] = [_Line(fault) for fault in faults]
        self.fired: list[tuple[Fault, Call]] = []

    @property
    def active(self) -> bool:
        """Whether there is anything in it."""
        return bool(self._lines)

    def add(self, *faults: Fault) -> None:
        """Append faults; they hold from the next request on."""
        self._lines += [_Line(fault) for fault in faults]

    def clear(self) -> None:
        """Let nothing go wrong any more."""
        self._lines.clear()

    def alter(self, call: Call, answer: Answer) -> Answer:
        """Return what the first fault that applies makes of *answer*."""
        for line in self._lines:
            if not line.fault.matches(call):
                continue
            changed = line.apply(call, answer)
            if changed is not answer:
                self.fired.append((line.fault, call))
                return changed
        return answer


class ScriptedHub(HubServer):
    """A hub on loopback with a script of faults."""

    def __init__(
        self,
        repos: Iterable[HostedRepo] = (),
        *,
        settings: Settings | None = None,
        faults: Iterable[Fault] = (),
    ) -> None:
        self.faults = FaultScript(faults)
        super().__init__(repos, settings=settings, hook=self.faults)

    async def __aenter__(self) -> ScriptedHub:
        await super().__aenter__()
        return self


class StartHub(Protocol):
    """The shape of a test fixture that starts a hub which lasts as long as the test."""

    async def __call__(self, *repos: HostedRepo, settings: Settings | None = None) -> ScriptedHub:
        """Serve *repos*; faults are added to the hub's `faults` later."""
        ...
