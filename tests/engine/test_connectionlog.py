from __future__ import annotations

import logging

import pytest

from hfdl_async.core.progress import ConnectionView
from hfdl_async.engine.connectionlog import TABLE_EVERY_SECONDS, ConnectionLog

FLOWS = (
    ConnectionView("a.bin", 0, 100, 2_500_000.0, 1.25, "receiving"),
    ConnectionView("b.bin", 100, 200, 0.0, 0.5, "asking"),
)


def test_every_connection_has_a_line_every_five_seconds(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "hfdl_async.connections")
    table = ConnectionLog(lambda _: FLOWS)
    table.on_tick(100.0)
    table.on_tick(100.0 + TABLE_EVERY_SECONDS - 0.1)
    assert caplog.messages == []
    table.on_tick(100.0 + TABLE_EVERY_SECONDS)
    assert caplog.messages == [
        "a.bin bytes 0-99: receiving, 2.50 MB/s, 1.2 s old",
        "b.bin bytes 100-199: asking, 0.00 MB/s, 0.5 s old",
    ]
    table.on_tick(100.0 + TABLE_EVERY_SECONDS + 0.5)
    assert len(caplog.messages) == 2


def test_a_table_that_nobody_reads_is_not_made(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "hfdl_async.connections")
    asked: list[float] = []

    def flows(now_seconds: float) -> tuple[ConnectionView, ...]:
        asked.append(now_seconds)
        return FLOWS

    table = ConnectionLog(flows)
    for second in range(20):
        table.on_tick(float(second))
    assert asked == []
