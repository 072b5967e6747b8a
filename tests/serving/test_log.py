from __future__ import annotations

from hfdl_async.serving.answer import Call
from hfdl_async.serving.log import RequestLog


def call(kind: str = "data", path: str = "f") -> Call:
    return Call(
        "data", "GET", "/x", {"Range": "bytes=0-1", "Authorization": "a"}, ("", 1), path=path,
        kind=kind,  # type: ignore[arg-type]
        what=kind,
    )  # fmt: skip


def test_requests_are_counted_by_kind_and_bytes_when_they_end() -> None:
    log = RequestLog()
    entry = log.begin(call())
    entry.bytes_sent = 10
    assert (log.counts["data"], log.sent["data"], entry.done) == (1, 0, False)
    log.end(entry)
    assert (log.sent["data"], entry.done) == (10, True)


def test_peaks_outlive_what_made_them() -> None:
    log = RequestLog()
    entries = [log.begin(call()) for _ in range(3)]
    for entry in entries:
        log.end(entry)
    log.connections("data", 5)
    log.connections("data", 1)
    assert (log.in_flight["data"], log.peak_in_flight["data"]) == (0, 3)
    assert log.peak_connections["data"] == 5


def test_requests_are_found_by_kind_and_file() -> None:
    log = RequestLog()
    for path in ("a", "b", "a"):
        log.begin(call(path=path))
    log.begin(call("tree"))
    assert len(log.of("data", "a")) == 2
    assert len(log.of("tree")) == 1
    assert (log.of("data")[0].range, log.of("data")[0].authorization) == ("bytes=0-1", "a")


def test_a_log_that_keeps_nothing_still_counts() -> None:
    log = RequestLog(keep=False)
    log.end(log.begin(call()))
    assert len(log) == 0
    assert log.to_dict()["requests"] == {"data": 1}


def test_clearing_forgets_the_past_but_not_what_is_going_on() -> None:
    log = RequestLog()
    log.begin(call())
    log.clear()
    assert (len(log), log.counts["data"], log.in_flight["data"]) == (0, 0, 1)
