from __future__ import annotations

import json
from dataclasses import fields
from typing import get_args

import pytest

import hfdl_async.events as public
from hfdl_async.core import events
from hfdl_async.core.model import RepoRef, Report

FACTS = get_args(events.Event)
NAMES = {
    "PlanMade", "FileStarted", "FileResumed", "SegmentRetried", "ConnectionReplaced",
    "ConcurrencyChanged", "RateLimited", "FileVerified", "FilePublished", "FileFailed",
    "Progress", "Finished",
}  # fmt: skip


def example(kind: type[events.Event]) -> events.Event:
    values: list[object] = []
    for item in fields(kind):
        samples = {"float": 1.5, "int": 2, "str": "text", "float | None": None}
        values.append(samples.get(str(item.type), Report(RepoRef("org/name"), "ok", 0)))
    return kind(*values)  # type: ignore[arg-type]


def test_the_facts_are_those_of_the_contract_and_all_are_public() -> None:
    assert {kind.__name__ for kind in FACTS} == NAMES
    assert set(public.__all__) == NAMES | {"Event"}
    assert all(getattr(public, name) is getattr(events, name) for name in public.__all__)


@pytest.mark.parametrize("kind", FACTS, ids=lambda kind: kind.__name__)
def test_a_fact_is_one_json_object_with_its_name_and_all_its_fields(
    kind: type[events.Event],
) -> None:
    row = json.loads(json.dumps(example(kind).to_dict()))
    assert row["event"] == kind.__name__
    assert row["time"] == 1.5
    assert set(row) == {"event", *(item.name for item in fields(kind))}


def test_the_last_fact_carries_the_report() -> None:
    report = Report(RepoRef("org/name"), "ok", 0)
    assert events.Finished(1.0, report).to_dict()["report"] == report.to_dict()
