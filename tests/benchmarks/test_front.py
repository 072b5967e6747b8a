"""The access log adds up to requests by kind and the time in which content flowed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.capture import ask
from benchmarks.front import free_ports, nginx_program, parse_log, running_front
from benchmarks.hub import running_hub
from benchmarks.line import PLAIN, Line
from benchmarks.workload import Workload, large_files, make, sha256_of, small_files
from hfdl_async.core.model import MIB

LOG = """100.500 0.500 GET api 900
101.000 0.250 GET resolve 200
103.000 2.000 GET data 1000
104.000 2.000 GET data 500
101.100 0.000 HEAD resolve 0
200.000 0.000 GET other 0
"""


def test_requests_are_counted_by_method_and_kind() -> None:
    assert parse_log(LOG).requests == {
        "GET api": 1, "GET resolve": 1, "GET data": 2, "HEAD resolve": 1, "GET other": 1
    }  # fmt: skip


def test_content_flows_from_its_first_request_to_its_last_end() -> None:
    traffic = parse_log(LOG)
    assert traffic.data_bytes == 1500
    assert traffic.data_seconds == 3.0


def test_without_content_there_is_no_such_time() -> None:
    assert parse_log("100.5 0.5 GET api 900\n").data_seconds is None
    assert parse_log("").requests == {}


def test_ports_are_all_different() -> None:
    assert len(set(free_ports(20))) == 20


@pytest.mark.skipif(
    nginx_program() is None or sys.platform != "linux", reason="needs nginx and splice(2)"
)
@pytest.mark.parametrize("line", [PLAIN, Line(delay_seconds=0.001)], ids=["plain", "delayed"])
def test_nginx_says_what_the_hub_says_and_counts_it(line: Line, tmp_path: Path) -> None:
    made = make(Workload("few", (small_files(3), large_files(1, MIB))), tmp_path / "served")
    small, large = "part-0000/0000002.json", "model-00001-of-00001.safetensors"
    with (
        running_hub(made, tmp_path, PLAIN) as hub,
        running_front(made, hub, tmp_path, line) as front,  # which compares the two
    ):
        status, headers, _ = ask(f"{front.endpoint}/bench/few/resolve/main/{small}")
        assert status == 307
        assert headers["Location"].startswith("/api/resolve-cache/models/bench/few/")
        _, _, body = ask(front.endpoint + headers["Location"])
        assert body == (made.folder / small).read_bytes()
        status, headers, _ = ask(f"{front.endpoint}/bench/few/resolve/main/{large}", method="HEAD")
        assert status == 302
        assert headers["X-Linked-Etag"] == f'"{sha256_of(made.folder / large)}"'
        _, _, body = ask(headers["Location"])
        assert body == (made.folder / large).read_bytes()
        ask(f"{front.endpoint}/api/models/bench/few/refs")  # what only the hub knows
        traffic = front.traffic()
    assert traffic.requests == {
        "GET resolve": 1, "HEAD resolve": 1, "GET data": 2, "GET api": 1
    }  # fmt: skip
    assert traffic.data_bytes == MIB + (made.folder / small).stat().st_size
    assert traffic.data_seconds is not None
