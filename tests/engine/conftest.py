"""Everything here runs on both loops."""

from __future__ import annotations

import pytest

from tests.backends import LOOPS


@pytest.fixture(scope="session", params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> object:
    """Run async tests on each of the loops."""
    return request.param
