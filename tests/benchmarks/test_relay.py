"""A slow line changes no byte, and counts those that went to the client."""

from __future__ import annotations

import random
import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from benchmarks.front import free_ports
from benchmarks.line import Line
from benchmarks.relay import LATE_SECONDS, Bucket, running_relay
from hfdl_async.core.model import KIB, MB

ANSWER = random.Random(1).randbytes(3 * MB)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the relay needs splice(2)")


@pytest.fixture
def port() -> Iterator[int]:
    """Serve ANSWER to whoever says `go`, on each connection once."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                assert connection.recv(16) == b"go"
                connection.sendall(ANSWER)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


def fetch(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"go")
        return b"".join(iter(lambda: connection.recv(64 * KIB), b""))


@pytest.mark.parametrize(
    "line",
    [
        Line(delay_seconds=0.01),
        Line(rate_per_connection=200 * MB),
        Line(rate_total=100 * MB),
    ],
)
def test_every_byte_arrives_and_is_counted(line: Line, port: int) -> None:
    (outer,) = free_ports(1)
    with running_relay({outer: port}, line) as relay:
        assert relay.total() == 0
        assert fetch(outer) == ANSWER
        assert fetch(outer) == ANSWER
        relay.wait_for(2 * len(ANSWER))
        assert relay.total() == 2 * len(ANSWER)


def test_a_bucket_lets_pass_what_its_rate_allows() -> None:
    bucket = Bucket(1_000_000)
    assert bucket.wait_seconds(0.0) == 0
    bucket.take(500_000, 0.0)
    assert bucket.wait_seconds(0.0) == 0.5
    assert bucket.wait_seconds(0.25) == 0.25


def test_a_bucket_makes_up_for_a_late_timer_and_not_for_idle_time() -> None:
    bucket = Bucket(1_000_000)
    bucket.take(100_000, 0.0)
    bucket.take(100_000, 0.101)  # a millisecond late
    assert bucket.wait_seconds(0.101) == pytest.approx(0.099)
    bucket.take(100_000, 9.0)
    assert bucket.wait_seconds(9.0) == pytest.approx(0.1 - LATE_SECONDS)


def test_a_bucket_without_a_rate_never_waits() -> None:
    bucket = Bucket(None)
    bucket.take(10**12, 0.0)
    assert bucket.wait_seconds(0.0) == 0


def test_one_connection_falls_silent_and_the_next_one_is_whole(port: int) -> None:
    (outer,) = free_ports(1)
    with running_relay({outer: port}, Line(rate_total=100 * MB)) as relay:
        relay.break_after(1 * MB, 0)
        with socket.create_connection(("127.0.0.1", outer)) as connection:
            connection.sendall(b"go")
            got = 0
            while got < 1 * MB:
                got += len(connection.recv(64 * KIB))
            connection.settimeout(0.2)
            with pytest.raises(TimeoutError):
                list(iter(lambda: connection.recv(64 * KIB), b""))
        assert fetch(outer) == ANSWER
