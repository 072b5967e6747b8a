from __future__ import annotations

import anyio
import pytest

from hfdl_async.serving.limits import MAX_PACED_BYTES, Pacer, Quota

pytestmark = pytest.mark.anyio


class Watch:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_headers_count_down_as_the_hub_words_them() -> None:
    watch = Watch()
    quota = Quota("resolvers", 3000, clock=watch)
    for _ in range(2):
        assert quota.count()
    assert quota.headers() == {
        "RateLimit": '"resolvers";r=2998;t=200',
        "RateLimit-Policy": '"fixed window";"resolvers";q=3000;w=300',
    }


def test_the_quota_refuses_what_comes_after_it_until_the_next_window() -> None:
    watch = Watch()
    quota = Quota("api", 2, window_seconds=10, clock=watch)
    assert [quota.count() for _ in range(4)] == [True, True, False, False]
    assert quota.headers()["RateLimit"] == '"api";r=0;t=10'
    watch.now += 10
    assert quota.count()


async def test_the_first_bytes_pay_for_themselves() -> None:
    pacer = Pacer(100_000)
    begin = anyio.current_time()
    await pacer.take(1000)
    await pacer.take(1000)
    assert anyio.current_time() - begin >= 0.02


def test_pieces_follow_the_rate() -> None:
    assert Pacer(1).piece_bytes == 1
    assert Pacer(1_000_000).piece_bytes == 20_000
    assert Pacer(1e9).piece_bytes == MAX_PACED_BYTES
