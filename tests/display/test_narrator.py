from __future__ import annotations

from hfdl_async.core import events
from hfdl_async.display.narrator import BIG_FILE_BYTES, CALM_SECONDS, FAILURES_SHOWN, Narrator
from tests.display.samples import HOSTILE, RAW


def retried(time: float) -> events.SegmentRetried:
    return events.SegmentRetried(time, "a.bin", 0, 8_000_000, "connection reset", 0.8)


def test_a_retry_says_of_which_file_why_and_how_much() -> None:
    [line] = Narrator().tell([retried(0.0)])
    assert line.text == "a.bin: connection reset; asking again for 8.00 MB in 0.8 s"
    assert line.tone == "trouble"


def test_a_storm_of_retries_is_one_line_and_a_count() -> None:
    narrator = Narrator()
    assert len(narrator.tell([retried(0.01 * n) for n in range(100)])) == 1
    [later] = narrator.tell([retried(CALM_SECONDS + 1)])
    assert "(and 99 more like it)" in later.text
    narrator.tell([retried(CALM_SECONDS + 2)])
    [rest] = narrator.rest()
    assert rest.text == "1 more time a request was repeated"


def test_big_files_earn_a_line_and_small_ones_do_not() -> None:
    small = events.FilePublished(0.0, "config.json", BIG_FILE_BYTES - 1)
    big = events.FilePublished(0.0, "model.bin", BIG_FILE_BYTES)
    [line] = Narrator().tell([small, big])
    assert line.text.startswith("model.bin")


def test_resumed_bytes_and_wrong_ones_are_told_apart() -> None:
    [line] = Narrator().tell([events.FileResumed(0.0, "a.bin", 10**9, 8 * 10**6)])
    assert line.text == ("a.bin: 1.00 GB here already, proven; 8.00 MB damaged, fetching it again")
    [line] = Narrator().tell([events.FileResumed(0.0, "a.bin", 0, 5 * 10**6)])
    assert line.text == "a.bin: 5.00 MB damaged, fetching it again"


def test_endless_failures_of_a_kind_are_counted() -> None:
    facts: list[events.Event] = [
        events.FileFailed(0.0, f"{n}.bin", "storage", "the disk is full") for n in range(1000)
    ]
    facts.append(events.FileFailed(0.0, "x.bin", "network", "gone"))
    narrator = Narrator()
    lines = narrator.tell(facts)
    assert len(lines) == FAILURES_SHOWN + 1
    assert lines[-1].text == "x.bin: gone"
    [rest] = narrator.rest()
    assert rest.text == f"... and {1000 - FAILURES_SHOWN} more files failed (storage)"


def test_digests_are_cut_to_what_tells_two_apart() -> None:
    message = f"a.bin: sha256 {'ab' * 32} instead of {'cd' * 32}"
    [line] = Narrator().tell([events.FileFailed(0.0, "a.bin", "integrity", message)])
    assert line.text == "a.bin: sha256 abababababab... instead of cdcdcdcdcdcd..."


def test_no_fact_carries_a_control_character_into_a_line() -> None:
    facts: list[events.Event] = [
        events.PlanMade(0.0, HOSTILE, 1, 2, 1),
        events.FileResumed(0.0, HOSTILE, 1, 1),
        events.SegmentRetried(0.0, HOSTILE, 0, 1, HOSTILE, 0.0),
        events.ConnectionReplaced(0.0, HOSTILE, HOSTILE),
        events.RateLimited(0.0, HOSTILE, 38.0),
        events.FilePublished(0.0, HOSTILE, BIG_FILE_BYTES),
        events.FileFailed(0.0, HOSTILE, "network", HOSTILE),
    ]
    lines = Narrator().tell(facts)
    assert len(lines) == len(facts)
    assert not any(raw in line.text for line in lines for raw in RAW)
