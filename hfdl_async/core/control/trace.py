"""One line of JSON for each decision: enough to draw it, and to make it again (`replay.py`).

A trace begins with a line that says what its controller is made from. When another controller takes
over, such a line comes in the middle.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields

from hfdl_async.core.control.config import ControlConfig
from hfdl_async.core.controller import Decision, Sample

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Figures:
    """What a decision was based on; the rate is in bytes a second, or work units a second."""

    rate: float
    elasticity: float
    error: float
    sigma: float
    ceiling: int


@dataclass(frozen=True, slots=True)
class TraceStart:
    """The first line: all that a controller is made from."""

    config: ControlConfig
    seed: int
    hint: int | None


@dataclass(frozen=True, slots=True)
class TraceLine:
    """Any other line: what came in, what was decided, and why."""

    sample: Sample
    decision: Decision
    figures: Figures


def first_line(start: TraceStart) -> str:
    """Return the first line of a trace."""
    values = {
        "trace": FORMAT,
        "seed": start.seed,
        "hint": start.hint,
        "config": asdict(start.config),
    }
    return json.dumps(values, separators=(",", ":"))


def line(entry: TraceLine) -> str:
    """Return the line of one decision."""
    decision, figures = entry.decision, entry.figures
    values = {
        "t": entry.sample.t,
        "mode": decision.mode,
        "reason": decision.reason,
        "N": decision.target,
        "x": figures.rate,
        "e": figures.elasticity,
        "err": figures.error,
        "sigma": figures.sigma,
        "ceiling": figures.ceiling,
        "start_rate": decision.start_rate,
        "sample": _told(entry.sample),
    }
    return json.dumps(values, separators=(",", ":"))


def _told(sample: Sample) -> dict[str, object]:
    """Return the fields of *sample* that are not what they are by default."""
    return {
        field.name: value
        for field in fields(sample)
        if (value := getattr(sample, field.name)) != field.default
    }


def is_first_line(text: str) -> bool:
    """Return whether a controller begins with *text*."""
    return text.startswith('{"trace":')


def parse_first_line(text: str) -> TraceStart:
    """Return what the first line of a trace says.

    Raises:
        ValueError: it is not the first line of a trace that this version can read.
    """
    try:
        values = json.loads(text)
        if values["trace"] != FORMAT:
            raise ValueError(f"a trace of format {values['trace']!r}; this version reads {FORMAT}")
        return TraceStart(ControlConfig(**values["config"]), values["seed"], values["hint"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"not the first line of a controller trace: {text[:80]!r}") from error


def parse_line(text: str) -> TraceLine:
    """Return what any other line of a trace says.

    Raises:
        ValueError: it is no line of a trace.
    """
    try:
        values = json.loads(text)
        decision = Decision(values["N"], values["start_rate"], values["reason"], values["mode"])
        figures = Figures(
            values["x"], values["e"], values["err"], values["sigma"], values["ceiling"]
        )
        return TraceLine(Sample(**values["sample"]), decision, figures)
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a line of a controller trace: {text[:80]!r}") from error
