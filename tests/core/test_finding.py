from __future__ import annotations

import dataclasses

import pytest

from hfdl_async.core.finding import Finding, Found


def test_a_finding_is_a_value() -> None:
    finding = Finding(Found.ABSENT)
    assert finding == Finding(Found.ABSENT, have_bytes=0)
    with pytest.raises(dataclasses.FrozenInstanceError):
        finding.have_bytes = 1  # type: ignore[misc]


@pytest.mark.parametrize("state", Found)
def test_only_what_fits_or_has_the_content_is_right(state: Found) -> None:
    assert Finding(state).is_right == (state in (Found.FITS, Found.RIGHT))


def test_content_without_a_name_is_right_all_the_same() -> None:
    assert Finding(Found.FITS, nameless=True).is_right
    assert not Finding(Found.FITS).nameless
