from __future__ import annotations

import io

from hfdl_async.core import events
from hfdl_async.core.progress import Snapshot
from hfdl_async.display.plain import PlainDisplay, progress_line
from hfdl_async.display.summary import summary
from tests.display.samples import HOSTILE, RAW, report, snapshot


def test_a_line_comes_every_ten_seconds() -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.open("org/model")
    for half_seconds in range(61):
        display.draw(snapshot(elapsed_seconds=half_seconds / 2), [])
    assert (
        stream.getvalue().splitlines()
        == ["org/model: 61 %, 10.1 of 16.4 GB, 118 MB/s, 53 s left, 8/8 connections, 11/17 files"]
        * 3
    )


def test_facts_come_at_once_and_the_summary_last() -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.open("org/model")
    display.draw(snapshot(elapsed_seconds=0.1), [events.PlanMade(0.0, "c" * 40, 17, 2000, 1000)])
    display.close(snapshot(), [events.Finished(0.0, report())])
    assert stream.getvalue().splitlines() == [
        "org/model: 17 files, 2.00 kB, 1.00 kB of it to fetch, commit cccccccccc",
        "org/model: 1 file, 600 MB in 6.0 s (100 MB/s)",
        *(line.text for line in summary(report())[1:]),
    ]


def test_a_countdown_is_one_note() -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream)
    display.open("org/model")
    for second in range(9):
        note = f"waiting {38 - second} s for the Hub's limit"
        display.draw(snapshot("waiting", note=note, elapsed_seconds=second), [])
    assert stream.getvalue() == "org/model: waiting 38 s for the Hub's limit\n"


def test_lines_hold_no_control_characters_and_fit_the_encoding() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    display = PlainDisplay(stream)
    display.open(HOSTILE + "ü")
    failed = events.FileFailed(0.0, HOSTILE, "network", HOSTILE)
    display.draw(snapshot(note=HOSTILE, elapsed_seconds=11), [failed])
    stream.flush()
    lines = raw.getvalue().decode("ascii").splitlines()
    assert len(lines) == 2
    assert not any(char in line for line in lines for char in RAW)


def test_a_reader_that_went_away_raises_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    display = PlainDisplay(stream)
    display.open("org/model")
    display.draw(snapshot(elapsed_seconds=11), [])


def test_listing_says_how_many_files_are_known() -> None:
    assert progress_line("m", Snapshot("listing", listed_files=1234)) == "m: listed 1,234 files"
    assert progress_line("m", Snapshot("listing")) == "m: asking the Hub"
    assert progress_line("m", Snapshot("checking")) == "m: checking what is here"
    assert progress_line("m", Snapshot("waiting", "for 42")) == "m: waiting, for 42"
