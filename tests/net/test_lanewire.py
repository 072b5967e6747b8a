from __future__ import annotations

import asyncio

import anyio
import pytest

from hfdl_async.net.answer import RECALL, Lent, Request
from hfdl_async.net.buffers import Buffer, Stock
from hfdl_async.net.exchange import Exchange
from hfdl_async.net.lanewire import Wire
from hfdl_async.net.urls import parse_url
from tests.net.wire import reply

pytestmark = pytest.mark.anyio
SIZE = 1000
BODY = bytes(range(256)) * 40


class Pipe(asyncio.Transport):
    """A transport that the test feeds; reading stops when the wire says so."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self.wire = wire
        self.written = b""
        self.reading = True
        self.closing = False
        wire.connection_made(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True

    def feed(self, data: bytes, *, whole: bool = False) -> int:
        """Hand *data* over as far as the wire reads, or all of it; return how much that was."""
        done = 0
        while done < len(data) and (self.reading or whole) and not self.closing:
            room = self.wire.get_buffer(-1)
            count = min(len(room), len(data) - done)
            assert count, "no loop can live with an empty buffer"
            room[:count] = data[done : done + count]
            self.wire.buffer_updated(count)
            done += count
        return done


class Bench:
    """A wire, its pipe and its stock."""

    def __init__(self, size: int = SIZE, buffers: int = 20) -> None:
        self.stock = Stock(size, buffers * (size + 1))
        self.lost: list[Wire] = []
        self.wire = Wire(self.stock, self.lost.append)
        self.pipe = Pipe(self.wire)

    async def ask(self, said: bytes) -> Exchange:
        """Send a request that is answered by *said*."""
        exchange = Exchange()
        async with anyio.create_task_group() as group:
            group.start_soon(self.wire.ask, exchange, asked(exchange), 10.0)
            await anyio.lowlevel.checkpoint()
            self.pipe.feed(said)
        return exchange

    async def begin(self, body: bytes = b"", length: int = len(BODY)) -> None:
        """Get as far as the head of content, and what comes along behind it."""
        await self.ask(reply(206, b"", Content_Length=str(length)) + body)

    async def take(self, silence_seconds: float = 0.02, most_bytes: int | None = None) -> bytes:
        """Return the next bytes, their lease given back."""
        lent = await self.wire.take(most_bytes, silence_seconds)
        if lent is None:
            return b""
        data = bytes(lent.data)
        lent.release()
        return data


def asked(exchange: Exchange) -> bytes:

    return exchange.request(Request(parse_url("http://host/x"), "x"), "me/1")


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_whole_buffers_are_handed_out_and_the_rest_at_the_end() -> None:
    bench = Bench(buffers=2)
    await bench.begin(BODY[:10])
    got = []
    sent = 10
    while sent < len(BODY):
        sent += bench.pipe.feed(BODY[sent:])
        got.append(await bench.take())
    assert [len(one) for one in got] == [SIZE] * 10 + [len(BODY) - 10 * SIZE]
    assert b"".join(got) == BODY
    assert await bench.take() == b""
    assert bench.wire.done
    assert bench.stock.out == 0


async def test_a_reader_that_stays_away_stops_the_peer() -> None:
    bench = Bench(buffers=2)
    await bench.begin()
    assert bench.pipe.feed(BODY) == SIZE
    assert not bench.pipe.reading
    assert await bench.take() == BODY[:SIZE]
    assert bench.pipe.reading
    assert bench.pipe.feed(BODY[SIZE:]) == SIZE


async def test_under_a_limit_nothing_is_received_ahead_of_its_reader() -> None:
    bench = Bench(buffers=2)
    await bench.begin()
    bench.stock.reads.most_bytes = 300
    got, sent = b"", 0
    while sent < len(BODY):
        fed = bench.pipe.feed(BODY[sent:])
        assert fed <= 300
        sent += fed
        taken = await bench.take()
        got += taken
        assert len(taken) == fed
        assert not bench.pipe.reading or sent == len(BODY)
        async with anyio.create_task_group() as group:
            group.start_soon(bench.wire.take, None, 1.0)
            await anyio.wait_all_tasks_blocked()
            assert bench.pipe.reading or sent == len(BODY)
            group.cancel_scope.cancel()
    assert got == BODY
    assert bench.wire.done


async def test_a_limit_that_is_lifted_lets_whole_buffers_come_again() -> None:
    bench = Bench(buffers=4)
    await bench.begin()
    bench.stock.reads.most_bytes = 300
    assert bench.pipe.feed(BODY) == 300
    bench.stock.reads.most_bytes = None
    assert await bench.take() == BODY[:300]  # after the lull, in which reading goes on
    assert bench.pipe.reading
    assert bench.pipe.feed(BODY[300:]) > 300
    assert await bench.take() == BODY[300:SIZE]


async def test_a_loop_that_hands_on_more_than_a_slice_finds_room_for_it(bench: Bench) -> None:
    await bench.begin()
    bench.stock.reads.most_bytes = 300
    assert bench.pipe.feed(BODY[:700], whole=True) == 700
    assert await bench.take() == BODY[:700]


class Socket:
    """Notes what it is told to buffer."""

    def __init__(self) -> None:
        self.buffers: list[int] = []

    def setsockopt(self, level: int, name: int, value: int) -> None:
        self.buffers.append(value)


async def test_the_kernel_buffers_as_little_as_the_limit_asks_for_from_then_on(
    bench: Bench,
) -> None:
    sock, reads = Socket(), bench.stock.reads
    bench.pipe._extra["socket"] = sock  # type: ignore[attr-defined]
    bench.wire.limit_ahead()
    assert sock.buffers == []
    for reads.ahead_bytes in (600_000, 600_000, 400_000):
        bench.wire.limit_ahead()
    assert sock.buffers == [300_000, 200_000]
    assert bench.wire.is_wide_enough
    for reads.ahead_bytes in (800_000, None):
        assert not bench.wire.is_wide_enough


async def test_a_slice_that_is_not_back_yet_is_never_filled_again(bench: Bench) -> None:
    await bench.begin()
    held: list[Lent] = []
    sent = 0
    while sent < len(BODY):
        sent += bench.pipe.feed(BODY[sent:])
        lent = await bench.wire.take(None, 1.0)
        assert lent is not None
        held.append(lent)
    while (lent := await bench.wire.take(None, 1.0)) is not None:
        held.append(lent)
    assert b"".join(bytes(lent.data) for lent in held) == BODY
    for lent in held:
        lent.release()
    assert bench.stock.out == 0


async def test_a_loop_that_hands_on_what_it_had_read_already_is_taken_care_of(
    bench: Bench,
) -> None:
    await bench.begin()
    assert bench.pipe.feed(BODY, whole=True) == len(BODY)
    got = b""
    while data := await bench.take():
        got += data
    assert got == BODY
    assert bench.pipe.reading


async def test_a_trickle_is_handed_out_as_it_comes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfdl_async.net.lanewire.LULL_SECONDS", 0.001)
    await bench.begin(b"abc", 7)
    assert await bench.take(silence_seconds=9.0) == b"abc"
    bench.pipe.feed(b"de")
    assert await bench.take(silence_seconds=9.0) == b"de"
    bench.pipe.feed(b"fg")
    assert await bench.take(silence_seconds=9.0) == b"fg"
    assert bench.wire.done
    assert bench.stock.out == 0


async def test_a_line_that_brings_nothing_is_silent_after_its_time(bench: Bench) -> None:
    await bench.begin(b"abc")
    assert await bench.take(silence_seconds=0.01) == b"abc"
    with pytest.raises(TimeoutError):
        await bench.take(silence_seconds=0.01)


async def test_chunks_are_as_short_as_they_are_wanted(bench: Bench) -> None:
    await bench.begin(b"abcdefg", 7)
    assert [await bench.take(most_bytes=3) for _ in range(4)] == [b"abc", b"def", b"g", b""]
    assert bench.stock.out == 0


@pytest.mark.parametrize("error", [None, ConnectionResetError("gone")])
async def test_what_had_come_is_handed_out_before_the_end_is_told(
    bench: Bench, error: Exception | None
) -> None:
    await bench.begin()
    bench.pipe.feed(BODY[:SIZE])
    bench.pipe.feed(BODY[SIZE : SIZE + 5], whole=True)
    bench.wire.connection_lost(error)
    assert await bench.take() == BODY[:SIZE]
    assert await bench.take() == BODY[SIZE : SIZE + 5]
    with pytest.raises(type(error) if error else EOFError):
        await bench.take()
    assert bench.lost == [bench.wire]


async def test_a_waiting_reader_hears_of_the_end_at_once(bench: Bench) -> None:
    async def end() -> None:
        await anyio.lowlevel.checkpoint()
        bench.wire.connection_lost(None)

    await bench.begin()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as group:
            group.start_soon(end)
            with pytest.raises(EOFError):
                await bench.take(silence_seconds=60.0)


@pytest.mark.parametrize("along", [True, False])
async def test_a_byte_too_many_is_never_handed_out_and_ends_the_connection(
    bench: Bench, along: bool
) -> None:
    await bench.begin(b"abc" + b"!" * along, 3)
    bench.pipe.feed(b"!" * (not along), whole=True)
    assert await bench.take() == b"abc"
    assert await bench.take() == b""
    assert not bench.wire.done


@pytest.mark.parametrize("length", [SIZE - 1, SIZE, SIZE + 1, 2 * SIZE])
async def test_a_byte_too_many_is_seen_together_with_the_last(length: int) -> None:
    bench = Bench()
    await bench.begin(b"", length)
    bench.pipe.feed(BODY[:length] + b"!", whole=True)
    assert not bench.wire.done


async def test_a_connection_carries_one_request_after_the_other(bench: Bench) -> None:
    for body in (b"abc", b"", b"defg"):
        await bench.begin(body, len(body))
        assert await bench.take() == body
        assert bench.wire.done
        bench.wire.rest()
    assert bench.pipe.written.count(b"GET /x") == 3
    assert not bench.pipe.closing


async def test_a_word_while_idle_ends_the_connection(bench: Bench) -> None:
    await bench.begin(b"abc", 3)
    await bench.take()
    bench.wire.rest()
    bench.pipe.feed(b"HTTP/1.1 408 Too Late\r\n\r\n")
    assert bench.pipe.closing
    assert bench.wire.lost


async def test_a_server_that_will_close_is_believed(bench: Bench) -> None:
    await bench.ask(reply(200, b"abc", Connection="close"))
    assert await bench.take() == b"abc"
    assert not bench.wire.done


async def test_the_loop_may_ask_for_room_once_more_at_any_time(bench: Bench) -> None:
    assert len(bench.wire.get_buffer(-1))
    await bench.begin(b"abc", 3)
    assert len(bench.wire.get_buffer(-1))
    bench.wire.abort()
    assert len(bench.wire.get_buffer(-1))
    bench.wire.buffer_updated(1)


async def test_dropping_a_connection_frees_what_nobody_holds(bench: Bench) -> None:
    await bench.begin()
    bench.pipe.feed(BODY[: SIZE + 1], whole=True)
    lent = await bench.wire.take(None, 1.0)
    assert lent is not None
    bench.pipe.feed(BODY[SIZE + 1 : SIZE + 3], whole=True)
    bench.wire.abort()
    assert bench.stock.out == 1
    assert bytes(lent.data) == BODY[:SIZE]
    lent.release()
    assert bench.stock.out == 0
    assert bench.pipe.closing


async def test_an_answer_cut_within_its_head_is_none(bench: Bench) -> None:
    async def end() -> None:
        await anyio.lowlevel.checkpoint()
        bench.pipe.feed(b"HTTP/1.1 20")
        bench.wire.connection_lost(None)

    exchange = Exchange()
    async with anyio.create_task_group() as group:
        group.start_soon(end)
        with pytest.raises(EOFError):
            await bench.wire.ask(exchange, asked(exchange), 10.0)


async def test_a_lost_transport_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(buffers=2)

    def gone(_self: Pipe) -> bool:
        raise AttributeError("as that of TLS on Python 3.10 does")

    await bench.begin()
    bench.pipe.feed(BODY)  # up to the first full buffer: reading stops
    bench.wire.connection_lost(None)
    monkeypatch.setattr(Pipe, "is_closing", gone)
    monkeypatch.setattr(Pipe, "resume_reading", gone)
    assert await bench.take() == BODY[:SIZE]
    with pytest.raises(EOFError):
        await bench.take()


async def starved(stock: Stock) -> tuple[Bench, list[Lent]]:
    """Return a bench whose body began when others had taken all of *stock*, and their leases."""
    others = []
    while (buffer := stock.take()) is not None:
        buffer.filled = 1
        others.append(buffer.lend())
        buffer.seal()
    bench = Bench()
    bench.stock = bench.wire._stock = stock
    await bench.begin()
    return bench, others


async def test_without_a_buffer_the_socket_is_not_read_until_one_comes_back() -> None:
    bench, others = await starved(Stock(SIZE, 3 * (SIZE + 1)))
    known = bench.pipe.feed(BODY[:5])
    assert not bench.pipe.reading
    others.pop().release()
    assert bench.pipe.reading
    got = b""
    while len(got) < len(BODY):
        known += bench.pipe.feed(BODY[known:])
        got += await bench.take()
    assert got == BODY
    assert bench.stock.out == 2
    assert not bench.stock.is_short


async def test_whoever_waits_for_a_buffer_is_asked_for_those_it_has_again_and_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("hfdl_async.net.lanewire.LULL_SECONDS", 0.001)
    bench, others = await starved(Stock(SIZE, SIZE + 1))
    bench.pipe.feed(BODY[:3])
    for _ in range(3):  # far longer than the silence that is tolerated, and nobody is blamed
        lent = await bench.wire.take(None, 0.001)
        assert lent is RECALL
    others.pop().release()
    assert await bench.take() == BODY[:3]


async def test_a_reader_is_asked_for_what_it_holds_as_soon_as_somebody_needs_it() -> None:
    bench = Bench(buffers=2)
    await bench.begin()
    sent = bench.pipe.feed(BODY)
    held = await bench.wire.take(None, 1.0)
    assert held is not None
    assert bench.stock.take() is not None
    wanted: list[Buffer] = []
    bench.stock.stand_in_line(wanted.append)
    assert await bench.wire.take(None, 1.0) is RECALL
    held.release()
    assert len(wanted) == 1
    assert sent == SIZE


async def test_what_came_before_the_end_without_a_buffer_is_returned_first() -> None:
    bench, others = await starved(Stock(SIZE, SIZE + 1))
    bench.pipe.feed(BODY[:5], whole=True)
    bench.wire.connection_lost(None)
    assert await bench.take(most_bytes=2) == BODY[:2]
    assert await bench.take() == BODY[2:5]
    with pytest.raises(EOFError):
        await bench.take()
    others.pop().release()
    assert bench.stock.out == 0


async def test_a_connection_that_is_dropped_leaves_the_line() -> None:
    bench, others = await starved(Stock(SIZE, SIZE + 1))
    bench.pipe.feed(BODY[:5], whole=True)
    assert bench.stock.is_short
    bench.wire.abort()
    assert not bench.stock.is_short
    others.pop().release()
    assert bench.stock.out == 0


async def test_a_wire_that_lets_go_is_not_handed_its_own_buffers() -> None:
    bench = Bench(buffers=4)
    await bench.begin()
    bench.pipe.feed(BODY[:SIZE])  # one full buffer that nobody takes
    others = [bench.stock.take() for _ in range(3)]
    bench.pipe.feed(BODY[SIZE : SIZE + 5 * SIZE])  # there is no buffer for it: it lies aside
    assert bench.stock.is_short
    bench.wire.abort()
    assert not bench.stock.is_short
    assert bench.stock.out == len(others)
