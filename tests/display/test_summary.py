from __future__ import annotations

from hfdl_async.core.model import FileReport
from hfdl_async.display.summary import summary
from hfdl_async.errors import NetworkError
from tests.display.samples import report


def test_a_good_run_says_files_size_time_and_rate() -> None:
    first, details = summary(report())
    assert first.text == "org/model: 1 file, 600 MB in 6.0 s (100 MB/s)"
    assert details.text == (
        "downloaded 600 MB, resumed 100 MB, 13 requests (1 repeated), up to 8 connections, "
        "1 warning"
    )


def test_nothing_to_do_is_said_as_such() -> None:
    here = (FileReport("a.bin", 600_000_000, "reused", None),)
    first, *_ = summary(report(files=here, reused=600_000_000))
    assert first.text == "org/model: 1 file here already, 600 MB"
    first, *_ = summary(report(files=here * 2, reused=600_000_000))
    assert first.text == "org/model: all 2 files here already, 600 MB"


def test_a_failure_counts_the_files() -> None:
    files = (
        FileReport("a.bin", 1, "downloaded", None),
        FileReport("b.bin", 1, "failed", None, NetworkError("b.bin: gone")),
    )
    first, *_ = summary(report("partial", files=files))
    assert first.tone == "failed"
    assert first.text == "org/model: 1 of 2 files failed, 6.0 s"


def test_an_interrupted_run_says_how_much_is_here() -> None:
    first, *_ = summary(report("interrupted", size_bytes=900_000_000))
    assert first.text == "org/model: stopped after 6.0 s, 700 of 900 MB here"


def test_where_nothing_was_begun_there_is_nothing_to_sum_up() -> None:
    assert summary(report("planned")) == []
    assert summary(report("failed", files=())) == []
