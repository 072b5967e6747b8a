from __future__ import annotations

import pytest

from hfdl_async.core.controller import FixedController
from hfdl_async.testing.simulation.client import Client
from hfdl_async.testing.simulation.network import Conditions, Network
from hfdl_async.testing.simulation.world import Arrival, Change, run

LINE = Conditions(100e6, 10e6)


def client(connections: int, at: float = 0.0) -> Arrival:
    def make(network: Network) -> Client:
        return Client(FixedController(connections), network, request_bytes=2**24)

    return Arrival(at, make)


def test_the_same_seed_gives_the_same_run() -> None:
    noisy = Conditions(100e6, 10e6, noise=0.1)
    one, same, other = (run(noisy, [client(8)], seconds=10, seed=seed) for seed in (1, 1, 2))
    assert one[0].bytes == same[0].bytes != other[0].bytes


def test_goodput_is_what_the_connections_or_the_line_allow() -> None:
    few, many = (run(LINE, [client(n)], seconds=20, seed=1)[0] for n in (4, 40))
    assert few.bytes_between(5, 20) / 15 == pytest.approx(40e6, rel=0.25)
    assert many.bytes_between(5, 20) / 15 == pytest.approx(100e6, rel=0.01)


def test_connections_on_one_line_share_it_alike() -> None:
    both = run(LINE, [client(30), client(60)], seconds=20, seed=1)
    shares = [track.bytes_between(5, 20) for track in both]
    assert shares[1] / shares[0] == pytest.approx(2.0, rel=0.05)


def test_a_client_that_comes_later_has_its_own_ticks() -> None:
    first, second = run(LINE, [client(4), client(4, at=7.1)], seconds=20, seed=1)
    assert first.times[0] == pytest.approx(0.5)
    assert second.times[0] == pytest.approx(7.6)
    assert second.mean_target(0, 20) == 4


def test_new_conditions_hold_from_their_moment_on() -> None:
    slower = Conditions(20e6, 10e6)
    (track,) = run(LINE, [client(40)], seconds=20, seed=1, change=Change(10.0, slower))
    assert track.bytes_between(5, 10) / 5 == pytest.approx(100e6, rel=0.02)
    assert track.bytes_between(11, 20) / 9 == pytest.approx(20e6, rel=0.02)
