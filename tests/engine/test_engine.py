from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from hfdl_async.core.controller import Decision, FixedController, Sample
from hfdl_async.core.events import (
    ConcurrencyChanged,
    ConnectionReplaced,
    FileFailed,
    FilePublished,
    FileResumed,
    FileStarted,
    FileVerified,
    Progress,
    SegmentRetried,
)
from hfdl_async.core.model import Action, ByteRange, Chunk, PlannedFile, RemoteFile
from hfdl_async.core.retry import Policy
from hfdl_async.engine.ports import Part
from hfdl_async.errors import (
    AccessError,
    HfdlError,
    IntegrityError,
    LostConnectionError,
    NetworkError,
    NotFoundError,
    ServerError,
    StorageError,
    UnsafeError,
)
from hfdl_async.testing.fakes import (
    ManualClock,
    MemorySink,
    MemorySource,
    MemoryStore,
    Turn,
    broken,
    refused,
    remote_file,
    short,
    stalled,
)
from tests.engine.rig import HANG_SECONDS, Rig, fetch

pytestmark = pytest.mark.anyio

MANY = {f"f{number:02}": bytes([number]) * (number + 1) for number in range(20)}


@pytest.mark.parametrize("inline", [False, True])
async def test_a_file_arrives_is_verified_and_published(inline: bool) -> None:
    rig = Rig({"a": b"hello world"}, sink=MemorySink(hashes_inline=inline))
    await rig.run()
    assert rig.sink.files == {"a": b"hello world"}
    assert rig.statuses() == {"a": "downloaded"}
    facts = [type(event) for event in rig.events if not isinstance(event, Progress)]
    assert facts == [FileStarted, FileVerified, FilePublished]
    assert isinstance(rig.events[-1], Progress)


async def test_each_file_of_many_is_asked_for_once() -> None:
    rig = Rig(MANY)
    await rig.run()
    assert rig.sink.files == MANY
    assert sorted(asked.path for asked in rig.source.asked) == sorted(MANY)


class Contended(MemorySource):
    """Takes down how many workers wait for a permit whenever a request is made."""

    waiting: Callable[[], int]
    most_waiting = 0

    @asynccontextmanager
    async def open(
        self, file: RemoteFile, span: ByteRange, *, whole: bool = False, fresh: bool = False
    ) -> AsyncIterator[AsyncIterator[Chunk]]:
        async with super().open(file, span, whole=whole, fresh=fresh) as chunks:
            self.most_waiting = max(self.most_waiting, self.waiting())
            yield chunks


async def test_no_permit_goes_from_hand_to_hand() -> None:
    source = Contended({})
    rig = Rig(MANY, source=source, sink=MemorySink(hashes_inline=True))
    source.waiting = lambda: rig.line.permits.waiting
    await rig.run()
    assert source.peak_requests == 4
    assert source.most_waiting == 0


async def test_another_worker_has_the_permit_of_one_that_waits_for_a_retry() -> None:
    source = MemorySource({})
    source.script("a", broken(0))
    rig = Rig({"a": b"aaaa", "b": b"bbbb"}, source=source, controller=FixedController(1))
    await rig.run()
    assert [asked.path for asked in source.asked] == ["a", "b", "a"]


async def test_an_empty_plan_ends_at_once() -> None:
    rig = Rig({})
    await rig.run()
    assert rig.engine.outcomes == {}


@pytest.mark.parametrize("inline", [False, True])
async def test_an_empty_file_is_published_and_never_asked_for(inline: bool) -> None:
    rig = Rig({"a": b""}, sink=MemorySink(hashes_inline=inline))
    await rig.run()
    assert rig.sink.files == {"a": b""}
    assert rig.source.asked == []


async def test_a_file_that_publishes_no_digest_is_published_when_complete() -> None:
    item = PlannedFile(replace(remote_file("a", b"abc"), digest=None), Action.FETCH)
    rig = Rig({"a": b"abc"}, items=[item])
    await rig.run()
    assert rig.sink.files == {"a": b"abc"}
    assert rig.told(FileVerified) == []


async def test_what_is_here_already_is_counted_and_not_touched() -> None:
    item = PlannedFile(remote_file("a", b"abc"), Action.REUSE)
    rig = Rig({"a": b"abc"}, items=[item])
    await rig.run()
    assert rig.statuses() == {}  # what a report says of it is said by `account`
    assert (rig.tally.bytes_reused, rig.tally.bytes_finished, rig.tally.files_done) == (3, 3, 1)
    assert rig.sink.log == []


async def test_progress_is_told_on_the_beat_and_at_the_end() -> None:
    clock = ManualClock()
    source = MemorySource({}, chunk_bytes=10, clock=clock, chunk_seconds=0.2)
    rig = Rig({"a": bytes(100)}, source=source, clock=clock)
    rig.tally.bytes_total = 100
    await rig.run()
    facts = rig.told(Progress)
    assert 4 <= len(facts) <= 6  # two seconds, two a second
    assert facts[1].rate_bytes_per_second == pytest.approx(50, rel=0.3)
    assert facts[1].eta_seconds is not None
    assert (facts[-1].bytes_done, facts[-1].bytes_total) == (100, 100)


async def test_a_run_whose_tasks_were_ended_from_inside_is_no_success() -> None:
    rig = Rig(MANY)

    def ending(event: object) -> None:
        if len(rig.engine.outcomes) == 3:
            raise asyncio.CancelledError

    rig.bus.listen(ending)
    with pytest.raises(RuntimeError, match="3 of 20 files"), anyio.fail_after(HANG_SECONDS):
        await rig.engine.run()
    rig.check_nothing_is_left()


# -- resuming --------------------------------------------------------------------------------


async def test_a_second_run_asks_only_for_what_no_claim_covers() -> None:
    content = bytes(range(100))
    store = MemoryStore()
    store.keep(remote_file("a", content), content, [ByteRange(0, 40), ByteRange(60, 80)])
    rig = Rig({"a": content}, sink=MemorySink(store))
    await rig.run()
    assert sorted(rig.source.spans("a")) == [ByteRange(40, 60), ByteRange(80, 100)]
    assert rig.statuses() == {"a": "resumed"}
    assert rig.tally.bytes_resumed == 60
    [fact] = rig.told(FileResumed)
    assert (fact.resumed_bytes, fact.rejected_bytes) == (60, 0)


async def test_a_claim_that_does_not_hold_is_fetched_again() -> None:
    content = bytes(range(100))
    store = MemoryStore()
    store.keep(remote_file("a", content), content, [ByteRange(0, 40), ByteRange(60, 80)])
    next(iter(store.parts.values())).data[70] ^= 1
    rig = Rig({"a": content}, sink=MemorySink(store))
    await rig.run()
    assert rig.source.spans("a") == [ByteRange(40, 100)]
    assert rig.told(FileResumed)[0].rejected_bytes == 20


@pytest.mark.parametrize("inline", [False, True])
async def test_a_part_that_is_complete_already_is_only_verified(inline: bool) -> None:
    store = MemoryStore()
    store.keep(remote_file("a", b"hello"), b"hello", [ByteRange(0, 5)])
    rig = Rig({"a": b"hello"}, sink=MemorySink(store, hashes_inline=inline))
    await rig.run()
    assert rig.source.asked == []
    assert rig.sink.files == {"a": b"hello"}


async def test_gaps_of_a_file_hashed_as_it_comes_may_be_filled_by_several_workers() -> None:
    content = bytes(range(90))
    store = MemoryStore()
    store.keep(remote_file("a", content), content, [ByteRange(20, 40), ByteRange(60, 80)])
    sink = MemorySink(store, hashes_inline=True)
    rig = Rig({"a": content}, sink=sink, threshold_bytes=50)
    await rig.run()
    assert rig.sink.files == {"a": content}
    assert rig.source.peak_requests == 3
    assert sink.log.count("publish a") == 1


class Lingering(MemorySource):
    """Takes a second to end an answer after its last byte."""

    @asynccontextmanager
    async def open(
        self, file: RemoteFile, span: ByteRange, *, whole: bool = False, fresh: bool = False
    ) -> AsyncIterator[AsyncIterator[Chunk]]:
        async with super().open(file, span, whole=whole, fresh=fresh) as chunks:
            yield chunks
            assert self._clock is not None
            await self._clock.sleep(1.0)


async def test_two_workers_that_end_a_file_together_publish_it_once() -> None:
    content = bytes(range(60))
    store, clock = MemoryStore(), ManualClock()
    store.keep(remote_file("a", content), content, [ByteRange(20, 40)])
    sink = MemorySink(store, hashes_inline=True)
    source = Lingering({}, chunk_bytes=20, clock=clock)
    rig = Rig({"a": content}, source=source, sink=sink, clock=clock, threshold_bytes=50)
    await rig.run()
    assert source.peak_requests == 2
    assert sink.log.count("publish a") == 1


# -- wrong content ---------------------------------------------------------------------------


@pytest.mark.parametrize("inline", [False, True])
async def test_content_that_was_wrong_once_is_fetched_once_more_over_fresh_connections(
    inline: bool,
) -> None:
    rig = Rig({"a": b"hello world"}, sink=MemorySink(hashes_inline=inline))
    rig.source.spoil("a", 4)
    await rig.run()
    assert rig.sink.files == {"a": b"hello world"}
    assert [asked.fresh for asked in rig.source.asked] == [False, True]
    [retried] = rig.told(SegmentRetried)
    assert "the Hub published" in retried.reason


@pytest.mark.parametrize("inline", [False, True])
async def test_content_that_is_always_wrong_is_given_up_and_nothing_of_it_stays(
    inline: bool,
) -> None:
    rig = Rig({"a": b"hello world"}, sink=MemorySink(hashes_inline=inline))
    rig.source.spoil("a", 4, times=100)
    await rig.run()
    assert isinstance(rig.error("a"), IntegrityError)
    assert len(rig.source.asked) == 2
    assert rig.sink.files == {}
    assert rig.sink.store.parts == {}
    assert rig.sink.log[-1] == "discard a"


async def test_an_empty_file_with_a_digest_of_something_else_is_an_integrity_error() -> None:
    digest = remote_file("a", b"x").digest
    item = PlannedFile(replace(remote_file("a", b""), digest=digest), Action.FETCH)
    rig = Rig({"a": b""}, items=[item])
    await rig.run()
    assert isinstance(rig.error("a"), IntegrityError)


async def test_a_resumed_file_that_is_wrong_is_fetched_whole() -> None:
    content = bytes(range(50))
    wrong = b"\1" + content[1:]
    store = MemoryStore()
    store.keep(remote_file("a", content), wrong, [ByteRange(0, 20)])
    rig = Rig({"a": content}, sink=MemorySink(store))
    await rig.run()
    assert rig.source.spans("a") == [ByteRange(20, 50), ByteRange(0, 50)]
    assert rig.statuses() == {"a": "downloaded"}
    assert rig.tally.bytes_resumed == 0


async def test_what_was_resumed_and_comes_again_in_one_stream_is_not_counted() -> None:
    content = bytes(range(50))
    store = MemoryStore()
    store.keep(remote_file("a", content), content, [ByteRange(0, 20)])
    rig = Rig({"a": content}, sink=MemorySink(store))
    rig.source.ignores_ranges = {"a"}
    await rig.run()
    assert rig.statuses() == {"a": "downloaded"}
    assert rig.tally.bytes_resumed == 0


# -- other files go on -----------------------------------------------------------------------

FINAL = [
    NotFoundError("a: gone"),
    NetworkError("a: cannot be used"),
    IntegrityError("a: the size changed"),
]


@pytest.mark.parametrize("error", FINAL, ids=lambda error: type(error).__name__)
async def test_the_other_files_go_on_when_one_fails(error: NetworkError) -> None:
    rig = Rig({"a": b"aaaaaaaa", "b": b"bbbbbbbb", "c": b"cccccccc"})
    rig.source.script("a", broken(4), then=refused(error))
    await rig.run()
    assert rig.statuses() == {"a": "failed", "b": "downloaded", "c": "downloaded"}
    assert rig.error("a") is error
    [fact] = rig.told(FileFailed)
    assert (fact.path, fact.kind, fact.message) == ("a", error.kind, error.message)


async def test_what_a_failed_file_had_is_kept_for_the_next_run() -> None:
    rig = Rig({"a": b"aaaabbbb"})
    rig.source.script("a", broken(4), then=refused(NetworkError("no")))
    await rig.run()
    again = Rig({"a": b"aaaabbbb"}, sink=MemorySink(rig.sink.store))
    await again.run()
    assert again.source.spans("a") == [ByteRange(4, 8)]


@pytest.mark.parametrize("operation", ["open", "prove", "write", "hash", "publish"])
async def test_trouble_with_one_file_on_disk_leaves_the_others_alone(operation: str) -> None:
    rig = Rig({"a": b"aaaaaaaa", "b": b"bbbbbbbb"})
    rig.sink.trouble(operation, "a")
    rig.may_lose = operation == "publish"
    await rig.run()
    assert rig.statuses() == {"a": "failed", "b": "downloaded"}
    assert isinstance(rig.error("a"), StorageError)


async def test_a_file_whose_second_round_cannot_begin_fails_alone() -> None:
    rig = Rig({"a": b"aaaaaaaa", "b": b"bbbbbbbb"})
    rig.source.spoil("a", 0)
    rig.sink.trouble("reset", "a")
    await rig.run()
    assert rig.statuses() == {"a": "failed", "b": "downloaded"}


async def test_a_failed_checkpoint_fails_its_file_and_no_other() -> None:
    rig = Rig({"a": b"aaaaaaaa", "b": b"bbbbbbbb"})
    rig.source.script("a", stalled(4), stalled(0))
    rig.sink.trouble("checkpoint", "a", times=100)
    rig.sink.store.parts.clear()
    rig.may_lose = True
    await rig.run()
    assert rig.statuses() == {"a": "failed", "b": "downloaded"}
    assert rig.sink.open_parts == set()


async def test_a_file_whose_last_checkpoint_fails_is_not_published() -> None:
    clock = ManualClock()

    class Failing(MemorySink):
        async def step(self, operation: str, path: str) -> None:
            await super().step(operation, path)
            if operation == "checkpoint":
                await clock.sleep(60.0)  # by then the file is complete and verified
                raise StorageError("the sync failed")

    rig = Rig({"a": bytes(70)}, sink=Failing(), clock=clock)
    rig.source.script("a", short(5), stalled(3))
    rig.may_lose = True
    await rig.run()
    assert rig.statuses() == {"a": "failed"}
    assert rig.sink.parts[0].hashed_bytes == 70
    assert rig.sink.files == {}


@pytest.mark.parametrize("operation", ["write", "checkpoint"])
async def test_an_unsafe_folder_fails_its_file_and_no_other(operation: str) -> None:
    rig = Rig({"a": b"aaaaaaaa", "b": b"bbbbbbbb"})
    rig.source.script("a", stalled(4), refused(NetworkError("no")))
    rig.sink.trouble(operation, "a", error=UnsafeError("somebody put a link there"), times=100)
    rig.may_lose = True
    await rig.run()
    assert rig.statuses() == {"a": "failed", "b": "downloaded"}
    assert rig.sink.open_parts == set()


async def test_a_disk_without_time_for_the_last_checkpoints_keeps_no_descriptor() -> None:
    rig = Rig({"a": b"aaaaaaaa"}, final_seconds=0.01, may_lose=True)
    rig.source.script("a", stalled(4))
    step = rig.sink.step

    async def stuck(operation: str, path: str) -> None:
        await step(operation, path)
        if operation == "checkpoint":
            await anyio.sleep_forever()

    rig.sink.step = stuck  # type: ignore[method-assign]
    with anyio.move_on_after(0.05):
        async with anyio.create_task_group() as group:
            group.start_soon(rig.engine.run)
    rig.check_nothing_is_left()


# -- failures that would repeat --------------------------------------------------------------


async def test_refused_access_ends_the_run_with_every_file_accounted_for() -> None:
    rig = Rig(MANY)
    error = AccessError("no access")
    for path in MANY:
        rig.source.script(path, then=refused(error))
    await rig.run()
    assert rig.statuses() == dict.fromkeys(MANY, "failed")
    assert all(outcome.error is error for outcome in rig.engine.outcomes.values())
    assert len(rig.source.asked) <= 8
    assert rig.tally.files_failed == len(MANY)
    assert sorted(fact.path for fact in rig.told(FileFailed)) == sorted(MANY)


@pytest.mark.parametrize("operation", ["open", "write", "checkpoint", "publish"])
async def test_a_full_disk_ends_the_run_and_nothing_more_is_asked_for(operation: str) -> None:
    rig = Rig(MANY, source=MemorySource({}, chunk_bytes=1))
    full = StorageError("the disk is full", ends_run=True)
    rig.sink.trouble(operation, error=full, times=1000)
    if operation == "checkpoint":
        rig.source.script("f19", stalled(4), stalled(0))
    rig.may_lose = True
    await rig.run()
    assert set(rig.statuses()) == set(MANY)
    assert rig.statuses()["f19"] == "failed"
    assert len(rig.source.asked) <= (21 if operation in ("checkpoint", "publish") else 8)


async def test_a_file_that_is_verified_already_still_gets_its_name_when_the_run_ends() -> None:
    failed = anyio.Event()

    class SlowSink(MemorySink):
        async def publish(self, parts: Sequence[Part]) -> Mapping[str, HfdlError | None]:
            await failed.wait()
            return await super().publish(parts)

    contents = {"a": b"a", "b": bytes(400), "twin": b"a"}
    items = [fetch("a", b"a"), fetch("b", bytes(400)), copy("twin", b"a", "a")]
    rig = Rig(contents, items=items, sink=SlowSink())
    rig.source.script("b", Turn(300, AccessError("no access")))
    rig.bus.listen(lambda event: failed.set() if isinstance(event, FileFailed) else None)
    await rig.run()
    assert rig.told(FileVerified)
    assert rig.statuses() == {"a": "downloaded", "b": "failed", "twin": "failed"}
    # Its copy had not begun: one fact about it, and no file that the report denies.
    assert sorted(fact.path for fact in rig.told(FileFailed)) == ["b", "twin"]
    assert [fact.path for fact in rig.told(FilePublished)] == ["a"]
    assert set(rig.sink.files) == {"a"}


# -- copies ----------------------------------------------------------------------------------


def copy(path: str, content: bytes, origin: str) -> PlannedFile:
    return PlannedFile(remote_file(path, content), Action.COPY, copy_of=origin)


async def test_two_files_of_one_digest_are_fetched_once() -> None:
    items = [fetch("a", b"same"), copy("b", b"same", "a")]
    rig = Rig({"a": b"same", "b": b"same"}, items=items)
    await rig.run()
    assert rig.sink.files == {"a": b"same", "b": b"same"}
    assert [asked.path for asked in rig.source.asked] == ["a"]
    assert rig.sink.log.index("publish a") < rig.sink.log.index("copy b from a")
    assert rig.statuses() == {"a": "downloaded", "b": "reused"}


async def test_a_copy_of_what_is_in_place_needs_no_request() -> None:
    sink = MemorySink()
    sink.store.files["a"] = b"same"
    items = [PlannedFile(remote_file("a", b"same"), Action.REUSE), copy("b", b"same", "a")]
    rig = Rig({"a": b"same", "b": b"same"}, items=items, sink=sink)
    await rig.run()
    assert rig.source.asked == []
    assert rig.sink.files["b"] == b"same"
    assert rig.tally.bytes_reused == 8


async def test_a_copy_from_elsewhere_that_is_not_that_content_is_fetched_instead() -> None:
    sink = MemorySink(elsewhere={"/cache/blob": b"other"})
    rig = Rig({"a": b"right"}, items=[copy("a", b"right", "/cache/blob")], sink=sink)
    await rig.run()
    assert rig.sink.files == {"a": b"right"}
    assert rig.statuses() == {"a": "downloaded"}
    assert rig.tally.bytes_copying == 0


async def test_files_of_one_content_whose_source_is_wrong_are_fetched_once() -> None:
    contents = dict.fromkeys("abc", b"right")
    items = [copy(path, b"right", "/cache/blob") for path in contents]
    rig = Rig(contents, items=items, sink=MemorySink(elsewhere={"/cache/blob": b"other"}))
    await rig.run()
    assert rig.sink.files == contents
    assert len(rig.source.asked) == len(rig.sink.parts) == 1
    assert sorted(rig.statuses().values()) == ["downloaded", "reused", "reused"]


async def test_files_of_one_content_that_cannot_be_fetched_either_fail_together() -> None:
    contents = dict.fromkeys("abc", b"right")
    items = [copy(path, b"right", "/cache/blob") for path in contents]
    rig = Rig(contents, items=items, sink=MemorySink(elsewhere={"/cache/blob": b"other"}))
    for path in contents:
        rig.source.script(path, then=refused(NotFoundError("gone")))
    await rig.run()
    assert rig.statuses() == dict.fromkeys("abc", "failed")
    assert len(rig.source.asked) == 1


async def test_a_copy_that_turns_out_wrong_after_the_fetch_failed_fails_with_it() -> None:
    failed = anyio.Event()

    class Slow(MemorySink):
        async def step(self, operation: str, path: str) -> None:
            await super().step(operation, path)
            if path == "b":
                await failed.wait()

    contents = dict.fromkeys("ab", b"right")
    items = [copy(path, b"right", "/cache/blob") for path in contents]
    rig = Rig(contents, items=items, sink=Slow(elsewhere={"/cache/blob": b"other"}))
    rig.source.script("a", then=refused(NotFoundError("gone")))
    rig.bus.listen(lambda event: failed.set() if isinstance(event, FileFailed) else None)
    await rig.run()
    assert rig.error("b") is rig.error("a")
    assert len(rig.source.asked) == 1


async def test_a_copy_that_turns_out_wrong_after_the_run_was_ended_is_not_fetched() -> None:
    failed = anyio.Event()

    class Slow(MemorySink):
        async def step(self, operation: str, path: str) -> None:
            await super().step(operation, path)
            if operation == "copy":
                await failed.wait()

    items = [fetch("a", b"aaaa"), copy("b", b"right", "/cache/blob")]
    rig = Rig({"a": b"aaaa", "b": b"right"}, items=items, sink=Slow())
    rig.source.script("a", then=refused(AccessError("no access")))
    rig.bus.listen(lambda event: failed.set() if isinstance(event, FileFailed) else None)
    await rig.run()
    assert rig.error("b") is rig.error("a")
    assert rig.source.spans("b") == []


async def test_a_copy_whose_second_source_is_wrong_too_is_fetched_itself() -> None:
    class Mistaken(MemorySink):
        async def step(self, operation: str, path: str) -> None:
            await super().step(operation, path)
            if operation == "copy":
                raise IntegrityError("something else is there")

    contents = dict.fromkeys("ab", b"right")
    items = [copy(path, b"right", "/cache/blob") for path in contents]
    rig = Rig(contents, items=items, sink=Mistaken())
    await rig.run()
    assert rig.sink.files == contents
    assert rig.statuses() == dict.fromkeys("ab", "downloaded")


async def test_copies_of_a_file_that_failed_fail_with_it() -> None:
    items = [fetch("a", b"same"), copy("b", b"same", "a")]
    rig = Rig({"a": b"same", "b": b"same"}, items=items)
    rig.source.script("a", then=refused(NotFoundError("gone")))
    await rig.run()
    assert rig.error("b") is rig.error("a")


async def test_a_copy_that_the_disk_refuses_fails_alone() -> None:
    items = [fetch("a", b"same"), copy("b", b"same", "a")]
    rig = Rig({"a": b"same", "b": b"same"}, items=items)
    rig.sink.trouble("copy", "b")
    await rig.run()
    assert rig.statuses() == {"a": "downloaded", "b": "failed"}


# -- cancellation ----------------------------------------------------------------------------


def small_and_big() -> Rig:
    """Small files, a resumed one in five pieces, a copy, retries and a second round."""
    content = bytes(range(100))
    store = MemoryStore()
    claims = [ByteRange(start, start + 10) for start in range(10, 90, 20)]
    store.keep(remote_file("big", content), content, claims)
    contents = {"a": b"aaaa", "b": b"bbbbbbbb", "big": content, "copy": b"bbbbbbbb"}
    items = [fetch(path, contents[path]) for path in ("a", "b", "big")]
    items.append(copy("copy", b"bbbbbbbb", "b"))
    rig = Rig(contents, items=items, sink=MemorySink(store), threshold_bytes=50)
    rig.source.script("big", broken(3), short(2))
    rig.source.spoil("b", 2)
    return rig


def whole_files_only() -> Rig:
    rig = Rig({"a": bytes(range(40)), "b": b"bbbb"}, threshold_bytes=30, jitter=0.0)
    rig.source.ignores_ranges = {"a"}
    rig.source.script("a", broken(0), broken(9), broken(20))
    return rig


def always_wrong() -> Rig:
    rig = Rig({"a": b"aaaaaaaa", "b": b"bbbb"}, sink=MemorySink(hashes_inline=True))
    rig.source.spoil("a", 3, times=9)
    return rig


def stalls_and_beats() -> Rig:
    rig = Rig({"a": b"aaaaaaaa", "b": b"bbbb"}, silence_seconds=1.0)
    rig.source.script("a", stalled(4), refused(ServerError("HTTP 500")))
    return rig


def ends_early() -> Rig:
    rig = Rig({"a": b"aaaaaaaa", "b": b"bbbb", "c": b"cccccccc"})
    rig.source.script("c", broken(4), refused(AccessError("no")))
    return rig


STORIES = [small_and_big, whole_files_only, always_wrong, stalls_and_beats, ends_early]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
async def test_a_run_can_be_cancelled_at_any_suspension_point(
    story: Callable[[], Rig],
) -> None:
    turns = 0
    while not await (rig := story()).run_for(turns):
        # What was saved is enough to go on from: the same command, and no story this time.
        again = Rig(rig.source.contents, items=rig.items, sink=MemorySink(rig.sink.store))
        await again.run()
        assert again.sink.files == again.source.contents
        turns += 1
    assert turns > 20
    assert len(rig.engine.outcomes) == len(rig.plan.files)


async def test_lost_connections_before_first_contact_are_tried_max_retries_times() -> None:
    rig = Rig({"a": b"aaaa"}, policy=Policy(max_retries=3))
    rig.source.script("a", then=broken(0))
    await rig.run()
    assert len(rig.source.asked) == 4
    assert isinstance(rig.error("a"), NetworkError)
    assert not isinstance(rig.error("a"), LostConnectionError)


async def test_a_snapshot_has_every_request_in_flight_and_none_afterwards() -> None:
    contents = {"a": b"x" * 100, "b": b"y" * 50}
    rig = Rig(contents)
    rig.source.script("a", stalled(40))
    rig.source.script("b", stalled(0))
    seen: list[list[tuple[str, int, int, str]]] = []

    def look(now_seconds: float) -> None:
        flows = rig.tally.snapshot(now_seconds).flows
        seen.append([(flow.path, flow.start, flow.stop, flow.state) for flow in flows])

    rig.line.watch(look)
    await rig.run()
    assert [("a", 0, 100, "receiving"), ("b", 0, 50, "receiving")] in seen
    assert rig.tally.snapshot(rig.clock.monotonic()).flows == ()


class Shrinking:
    """A law that takes three of four connections back at its first tick, and gives them later."""

    def __init__(self) -> None:
        self.ticks = 0

    def start(self) -> Decision:
        return Decision(4, None, "start", "HOLD")

    def observe(self, sample: Sample) -> Decision:
        self.ticks += 1
        return Decision(1 if self.ticks < 40 else 3, None, f"tick {self.ticks}", "HOLD")


async def test_fewer_connections_cost_no_byte_no_retry_and_no_file() -> None:
    clock = ManualClock()
    contents = {name: name.encode() * 400 for name in "abcdefgh"}
    source = MemorySource({}, clock=clock, chunk_seconds=0.06)  # six seconds a file
    rig = Rig(contents, source=source, clock=clock, controller=Shrinking(), threshold_bytes=1)
    in_flight: list[tuple[float, int]] = []
    rig.line.watch(lambda now: in_flight.append((now, rig.line.busy)))
    await rig.run()
    assert set(rig.statuses().values()) == {"downloaded"}
    assert rig.told(SegmentRetried) == []
    assert rig.told(ConnectionReplaced) == []
    assert rig.tally.bytes_from_wire <= sum(map(len, contents.values())) + 3 * 4
    began = in_flight[0][0]
    assert {busy for now, busy in in_flight if now < began + 2} == {4}
    assert {busy for now, busy in in_flight if began + 3 < now < began + 15} == {1}
    assert max(busy for now, busy in in_flight if now > began + 22) == 3
    assert [change.connections for change in rig.told(ConcurrencyChanged)] == [1, 3]
    assert rig.told(ConcurrencyChanged)[0].reason == "tick 1"
