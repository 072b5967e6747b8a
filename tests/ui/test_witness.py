from __future__ import annotations

from collections.abc import Sequence

from hfdl_async.core import events
from hfdl_async.core.progress import Snapshot
from hfdl_async.ui.witness import Witness
from tests.display.samples import report


class Recorder:
    """A display that notes what it is asked for."""

    beat_seconds = 0.25

    def __init__(self) -> None:
        self.seen: list[str] = []

    def open(self, title: str) -> None:
        self.seen.append(f"open {title}")

    def draw(self, snapshot: Snapshot, facts: Sequence[events.Event]) -> None:
        self.seen.append("draw")

    def close(self, snapshot: Snapshot, facts: Sequence[events.Event]) -> None:
        self.seen.append("close")


def test_everything_is_passed_on_and_the_report_is_kept() -> None:
    shown = Recorder()
    witness = Witness(shown)
    witness.open("org/model")
    witness.draw(Snapshot(), [])
    assert witness.report is None
    witness.close(Snapshot(), [events.Finished(0.0, report())])
    assert shown.seen == ["open org/model", "draw", "close"]
    assert witness.report == report()
    assert witness.beat_seconds == shown.beat_seconds


def test_a_report_is_kept_where_nothing_is_shown() -> None:
    witness = Witness(None)
    witness.open("org/model")
    witness.draw(Snapshot(), [events.Finished(0.0, report())])
    witness.close(Snapshot(), [])
    assert witness.report == report()
