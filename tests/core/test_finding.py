from __future__ import annotations

import dataclasses

import pytest

from hfdl_async.core.finding import Finding, Found


def test_a_finding_is_a_value() -> None:
    finding = Finding(Found.ABSENT)
    assert finding == Finding(Found.ABSENT, have_bytes=0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        finding.have_bytes = 1  # type: ignore[misc]
