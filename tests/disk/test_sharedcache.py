from __future__ import annotations

import errno
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import anyio
import pytest

from hfdl_async.core.finding import Found
from hfdl_async.core.hubcache import decode_tree
from hfdl_async.core.model import MIB, Action, PlannedFile, RepoRef
from hfdl_async.core.names import CACHE_STATE_FOLDER
from hfdl_async.core.sealed import StateRefused
from hfdl_async.core.state import decode_receipt
from hfdl_async.disk.calls import Calls
from hfdl_async.disk.sharedcache import KEEP_PARTS_SECONDS, SharedCache
from hfdl_async.engine.ports import Sink
from hfdl_async.errors import IntegrityError, StorageError
from tests.disk.caches import (
    CONTENTS,
    FOLDER,
    blob_of,
    blobs,
    fetched,
    file_of,
    found_by,
    listing_of,
    readable,
    run,
    sink_at,
)
from tests.disk.durability import Journal, after_power_loss
from tests.disk.faults import (
    COMMIT,
    REPO,
    FaultyCalls,
    assert_claims_hold,
    descriptors_balanced,
    pattern,
    planned,
)
from tests.disk.test_bloblocks import held_elsewhere

pytestmark = pytest.mark.anyio

OLD = {
    "config.json": b"old",
    "weights.bin": pattern(400_000, 3),
    "a/big.bin": CONTENTS["a/big.bin"],
}
OLD_COMMIT = "0" * 40
GOOD = dict.fromkeys(CONTENTS)


class Reading(FaultyCalls):
    """Counts the reads of content and of everything else."""

    @property
    def reads(self) -> int:
        return self.made.count("read")


async def run_at(cache: Path, contents: Mapping[str, bytes] = CONTENTS, **asked: object) -> Sink:
    """Run once and check that all went well; return the sink."""
    calls = asked.pop("calls", None)
    links = asked.pop("links", True)
    assert isinstance(links, bool)
    sink = sink_at(cache, links=links, calls=calls if isinstance(calls, Calls) else None)
    assert await run(sink, contents, **asked) == dict.fromkeys(contents)  # type: ignore[arg-type]
    return sink


def test_fits_what_the_engine_asks_of_a_sink(tmp_path: Path) -> None:
    sink: Sink = sink_at(tmp_path)
    assert sink.path == tmp_path / FOLDER / "snapshots" / COMMIT
    other = SharedCache(tmp_path, RepoRef("org/model", repo_type="dataset"))
    assert other.path == tmp_path / "datasets--org--model" / "snapshots"


async def test_a_run_leaves_what_readers_know(tmp_path: Path) -> None:
    with descriptors_balanced():
        await run_at(tmp_path, calls=FaultyCalls(short=True))
    root = tmp_path / FOLDER
    assert readable(tmp_path) == CONTENTS
    assert all((root / "snapshots" / COMMIT / path).is_symlink() for path in CONTENTS)
    assert len(blobs(tmp_path)) == len(CONTENTS)
    assert (root / "refs/main").read_bytes() == COMMIT.encode()
    tree = decode_tree((root / f"trees/{COMMIT}.json").read_bytes(), COMMIT)
    assert tree is not None
    assert set(tree.files) == set(listing_of(CONTENTS).files)
    assert sorted(os.listdir(root)) == [CACHE_STATE_FOLDER, "blobs", "refs", "snapshots", "trees"]
    assert sorted(os.listdir(tmp_path)) == [".locks", "CACHEDIR.TAG", FOLDER]
    assert os.listdir(root / CACHE_STATE_FOLDER / "parts") == []


async def test_what_is_there_is_proven_once_and_then_remembered(tmp_path: Path) -> None:
    await run_at(tmp_path)
    shutil.rmtree(tmp_path / FOLDER / CACHE_STATE_FOLDER)  # as if others had filled it
    states = []
    for _ in range(2):
        calls = Reading()
        found = await found_by(sink_at(tmp_path, calls=calls), CONTENTS)
        states.append(({finding.state for finding in found.values()}, calls.reads))
        await run_at(tmp_path)
    [(first, reads), (second, rereads)] = states
    assert (first, second) == ({Found.RIGHT}, {Found.FITS})
    assert reads >= len(CONTENTS) - 1
    assert rereads == 1, "the receipts"
    verified = Reading()
    await found_by(sink_at(tmp_path, calls=verified), CONTENTS, verify=True)
    assert verified.reads > 1


async def test_two_commits_stand_side_by_side_and_share_what_is_equal(tmp_path: Path) -> None:
    await run(sink_at(tmp_path), OLD, commit=OLD_COMMIT)
    before = blob_of(tmp_path, "a/big.bin", OLD["a/big.bin"]).stat().st_ino
    await run_at(tmp_path)
    assert readable(tmp_path, OLD_COMMIT) == OLD
    assert readable(tmp_path) == CONTENTS
    assert blob_of(tmp_path, "a/big.bin", OLD["a/big.bin"]).stat().st_ino == before
    assert len(blobs(tmp_path)) == len({*OLD.values(), *CONTENTS.values()})


async def test_a_name_that_is_missing_is_made_without_a_byte(tmp_path: Path) -> None:
    sink = await run_at(tmp_path)
    for path in ("weights.bin", "empty"):
        (sink.path / path).unlink()
    (sink.path / "config.json").unlink()
    (sink.path / "config.json").symlink_to("../../blobs/other")
    again = sink_at(tmp_path)
    found = await found_by(again, CONTENTS)
    assert {finding.state for finding in found.values()} == {Found.FITS}
    assert {path for path, finding in found.items() if finding.nameless} == {
        "weights.bin",
        "empty",
        "config.json",
    }
    await run_at(tmp_path)
    assert readable(tmp_path) == CONTENTS


async def test_a_folder_at_a_name_is_a_storage_error_before_any_byte(tmp_path: Path) -> None:
    sink = sink_at(tmp_path)
    (sink.path / "weights.bin").mkdir(parents=True)
    found = await found_by(sink, CONTENTS)
    assert found["weights.bin"].state is Found.IN_THE_WAY
    assert found["config.json"].state is Found.ABSENT
    await sink.begin(REPO, listing_of(CONTENTS), [])
    part = await fetched(sink, planned(file_of("weights.bin", CONTENTS["weights.bin"])),
                         CONTENTS["weights.bin"])  # fmt: skip
    outcome = (await sink.publish([part]))["weights.bin"]
    assert isinstance(outcome, StorageError)
    await sink.close()


class TestWrongBlobs:
    """A blob that is not what its name says."""

    PATH = "weights.bin"

    @pytest.fixture
    async def blob(self, tmp_path: Path) -> Path:
        await run_at(tmp_path)
        return blob_of(tmp_path, self.PATH, CONTENTS[self.PATH])

    def flip(self, blob: Path) -> None:
        data = bytearray(blob.read_bytes())
        data[300_000] ^= 1
        times = blob.stat()
        blob.write_bytes(data)
        os.utime(blob, ns=(times.st_atime_ns, times.st_mtime_ns))

    DAMAGE: ClassVar[dict[str, Callable[[Path], object]]] = {
        "a flipped byte": lambda blob: TestWrongBlobs().flip(blob),
        "cut": lambda blob: os.truncate(blob, 1000),
        "empty": lambda blob: os.truncate(blob, 0),
        "too long": lambda blob: os.truncate(blob, 700_000),
        "another file": lambda blob: blob.write_bytes(bytes(600_000)),
    }

    @pytest.mark.parametrize("damage", DAMAGE)
    @pytest.mark.parametrize("known", [True, False], ids=["ours", "theirs"])
    async def test_is_found_and_replaced(
        self, damage: str, known: bool, blob: Path, tmp_path: Path
    ) -> None:
        self.DAMAGE[damage](blob)
        if not known:
            shutil.rmtree(tmp_path / FOLDER / CACHE_STATE_FOLDER)
        found = await found_by(sink_at(tmp_path), CONTENTS)
        assert found[self.PATH].state is Found.WRONG
        assert all(finding.is_right for path, finding in found.items() if path != self.PATH)
        await run_at(tmp_path)
        assert readable(tmp_path) == CONTENTS
        assert not blob.is_symlink()

    async def test_is_not_offered_as_content_to_take_over(self, blob: Path, tmp_path: Path) -> None:
        self.flip(blob)
        other = tmp_path / "models--org--other" / "blobs"
        other.mkdir(parents=True)
        sink, file = sink_at(tmp_path), file_of(self.PATH, CONTENTS[self.PATH])
        await found_by(sink, CONTENTS)
        assert await sink.elsewhere([file], caches=[tmp_path]) == {}
        (other / blob.name).write_bytes(CONTENTS[self.PATH])
        assert await sink.elsewhere([file], caches=[tmp_path]) == {
            file.content_key: other / blob.name
        }

    async def test_only_the_damaged_cell_is_fetched_again(self, tmp_path: Path) -> None:
        data = pattern(20 * MIB, 9)
        await run_at(tmp_path, {"x": data})
        blob = blob_of(tmp_path, "x", data)
        self.flip(blob)
        sink, file = sink_at(tmp_path), file_of("x", data)
        found = await found_by(sink, {"x": data})
        assert found["x"].state is Found.WRONG
        assert found["x"].receipt is not None
        part = await sink.open(PlannedFile(file, Action.FETCH, repair_from=str(blob)))
        assert (await part.prove()).proven_bytes == 12 * MIB
        await part.close()
        await sink.close()


class TestSharedXetStore:
    """A blob that is a link into the store that the libraries share."""

    DATA = CONTENTS["weights.bin"]

    @pytest.fixture
    async def payload(self, tmp_path: Path) -> Path:
        await run_at(tmp_path)
        blob = blob_of(tmp_path, "weights.bin", self.DATA)
        payload = tmp_path / "blobs" / "ab" / ("ab" * 32)
        payload.parent.mkdir(parents=True)
        blob.rename(payload)
        payload.chmod(0o444)
        blob.symlink_to(f"../../blobs/ab/{payload.name}")
        return payload

    async def test_counts_as_there_and_is_remembered(self, payload: Path, tmp_path: Path) -> None:
        found = await found_by(sink_at(tmp_path), CONTENTS)
        assert found["weights.bin"].state is Found.RIGHT  # a rename changes the change time
        await run_at(tmp_path)
        found = await found_by(sink_at(tmp_path), CONTENTS)
        assert found["weights.bin"].state is Found.FITS
        assert blob_of(tmp_path, "weights.bin", self.DATA).is_symlink()
        assert readable(tmp_path) == CONTENTS

    async def test_is_never_written_through(self, payload: Path, tmp_path: Path) -> None:
        before = payload.stat()
        await run_at(tmp_path, force=True)
        assert not blob_of(tmp_path, "weights.bin", self.DATA).is_symlink()
        after = payload.stat()
        assert payload.read_bytes() == self.DATA
        assert (after.st_mtime_ns, after.st_mode, after.st_nlink) == (
            before.st_mtime_ns,
            before.st_mode,
            before.st_nlink,
        )
        assert readable(tmp_path) == CONTENTS

    @pytest.mark.parametrize("known", [True, False], ids=["proven before", "never proven"])
    async def test_with_other_content_only_the_link_is_replaced(
        self, known: bool, payload: Path, tmp_path: Path
    ) -> None:
        if known:
            await run_at(tmp_path)
        wrong = bytearray(self.DATA)
        wrong[5] ^= 1
        payload.chmod(0o644)
        payload.write_bytes(wrong)
        found = await found_by(sink_at(tmp_path), CONTENTS)
        assert found["weights.bin"].state is Found.WRONG
        await run_at(tmp_path)
        assert payload.read_bytes() == bytes(wrong)
        assert not blob_of(tmp_path, "weights.bin", self.DATA).is_symlink()
        assert readable(tmp_path) == CONTENTS

    @pytest.mark.parametrize("target", ["gone", "payload/deeper", "itself"])
    async def test_a_link_that_leads_nowhere_is_replaced(
        self, target: str, payload: Path, tmp_path: Path
    ) -> None:
        blob = blob_of(tmp_path, "weights.bin", self.DATA)
        blob.unlink()
        blob.symlink_to({"gone": "../gone", "itself": blob.name}.get(target, payload / "deeper"))
        found = await found_by(sink_at(tmp_path), CONTENTS)
        assert found["weights.bin"].state is Found.ABSENT
        assert found["config.json"].state is Found.FITS
        await run_at(tmp_path)
        assert readable(tmp_path) == CONTENTS
        assert payload.read_bytes() == self.DATA


class TestWithoutLinks:
    """Content lies in the snapshot itself."""

    async def test_there_are_no_blobs(self, tmp_path: Path) -> None:
        sink = await run_at(tmp_path, links=False)
        assert readable(tmp_path) == CONTENTS
        assert not any(path.is_symlink() for path in sink.path.rglob("*"))
        assert blobs(tmp_path) == []
        found = await found_by(sink_at(tmp_path, links=False), CONTENTS)
        assert {finding.state for finding in found.values()} == {Found.FITS}

    @pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.EACCES])
    async def test_a_system_that_has_none_is_found_out(self, code: int, tmp_path: Path) -> None:
        calls = FaultyCalls(fail_at=1, for_ever=True, error=code, only=("symlink",))
        await run_at(tmp_path, calls=calls)
        assert readable(tmp_path) == CONTENTS
        assert blobs(tmp_path) == []

    async def test_a_disk_that_is_full_says_nothing_about_links(self, tmp_path: Path) -> None:
        calls = FaultyCalls(fail_at=1, error=errno.ENOSPC, only=("symlink",))
        with pytest.raises(StorageError, match="disk is full"):
            await sink_at(tmp_path, calls=calls).naming(may_write=True)

    async def test_what_was_filled_like_that_is_reused_with_links(self, tmp_path: Path) -> None:
        sink = await run_at(tmp_path, links=False)
        shutil.rmtree(tmp_path / FOLDER / CACHE_STATE_FOLDER)  # as the reference client does
        found = await found_by(sink_at(tmp_path), CONTENTS)
        assert {finding.state for finding in found.values()} == {Found.RIGHT}
        assert not any(finding.nameless for finding in found.values())
        await run_at(tmp_path)
        assert blobs(tmp_path) == []
        (sink.path / "config.json").write_bytes(b"[]")
        found = await found_by(sink_at(tmp_path), CONTENTS)
        assert found["config.json"].state is Found.WRONG
        await run_at(tmp_path)
        assert readable(tmp_path) == CONTENTS

    async def test_a_cache_of_links_is_read_through_them(self, tmp_path: Path) -> None:
        await run_at(tmp_path)
        found = await found_by(sink_at(tmp_path, links=False), CONTENTS)
        assert {finding.state for finding in found.values()} == {Found.RIGHT}
        blob = blob_of(tmp_path, "weights.bin", CONTENTS["weights.bin"])
        os.truncate(blob, 10)
        sink = await run_at(tmp_path, links=False)
        assert readable(tmp_path) == CONTENTS
        assert not (sink.path / "weights.bin").is_symlink()
        assert blob.stat().st_size == 10, "the link was replaced, not what it led to"

    async def test_a_copy_of_a_file_of_the_repo_is_a_file(self, tmp_path: Path) -> None:
        twins = {"a": CONTENTS["weights.bin"], "b/c": CONTENTS["weights.bin"]}
        await run_at(tmp_path, twins, links=False)
        assert readable(tmp_path) == twins
        assert blobs(tmp_path) == []


class TestTwins:
    """Several files with one content have one blob."""

    BIG, SMALL = CONTENTS["weights.bin"], b"small"
    TWINS: ClassVar = {
        "a": BIG,
        "b/c": BIG,
        "d": SMALL,
        "e/f": SMALL,
        "g": b"",
        "h": b"",
        "i": b"x",
    }

    async def test_are_fetched_once_and_named_twice(self, tmp_path: Path) -> None:
        await run_at(tmp_path, self.TWINS)
        assert readable(tmp_path) == self.TWINS
        assert len(blobs(tmp_path)) == 4
        found = await found_by(sink_at(tmp_path), self.TWINS)
        assert {finding.state for finding in found.values()} == {Found.FITS}

    async def test_may_be_in_one_group(self, tmp_path: Path) -> None:
        sink = sink_at(tmp_path)
        await sink.begin(REPO, listing_of(self.TWINS), [])
        parts = [
            await fetched(sink, planned(file_of(path, data)), data)
            for path, data in self.TWINS.items()
        ]
        assert await sink.publish(parts) == dict.fromkeys(self.TWINS)
        assert readable(tmp_path) == self.TWINS
        assert len(blobs(tmp_path)) == 4
        assert os.listdir(tmp_path / FOLDER / CACHE_STATE_FOLDER / "parts") == []
        await sink.close()

    async def test_the_second_is_not_named_before_the_first_is_proven(self, tmp_path: Path) -> None:
        sink = sink_at(tmp_path)
        await sink.begin(REPO, listing_of(self.TWINS), [])
        item = PlannedFile(file_of("b/c", self.BIG), Action.COPY, copy_of="a")
        with pytest.raises(IntegrityError):
            await sink.copy(item, lambda _count: None)
        blob = blob_of(tmp_path, "a", self.BIG)
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(bytes(len(self.BIG)))
        with pytest.raises(IntegrityError):
            await sink.copy(item, lambda _count: None)
        assert readable(tmp_path) == {}
        await sink.close()


class TestLocks:
    """What the reference client locks is not fetched beside it."""

    PATH = "weights.bin"
    DATA = CONTENTS[PATH]

    def lock_file(self, cache: Path) -> Path:
        blob = blob_of(cache, self.PATH, self.DATA)
        return cache / ".locks" / FOLDER / f"{blob.name}.lock"

    async def begun(self, cache: Path) -> SharedCache:
        sink = sink_at(cache)
        await found_by(sink, CONTENTS)
        await sink.begin(REPO, listing_of(CONTENTS), [])
        return sink

    @pytest.mark.parametrize("brought", [DATA, bytes(len(DATA)), DATA[:-1], None])
    async def test_who_waited_takes_over_what_appeared_if_it_is_right(
        self, brought: bytes | None, tmp_path: Path
    ) -> None:
        sink = await self.begun(tmp_path)
        item, missing = planned(file_of(self.PATH, self.DATA)), []
        with held_elsewhere(self.lock_file(tmp_path)) as holder:

            async def open_it() -> None:
                with anyio.fail_after(10):
                    part = await sink.open(item)
                await part.prove()
                missing.append(sum(map(len, part.ledger.missing())))
                await part.close()

            async with anyio.create_task_group() as group:
                group.start_soon(open_it)
                await anyio.sleep(0.02)
                assert missing == []
                if brought is not None:
                    blob = blob_of(tmp_path, self.PATH, self.DATA)
                    blob.parent.mkdir(exist_ok=True)
                    blob.write_bytes(brought)
                holder.let_go()
        assert missing == [0 if brought == self.DATA else len(self.DATA)]
        await sink.close()

    async def test_what_appeared_since_the_survey_is_taken_over_as_well(
        self, tmp_path: Path
    ) -> None:
        sink = await self.begun(tmp_path)
        blob = blob_of(tmp_path, self.PATH, self.DATA)
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(self.DATA)
        part = await sink.open(planned(file_of(self.PATH, self.DATA)))
        await part.prove()
        assert part.ledger.complete
        await part.hash_to(len(self.DATA))
        assert await sink.publish([part]) == {self.PATH: None}
        await sink.close()

    async def test_what_appeared_counts_more_than_what_we_had(self, tmp_path: Path) -> None:
        sink = await self.begun(tmp_path)
        item = planned(file_of(self.PATH, self.DATA))
        part = await sink.open(item)
        await part.write(0, [self.DATA[:1000]])
        await part.checkpoint()
        await part.close()
        blob = blob_of(tmp_path, self.PATH, self.DATA)
        blob.parent.mkdir(exist_ok=True)
        blob.write_bytes(self.DATA)
        part = await sink.open(item)
        await part.prove()
        assert part.ledger.complete
        await part.close()
        await sink.close()

    async def test_nothing_at_all_waits_for_a_pipe(self, tmp_path: Path) -> None:
        sink = await self.begun(tmp_path)
        blob = blob_of(tmp_path, self.PATH, self.DATA)
        blob.parent.mkdir(exist_ok=True)
        os.mkfifo(blob)
        with anyio.fail_after(10):
            part = await sink.open(planned(file_of(self.PATH, self.DATA)))
        assert (await part.prove()).proven_bytes == 0
        await part.close()
        await sink.close()

    async def is_free(self, cache: Path) -> bool:
        other = sink_at(cache)
        with anyio.move_on_after(0.05):
            part = await other.open(planned(file_of(self.PATH, self.DATA)))
            await part.close()
            await other.close()
            return True
        await other.close()
        return False

    @pytest.mark.parametrize("how", ["published", "closed", "discarded", "the sink is closed"])
    async def test_a_lock_is_given_back_when_the_part_is(self, how: str, tmp_path: Path) -> None:
        sink = await self.begun(tmp_path)
        with descriptors_balanced():
            await sink.close()
            sink = await self.begun(tmp_path)
            part = await fetched(sink, planned(file_of(self.PATH, self.DATA)), self.DATA)
            assert not await self.is_free(tmp_path)
            if how == "published":
                await sink.publish([part])
            elif how == "closed":
                await part.close()
            elif how == "discarded":
                await part.discard()
            else:
                await sink.close()
            assert await self.is_free(tmp_path)
            await part.close()
            await sink.close()

    async def test_a_lock_is_given_back_when_publishing_fails(self, tmp_path: Path) -> None:
        calls = FaultyCalls(error=errno.EIO, only=("rename",))
        sink = sink_at(tmp_path, calls=calls)
        await sink.begin(REPO, listing_of(CONTENTS), [])
        part = await fetched(sink, planned(file_of(self.PATH, self.DATA)), self.DATA)
        calls.fail_at = calls.count + 1
        outcomes = await sink.publish([part])
        assert isinstance(outcomes[self.PATH], StorageError)
        assert await self.is_free(tmp_path)
        await sink.close()

    async def test_a_lock_is_given_back_when_opening_fails(self, tmp_path: Path) -> None:
        sink = sink_at(tmp_path, calls=FaultyCalls())
        await sink.begin(REPO, listing_of(CONTENTS), [])
        await sink.close()
        calls = FaultyCalls(fail_at=1, for_ever=True, error=errno.ENOSPC, only=("allocate",))
        sink = sink_at(tmp_path, calls=calls)
        with descriptors_balanced():
            with pytest.raises(StorageError):
                await sink.open(planned(file_of(self.PATH, self.DATA)))
            await sink.close()
        assert await self.is_free(tmp_path)

    async def test_a_lock_is_given_back_when_waiting_is_cancelled(self, tmp_path: Path) -> None:
        holder, sink = await self.begun(tmp_path), await self.begun(tmp_path)
        item = planned(file_of(self.PATH, self.DATA))
        part = await holder.open(item)
        with anyio.move_on_after(0.02):
            await sink.open(item)
        await part.close()
        assert await self.is_free(tmp_path)
        await holder.close()
        await sink.close()

    async def test_small_files_take_no_lock_and_no_descriptor(self, tmp_path: Path) -> None:
        sink = await self.begun(tmp_path)
        with descriptors_balanced():
            parts = [
                await sink.open(planned(file_of(f"{number}", b"%d" % number)))
                for number in range(2000)
            ]
        assert len(parts) == 2000
        assert not self.lock_file(tmp_path).parent.exists()
        await sink.close()


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
async def test_everything_follows_the_umask(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        sink = sink_at(tmp_path)
        async with sink.lock(wait_seconds=0):
            assert set((await run(sink, CONTENTS)).values()) == {None}
        await run_at(tmp_path, {"x": b"x"})
    finally:
        os.umask(before)
    root = tmp_path / FOLDER
    for blob in (root / "blobs").iterdir():
        assert blob.stat().st_mode & 0o777 == 0o666 & ~umask
    for path in (root / "refs/main", root / f"trees/{COMMIT}.json", tmp_path / "CACHEDIR.TAG"):
        assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    state = root / CACHE_STATE_FOLDER
    for folder in (root, state, state / "parts", root / "blobs", sink.path):
        assert folder.stat().st_mode & 0o777 == 0o777 & ~umask, folder
    for entry in state.iterdir():
        if entry.is_file():
            assert entry.stat().st_mode & 0o777 == 0o666 & ~umask, entry


async def test_parts_of_other_commits_are_kept_for_two_weeks(tmp_path: Path) -> None:
    parts = tmp_path / FOLDER / CACHE_STATE_FOLDER / "parts"
    contents = {"new": pattern(300_000, 5), "old": pattern(300_000, 6), "now": pattern(300_000, 7)}
    sink = sink_at(tmp_path, commit=OLD_COMMIT)
    await sink.begin(REPO, listing_of(contents, OLD_COMMIT), [])
    for path, data in contents.items():
        part = await sink.open(planned(file_of(path, data)))
        await part.write(0, [data[:1000]])
        await part.checkpoint()
        await part.close()
    (parts / "anything.tmp").write_bytes(b"")
    long_ago = time.time() - KEEP_PARTS_SECONDS - 60
    for left in parts.glob(f"{file_of('old', contents['old']).content_key}*"):
        os.utime(left, (long_ago, long_ago))
    await sink.close()
    sink = sink_at(tmp_path)
    now = file_of("now", contents["now"])
    for left in parts.glob(f"{now.content_key}*"):
        os.utime(left, (long_ago, long_ago))
    await sink.begin(REPO, listing_of({"now": contents["now"]}), [now])
    kept = {name.rpartition(".")[0] for name in os.listdir(parts)}
    assert kept == {now.content_key, file_of("new", contents["new"]).content_key}
    await sink.close()


class TestFinishing:
    """What is said of a commit once its files are in place."""

    async def test_a_cache_that_is_complete_need_not_be_written(self, tmp_path: Path) -> None:
        await run_at(tmp_path)
        calls = FaultyCalls(fail_at=1, for_ever=True, error=errno.EROFS,
                            only=("mkdir", "write", "rename", "symlink", "unlink"))  # fmt: skip
        sink = sink_at(tmp_path, calls=calls)
        with descriptors_balanced():
            listing = await sink.known_listing(COMMIT)
            assert listing is not None
            assert all(f.is_right for f in (await found_by(sink, CONTENTS)).values())
            await sink.finish(REPO, listing)
        assert sink.notes == ()

    @pytest.mark.parametrize("lost", ["refs/main", f"trees/{COMMIT}.json"])
    async def test_what_cannot_be_written_is_only_noted(self, lost: str, tmp_path: Path) -> None:
        await run_at(tmp_path)
        (tmp_path / FOLDER / lost).unlink()
        calls = FaultyCalls(fail_at=1, for_ever=True, error=errno.EROFS, only=("write", "rename"))
        sink = sink_at(tmp_path, calls=calls)
        with descriptors_balanced():
            await sink.known_listing(COMMIT)
            await sink.finish(REPO, listing_of(CONTENTS))
        [note] = sink.notes
        assert lost in note
        assert "read-only" in note

    async def test_a_branch_that_was_a_folder_of_branches_is_only_noted(
        self, tmp_path: Path
    ) -> None:
        await run_at(tmp_path, revision="a/b")
        sink = await run_at(tmp_path, revision="a")
        assert isinstance(sink, SharedCache)
        assert any("refs/a" in note for note in sink.notes)


async def test_what_is_known_of_a_revision_without_asking(tmp_path: Path) -> None:
    repo = RepoRef(REPO.repo_id, revision="main")
    assert await sink_at(tmp_path).stored_listing(repo) is None
    sink = await run_at(tmp_path)
    assert isinstance(sink, SharedCache)
    for revision in ("main", COMMIT):
        stored = await sink.stored_listing(RepoRef(REPO.repo_id, revision=revision))
        assert stored is not None
        assert set(stored.files) == set(listing_of(CONTENTS).files)
    assert await sink.stored_listing(RepoRef(REPO.repo_id, revision="dev")) is None
    assert await sink.stored_listing(RepoRef(REPO.repo_id, revision="d" * 40)) is None
    assert await sink.commit_of("main") == COMMIT
    assert await sink.commit_of("../refs/main") is None
    (tmp_path / FOLDER / f"trees/{COMMIT}.json").unlink()
    shutil.rmtree(tmp_path / FOLDER / CACHE_STATE_FOLDER)
    stored = await sink.stored_listing(repo)
    assert stored is not None
    assert {(file.path, file.digest) for file in stored.files} == {
        (path, file_of(path, data).digest) for path, data in CONTENTS.items()
    }


async def test_a_listing_of_what_is_here_is_never_kept_as_that_of_the_repo(
    tmp_path: Path,
) -> None:
    small = {"config.json": b"{}", "a": b"a"}
    repo = RepoRef(REPO.repo_id, revision="main")
    await run_at(tmp_path, small)
    tree = tmp_path / FOLDER / f"trees/{COMMIT}.json"
    tree.unlink()
    (sink_at(tmp_path).path / "a").unlink()
    shutil.rmtree(tmp_path / FOLDER / CACHE_STATE_FOLDER)
    sink = sink_at(tmp_path)
    pieced = await sink.stored_listing(repo)
    assert pieced is not None
    assert [file.path for file in pieced.files] == ["config.json"]
    await sink.finish(repo, pieced)
    assert not tree.exists()
    assert sink.notes == ()


async def test_what_was_asked_for_is_known_even_where_its_name_is_gone(tmp_path: Path) -> None:
    some = {path: CONTENTS[path] for path in ("config.json", "weights.bin")}
    for path, data in some.items():  # one after the other
        await run_at(tmp_path, {path: data}, whole=CONTENTS)
    sink = sink_at(tmp_path)
    (sink.path / "config.json").unlink()
    assert {file.path for file in await sink.selected()} == set(some)
    assert await sink_at(tmp_path, commit="d" * 40).selected() == ()


async def test_a_survey_of_some_files_keeps_what_is_known_of_the_others(tmp_path: Path) -> None:
    await run_at(tmp_path, {"a": b"a"}, links=False)
    sink = sink_at(tmp_path)
    await found_by(sink, {"a": b"a", "b": b"b"})
    await found_by(sink, {"b": b"b"})
    assert sink.place_of(file_of("a", b"a")) == sink.path / "a"
    assert sink.place_of(file_of("b", b"b")) == blob_of(tmp_path, "b", b"b")


async def test_a_file_without_a_digest_cannot_be_kept(tmp_path: Path) -> None:
    bare = replace(file_of("x", b"x"), digest=None)
    with pytest.raises(IntegrityError, match="x: no digest is known"):
        await sink_at(tmp_path).survey([bare])


async def test_the_path_of_the_snapshot_counts_for_the_longest_name(tmp_path: Path) -> None:
    plain = (await SharedCache(tmp_path, REPO).naming(may_write=False)).max_path_bytes
    pinned = (await sink_at(tmp_path).naming(may_write=False)).max_path_bytes
    assert plain - pinned == len(COMMIT)
    room = 4096 - len(os.fsencode(sink_at(tmp_path).path)) - 2
    if sys.platform == "linux":
        assert pinned == room


async def test_links_on_the_way_are_followed_when_allowed(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "blobs").symlink_to(disk)
    sink = SharedCache(tmp_path, REPO, follow_symlinks=True)
    assert set((await run(sink, CONTENTS)).values()) == {None}
    assert len(os.listdir(disk)) == len(CONTENTS)
    assert readable(tmp_path) == CONTENTS


async def test_looking_writes_nothing_anywhere(tmp_path: Path) -> None:
    changing = ("mkdir", "rename", "unlink", "link", "symlink", "write", "sync", "truncate")
    calls = FaultyCalls(fail_at=1, for_ever=True, only=changing)
    sink = sink_at(tmp_path / "not" / "there", calls=calls)
    assert await sink.known_listing(COMMIT) is None
    assert {f.state for f in (await found_by(sink, CONTENTS)).values()} == {Found.ABSENT}
    assert await sink.selected() == ()
    assert await sink.leftovers(["x"]) == ()
    await sink.identify(REPO)
    await sink.naming(may_write=False)
    assert os.listdir(tmp_path) == []


async def test_many_files_take_few_hops_and_calls(tmp_path: Path) -> None:
    contents = {f"{number % 7}/{number}": b"%d" % (number % 900) for number in range(1500)}
    await run_at(tmp_path, contents)
    calls = Reading()
    sink = sink_at(tmp_path, calls=calls)
    found = await found_by(sink, contents)
    assert {finding.state for finding in found.values()} == {Found.FITS}
    assert len(calls.made) < 100, "only folders and the receipts are opened"


# -- whatever goes wrong ---------------------------------------------------------------------


def violation(cache: Path) -> str | None:
    """Return what a reader of the cache would find wrong, if anything."""
    root = cache / FOLDER
    for commit, contents in ((COMMIT, CONTENTS), (OLD_COMMIT, OLD)):
        there = readable(cache, commit)
        for path, data in there.items():
            if data != contents.get(path):
                return f"{path} of {commit[0]} leads to {data and data[:9]!r}"
        refs = root / "refs"
        named = [ref for ref in refs.iterdir() if ref.read_bytes() == commit.encode()]
        if named and there != contents:
            return f"{named[0].name} names {commit[0]}, which is not complete"
        tree = root / f"trees/{commit}.json"
        if tree.exists() and decode_tree(tree.read_bytes(), commit) is None:
            return "a listing is torn"
    if readable(cache, OLD_COMMIT) != OLD:
        return "the old commit is damaged"
    if [path.name for path in (root / "refs").iterdir()] != ["main"]:
        return "a stray ref"
    if sorted(os.listdir(cache)) not in (
        [".locks", "CACHEDIR.TAG", FOLDER],
        ["CACHEDIR.TAG", FOLDER],
    ):
        return "strays in the cache"
    for blob in (root / "blobs").iterdir():
        if blob.read_bytes() not in {*CONTENTS.values(), *OLD.values()}:
            return f"the blob {blob.name} is wrong"
    return lying_receipt(root)


def lying_receipt(root: Path) -> str | None:
    """Return which receipt says more than the truth, if any."""
    log = root / CACHE_STATE_FOLDER / "receipts.jsonl"
    for line in log.read_bytes().split(b"\n")[1:] if log.exists() else ():
        try:
            receipt = decode_receipt(line)
        except StateRefused:
            continue
        place = root / receipt.path
        digest = file_of("", place.read_bytes()).digest if place.exists() else None
        if digest != receipt.digest:
            return f"the receipt of {receipt.path} lies"
    return None


@pytest.fixture
async def old(tmp_path: Path) -> Path:
    """Give a cache that holds the older commit, and of the new one a blob without a name."""
    cache = tmp_path / "old"
    assert set((await run(sink_at(cache), OLD, commit=OLD_COMMIT)).values()) == {None}
    blob_of(cache, "config.json", b"{}").write_bytes(b"{}")
    return cache


@pytest.mark.parametrize(
    ("error", "torn", "for_ever"),
    [(errno.ENOSPC, True, False), (errno.EIO, False, False), (errno.EIO, True, True)],
    ids=["full", "broken", "as if killed"],
)
async def test_whichever_call_fails_no_reader_meets_what_is_not_proven(
    error: int, torn: bool, for_ever: bool, old: Path, tmp_path: Path
) -> None:
    shutil.copytree(old, tmp_path / "count", symlinks=True)
    counting = FaultyCalls()
    await run(sink_at(tmp_path / "count", calls=counting), CONTENTS)
    assert counting.count > 90
    assert counting.made.count("symlink") == len(CONTENTS) + 1
    for number in range(1, counting.count + 1):
        cache = tmp_path / "sweep"
        shutil.copytree(old, cache, symlinks=True)
        calls = FaultyCalls(fail_at=number, error=error, torn=torn, for_ever=for_ever)
        outcomes = {}
        try:
            outcomes = await run(sink_at(cache, calls=calls), CONTENTS)
        except StorageError:
            pass
        else:
            assert set(outcomes) == set(CONTENTS)
        assert violation(cache) is None, number
        assert_claims_hold(cache / FOLDER, CACHE_STATE_FOLDER)
        there = readable(cache)
        for path, outcome in outcomes.items():
            assert outcome is None or isinstance(outcome, StorageError)
            assert outcome is not None or there[path] == CONTENTS[path]
        # Run again, as a user would: nothing has to be cleaned up by hand.
        await run_at(cache)
        assert violation(cache) is None
        assert readable(cache) == CONTENTS
        assert (cache / FOLDER / "refs/main").read_bytes() == COMMIT.encode()
        assert (cache / FOLDER / f"trees/{COMMIT}.json").exists()
        assert os.listdir(cache / FOLDER / CACHE_STATE_FOLDER / "parts") == []
        shutil.rmtree(cache)


on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


async def journal_of(old: Path, tmp_path: Path, skip: Collection[str] = ()) -> Journal:
    """Run an update of an old cache and return its journal."""
    cache = tmp_path / "run"
    shutil.copytree(old, cache, symlinks=True)
    journal = Journal(cache, skip)
    assert set((await run(sink_at(cache, calls=journal), CONTENTS)).values()) == {None}
    return journal


def violations(journal: Journal, tmp_path: Path, rolls: int) -> list[str]:
    """Return the first thing that is wrong after some power failure, if anything ever is."""
    for count in range(len(journal.entries) + 1):
        for seed in range(rolls):
            cache = tmp_path / "after"
            after_power_loss(journal, count, random.Random(count * 1000 + seed), cache)
            found = violation(cache)
            shutil.rmtree(cache)
            if found:
                return [f"after {count} entries, roll {seed}: {found}"]
    return []


@on_linux
async def test_the_power_may_fail_at_any_instant(old: Path, tmp_path: Path) -> None:
    journal = await journal_of(old, tmp_path)
    assert len(journal.entries) > 60
    assert violations(journal, tmp_path, 4) == []


@on_linux
@pytest.mark.parametrize("skip", ["sync", "sync_folder"])
async def test_leaving_out_a_sync_would_be_noticed(skip: str, old: Path, tmp_path: Path) -> None:
    journal = await journal_of(old, tmp_path, (skip,))
    assert violations(journal, tmp_path, 4) != []


@on_linux
async def test_after_a_power_loss_the_same_command_finishes(old: Path, tmp_path: Path) -> None:
    journal = await journal_of(old, tmp_path)
    for count in range(0, len(journal.entries), 5):
        cache = tmp_path / f"after-{count}"
        after_power_loss(journal, count, random.Random(count), cache)
        await run_at(cache)
        assert violation(cache) is None
        assert readable(cache) == CONTENTS
