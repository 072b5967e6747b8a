from __future__ import annotations

import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from hfdl_async.core.finding import Found
from hfdl_async.core.model import (
    MIB,
    Action,
    ByteRange,
    ListedFile,
    Listing,
    PlannedFile,
    RepoRef,
)
from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.disk.native import Features
from hfdl_async.disk.placing import LinkMode
from hfdl_async.engine.ports import Sink
from hfdl_async.errors import HfdlError, IntegrityError, StorageError, UnsafeError
from tests.disk.faults import (
    ALTERNATIVES,
    COMMIT,
    REPO,
    FaultyCalls,
    assert_claims_hold,
    begin,
    descriptors_balanced,
    fetch,
    final_names,
    listing,
    pattern,
    planned,
    remote,
    store,
)

pytestmark = pytest.mark.anyio

CONTENTS = {
    "config.json": b"{}",
    "empty": b"",
    "a/b/small.txt": b"small" * 100,
    "a/big.bin": pattern(300_000, 1),
    "weights.bin": pattern(600_000, 2),
}
OLD = {"config.json": b"old", "weights.bin": pattern(400_000, 3)}


def test_fits_what_the_engine_asks_of_a_sink(tmp_path: Path) -> None:
    sink: Sink = LocalDir(tmp_path)
    assert sink.path == tmp_path


@pytest.mark.parametrize("features", ALTERNATIVES.values(), ids=ALTERNATIVES)
async def test_stores_a_repo_on_every_system(features: Features, tmp_path: Path) -> None:
    with descriptors_balanced():
        folder = LocalDir(tmp_path / "d", calls=FaultyCalls(short=True, features=features))
        await begin(folder, CONTENTS)
        outcomes = await store(folder, CONTENTS, checkpoint=True)
        assert outcomes == dict.fromkeys(CONTENTS)
        assert final_names(tmp_path / "d") == CONTENTS
        assert os.listdir(tmp_path / "d" / STATE_FOLDER / "parts") == []
        files = [remote(path, data) for path, data in CONTENTS.items()]
        found = await folder.survey(files)
        assert {finding.state for finding in found.values()} == {Found.FITS}
        copied = remote("copied/x.bin", CONTENTS["a/big.bin"])
        await folder.copy(PlannedFile(copied, Action.COPY, copy_of="a/big.bin"), lambda _n: None)
        assert (tmp_path / "d/copied/x.bin").read_bytes() == CONTENTS["a/big.bin"]
        await folder.close()


async def _old_folder(root: Path) -> None:
    folder = LocalDir(root)
    await begin(folder, OLD, "0" * 40)
    assert set((await store(folder, OLD)).values()) == {None}
    await folder.close()


async def _run(root: Path, calls: FaultyCalls) -> dict[str, HfdlError | None]:
    folder = LocalDir(root, calls=calls)
    try:
        await begin(folder, CONTENTS)
        parts = [
            await fetch(folder, path, data, checkpoint=True) for path, data in CONTENTS.items()
        ]
        return dict(await folder.publish(parts))
    finally:
        await folder.close()


@pytest.mark.parametrize(
    ("error", "torn", "for_ever"),
    [(errno.ENOSPC, True, False), (errno.EIO, False, False), (errno.EIO, True, True)],
    ids=["full", "broken", "as if killed"],
)
async def test_whichever_call_fails_nothing_wrong_gets_a_final_name(
    error: int, torn: bool, for_ever: bool, tmp_path: Path
) -> None:
    old = tmp_path / "old"
    await _old_folder(old)
    shutil.copytree(old, tmp_path / "count")
    counting = FaultyCalls()
    await _run(tmp_path / "count", counting)
    assert counting.count > 60
    for number in range(1, counting.count + 1):
        root = tmp_path / f"{number}"
        shutil.copytree(old, root)
        calls = FaultyCalls(fail_at=number, error=error, torn=torn, for_ever=for_ever)
        try:
            outcomes = await _run(root, calls)
        except StorageError:
            outcomes = {}
        else:
            assert set(outcomes) == set(CONTENTS)
        for path, data in final_names(root).items():
            assert data in (CONTENTS[path], OLD.get(path)), (number, path)
        for path, outcome in outcomes.items():
            assert outcome is None or isinstance(outcome, StorageError)
            if outcome is None:
                assert (root / path).read_bytes() == CONTENTS[path]
        assert all((root / path).exists() for path in OLD)
        assert_claims_hold(root)
        # Run again, as a user would: nothing has to be cleaned up by hand.
        again = await _run(root, FaultyCalls())
        assert set(again.values()) == {None}, number
        assert final_names(root) == CONTENTS
        assert os.listdir(root / STATE_FOLDER / "parts") == []


async def test_a_full_disk_that_stays_full_keeps_the_last_claims(tmp_path: Path) -> None:
    data = pattern(9 * MIB)
    file = remote("x", data)
    calls = FaultyCalls(only=("write", "allocate"), for_ever=True)
    folder = LocalDir(tmp_path, calls=calls)
    await begin(folder, {"x": data})
    part = await folder.open(planned(file))
    await part.write(0, [data[:MIB]])
    await part.checkpoint()
    calls.fail_at = calls.count + 1
    with pytest.raises(StorageError, match="disk is full"):
        await part.write(MIB, [data[MIB : 2 * MIB]])
    assert part.ledger.covered == MIB
    with pytest.raises(StorageError):
        await part.checkpoint()
    await part.close()
    assert assert_claims_hold(tmp_path) == MIB
    await folder.close()


@pytest.mark.parametrize(
    "features", [Features.here(), ALTERNATIVES["no dir_fd"]], ids=["fd", "path"]
)
class TestLinks:
    """Links below the destination are never written through."""

    def outside(self, tmp_path: Path) -> Path:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "precious").write_bytes(b"precious")
        return outside

    def untouched(self, outside: Path) -> None:
        assert os.listdir(outside) == ["precious"]
        assert (outside / "precious").read_bytes() == b"precious"

    async def test_a_link_as_a_folder_is_refused(self, features: Features, tmp_path: Path) -> None:
        outside = self.outside(tmp_path)
        root = tmp_path / "d"
        folder = LocalDir(root, calls=FaultyCalls(features=features))
        await begin(folder, CONTENTS)
        (root / "a").symlink_to(outside)
        files = [remote(path, data) for path, data in CONTENTS.items()]
        with pytest.raises(UnsafeError) as refused:
            await folder.survey(files)
        assert refused.value.hint is not None
        assert "--allow symlinks" in refused.value.hint
        outcomes = await store(folder, CONTENTS)
        assert isinstance(outcomes["a/big.bin"], UnsafeError)
        assert isinstance(outcomes["a/b/small.txt"], UnsafeError)
        assert outcomes["config.json"] is None
        self.untouched(outside)
        await folder.close()

    async def test_a_link_as_a_folder_is_followed_when_allowed(
        self, features: Features, tmp_path: Path
    ) -> None:
        root, elsewhere = tmp_path / "d", tmp_path / "elsewhere"
        elsewhere.mkdir()
        folder = LocalDir(root, follow_symlinks=True, calls=FaultyCalls(features=features))
        await begin(folder, CONTENTS)
        (root / "a").symlink_to(elsewhere)
        assert set((await store(folder, CONTENTS)).values()) == {None}
        assert (elsewhere / "big.bin").read_bytes() == CONTENTS["a/big.bin"]
        await folder.close()

    async def test_a_link_at_a_final_name_is_replaced_itself(
        self, features: Features, tmp_path: Path
    ) -> None:
        outside, root = self.outside(tmp_path), tmp_path / "d"
        folder = LocalDir(root, calls=FaultyCalls(features=features))
        await begin(folder, CONTENTS)
        (root / "weights.bin").symlink_to(outside / "precious")
        found = await folder.survey([remote("weights.bin", CONTENTS["weights.bin"])])
        assert found["weights.bin"].state is Found.LINK
        assert set((await store(folder, CONTENTS)).values()) == {None}
        assert not (root / "weights.bin").is_symlink()
        self.untouched(outside)
        await folder.close()

    @pytest.mark.parametrize("hard", [False, True], ids=["symlink", "hard link"])
    async def test_a_link_as_a_part_is_removed_and_said(
        self, hard: bool, features: Features, tmp_path: Path
    ) -> None:
        outside, root = self.outside(tmp_path), tmp_path / "d"
        folder = LocalDir(root, calls=FaultyCalls(features=features))
        data = CONTENTS["weights.bin"]
        await begin(folder, CONTENTS)
        planted = root / STATE_FOLDER / "parts" / f"{remote('x', data).content_key}.part"
        if hard:
            planted.hardlink_to(outside / "precious")
        else:
            planted.symlink_to(outside / "precious")
        assert set((await store(folder, CONTENTS)).values()) == {None}
        assert len(folder.notes) == 1
        self.untouched(outside)
        await folder.close()

    @pytest.mark.parametrize("name", [STATE_FOLDER, f"{STATE_FOLDER}/parts"])
    async def test_a_link_as_a_state_folder_is_refused(
        self, name: str, features: Features, tmp_path: Path
    ) -> None:
        outside, root = self.outside(tmp_path), tmp_path / "d"
        (root / name).parent.mkdir(parents=True)
        (root / name).symlink_to(outside)
        folder = LocalDir(root, follow_symlinks=True, calls=FaultyCalls(features=features))
        with pytest.raises(UnsafeError):
            await begin(folder, CONTENTS)
        self.untouched(outside)

    @pytest.mark.parametrize("name", ["repo.json", "listing.json", "receipts.jsonl", ".gitignore"])
    async def test_a_link_as_a_state_file_is_not_written_through(
        self, name: str, features: Features, tmp_path: Path
    ) -> None:
        outside, root = self.outside(tmp_path), tmp_path / "d"
        (root / STATE_FOLDER).mkdir(parents=True)
        (root / STATE_FOLDER / name).symlink_to(outside / "precious")
        folder = LocalDir(root, calls=FaultyCalls(features=features))
        await begin(folder, CONTENTS)
        await store(folder, CONTENTS)
        self.untouched(outside)
        await folder.close()

    async def test_the_destination_itself_may_be_a_link(
        self, features: Features, tmp_path: Path
    ) -> None:
        real = tmp_path / "real"
        real.mkdir()
        (tmp_path / "d").symlink_to(real)
        folder = LocalDir(tmp_path / "d", calls=FaultyCalls(features=features))
        await begin(folder, CONTENTS)
        assert set((await store(folder, CONTENTS)).values()) == {None}
        assert final_names(real) == CONTENTS
        await folder.close()


async def test_a_folder_at_a_final_name_keeps_only_that_file_back(tmp_path: Path) -> None:
    folder = LocalDir(tmp_path)
    await begin(folder, CONTENTS)
    (tmp_path / "config.json").mkdir()
    (tmp_path / "a").write_bytes(b"a file where a folder goes")
    outcomes = await store(folder, CONTENTS)
    assert {path for path, outcome in outcomes.items() if outcome} == {
        "config.json",
        "a/b/small.txt",
        "a/big.bin",
    }
    assert all(isinstance(outcome, StorageError) for outcome in outcomes.values() if outcome)
    await folder.close()


async def test_an_unfinished_file_goes_on_where_it_was(tmp_path: Path) -> None:
    data = pattern(20 * MIB)
    file = remote("x.bin", data)
    folder = LocalDir(tmp_path)
    await begin(folder, {"x.bin": data})
    part = await folder.open(planned(file))
    await part.write(0, [data[: 9 * MIB]])
    await part.write(16 * MIB, [data[16 * MIB : 17 * MIB]])
    await part.checkpoint()
    await part.write(10 * MIB, [data[10 * MIB : 11 * MIB]])
    await part.close()
    await folder.close()

    folder = LocalDir(tmp_path)
    found = await folder.survey([file])
    assert found["x.bin"].have_bytes == 10 * MIB
    await begin(folder, {"x.bin": data})
    part = await folder.open(planned(file))
    assert (await part.prove()).proven_bytes == 10 * MIB
    assert list(part.ledger.missing()) == [
        ByteRange(9 * MIB, 16 * MIB),
        ByteRange(17 * MIB, 20 * MIB),
    ]
    await part.discard()
    assert os.listdir(tmp_path / STATE_FOLDER / "parts") == []
    await folder.close()


async def test_only_the_damaged_cell_of_a_finished_file_is_fetched_again(tmp_path: Path) -> None:
    data = pattern(20 * MIB)
    folder = LocalDir(tmp_path)
    await begin(folder, {"x.bin": data})
    await store(folder, {"x.bin": data})
    final = tmp_path / "x.bin"
    stamps = final.stat()
    with final.open("r+b") as file:
        file.seek(9 * MIB)
        file.write(bytes([data[9 * MIB] ^ 1]))
    os.utime(final, ns=(stamps.st_atime_ns, stamps.st_mtime_ns))
    remote_file = remote("x.bin", data)
    found = await folder.survey([remote_file])
    assert found["x.bin"].state is Found.ROTTEN
    item = PlannedFile(remote_file, Action.FETCH, heals=True, repair_from=str(final))
    part = await folder.open(item)
    facts = await part.prove()
    assert facts.rejected_bytes == 8 * MIB
    assert facts.proven_bytes == 12 * MIB
    await part.write(8 * MIB, [data[8 * MIB : 16 * MIB]])
    await part.hash_to(len(data))
    assert part.digest() == remote_file.digest
    assert await folder.publish([part]) == {"x.bin": None}
    assert final.read_bytes() == data
    await folder.close()


async def test_parts_that_the_new_commit_does_not_need_are_removed(tmp_path: Path) -> None:
    old, kept = pattern(300_000, 1), pattern(300_000, 2)
    folder = LocalDir(tmp_path)
    await begin(folder, {"old": old, "kept": kept})
    for path, data in (("old", old), ("kept", kept)):
        part = await folder.open(planned(remote(path, data)))
        await part.write(0, [data[:1000]])
        await part.checkpoint()
        await part.close()
    parts = tmp_path / STATE_FOLDER / "parts"
    assert len(os.listdir(parts)) == 4
    await begin(folder, {"renamed": kept}, "d" * 40)
    assert {name.rpartition(".")[0] for name in os.listdir(parts)} == {remote("", kept).content_key}
    part = await folder.open(planned(remote("renamed", kept)))
    assert (await part.prove()).proven_bytes == 1000
    await part.close()
    await folder.close()


async def test_only_the_parts_that_are_named_are_forgotten(tmp_path: Path) -> None:
    contents = {"a": pattern(300_000, 1), "b": pattern(300_000, 2)}
    folder = LocalDir(tmp_path)
    await begin(folder, contents)
    for path, data in contents.items():
        part = await folder.open(planned(remote(path, data)))
        await part.write(0, [data[:1000]])
        await part.checkpoint()
        await part.close()
    await folder.forget_parts([remote("a", contents["a"])], COMMIT)
    kept = {name.rpartition(".")[0] for name in os.listdir(tmp_path / STATE_FOLDER / "parts")}
    assert kept == {remote("b", contents["b"]).content_key}
    await folder.close()


async def test_a_part_that_cannot_be_filled_from_the_damaged_file_is_closed(
    tmp_path: Path,
) -> None:
    data = pattern(300_000)
    folder = LocalDir(tmp_path)
    await begin(folder, {"x": data})
    await store(folder, {"x": data})
    item = replace(planned(remote("x", data)), repair_from=str(tmp_path / "gone"))
    with descriptors_balanced(), pytest.raises(StorageError):
        await folder.open(item)
    assert os.listdir(tmp_path / STATE_FOLDER / "parts") == []
    await folder.close()


async def test_another_repo_is_refused_and_named(tmp_path: Path) -> None:
    folder = LocalDir(tmp_path)
    await folder.identify(REPO)
    await begin(folder, {})
    await folder.identify(REPO)
    owner = await folder.owner()
    assert owner is not None
    assert owner.commit == COMMIT
    for other in (RepoRef("org/other"), RepoRef("org/model", repo_type="dataset")):
        with pytest.raises(UnsafeError, match="org/model"):
            await folder.identify(other)
    await folder.identify(RepoRef("org/model", endpoint="https://mirror.example"))
    await folder.close()


async def test_the_stored_listing_is_that_of_this_repo_and_revision(tmp_path: Path) -> None:
    folder = LocalDir(tmp_path)
    assert await folder.stored_listing(REPO) is None
    await begin(folder, CONTENTS)
    assert await folder.stored_listing(REPO) == listing(CONTENTS)
    assert await folder.stored_listing(RepoRef("org/model", revision=COMMIT)) is not None
    assert await folder.stored_listing(RepoRef("org/model", revision="dev")) is None
    assert await folder.stored_listing(RepoRef("org/other")) is None
    await folder.close()


async def test_leftovers_are_files_of_ours_that_nobody_touched(tmp_path: Path) -> None:
    folder = LocalDir(tmp_path)
    await begin(folder, CONTENTS)
    await store(folder, CONTENTS)
    (tmp_path / "foreign").write_bytes(b"not ours")
    (tmp_path / "config.json").write_bytes(b"changed")
    assert await folder.leftovers(["weights.bin"]) == ("a/b/small.txt", "a/big.bin", "empty")
    await folder.close()


async def test_adopted_files_have_receipts_from_then_on(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(CONTENTS["weights.bin"])
    file = remote("weights.bin", CONTENTS["weights.bin"])
    folder = LocalDir(tmp_path)
    found = await folder.survey([file])
    assert found["weights.bin"].state is Found.RIGHT
    await begin(folder, CONTENTS)
    await folder.adopt(found, COMMIT)
    found = await LocalDir(tmp_path).survey([file])
    assert found["weights.bin"].state is Found.FITS
    await folder.close()


async def test_looking_writes_nothing_anywhere(tmp_path: Path) -> None:
    root = tmp_path / "not" / "there"
    calls = FaultyCalls(fail_at=1, for_ever=True, only=CHANGING_WITHOUT_OPEN)
    folder = LocalDir(root, calls=calls)
    files = [remote(path, data) for path, data in CONTENTS.items()]
    assert await folder.owner() is None
    assert await folder.stored_listing(REPO) is None
    assert {f.state for f in (await folder.survey(files)).values()} == {Found.ABSENT}
    assert await folder.elsewhere(files, [tmp_path]) == {}
    assert await folder.leftovers([]) == ()
    await folder.naming(may_write=False)
    free, total = await folder.space()
    assert 0 < free <= total
    assert os.listdir(tmp_path) == []


CHANGING_WITHOUT_OPEN = ("mkdir", "rename", "unlink", "link", "write", "sync", "truncate")


async def test_content_of_equal_digest_is_found_elsewhere(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "w.bin").write_bytes(CONTENTS["weights.bin"])
    (other / "same size").write_bytes(bytes(len(CONTENTS["a/big.bin"])))
    folder = LocalDir(tmp_path / "d")
    await begin(folder, {})
    await store(folder, {"older.bin": CONTENTS["a/big.bin"]})
    files = [remote(path, data) for path, data in CONTENTS.items()]
    found = await folder.elsewhere(files, [other, tmp_path / "missing"])
    assert set(found.values()) == {other / "w.bin", tmp_path / "d" / "older.bin"}
    await folder.close()


async def test_a_copy_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wrong").write_bytes(bytes(300_000))
    folder = LocalDir(tmp_path / "d")
    await begin(folder, {})
    file = remote("x", pattern(300_000))
    item = PlannedFile(file, Action.COPY, copy_of=str(tmp_path / "wrong"))
    with pytest.raises(IntegrityError, match="x"):
        await folder.copy(item, lambda _count: None)
    assert final_names(tmp_path / "d") == {}
    assert os.listdir(tmp_path / "d" / STATE_FOLDER / "parts") == []
    await folder.close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
async def test_data_follows_the_umask_and_state_is_private(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        folder = LocalDir(tmp_path / "d")
        async with folder.lock(wait_seconds=0):
            await begin(folder, CONTENTS)
            part = await folder.open(planned(remote("weights.bin", CONTENTS["weights.bin"])))
            await part.write(0, [b"x"])
            await part.checkpoint()
            await part.discard()
            await store(folder, CONTENTS)
    finally:
        os.umask(before)
    for path in CONTENTS:
        assert (tmp_path / "d" / path).stat().st_mode & 0o777 == 0o666 & ~umask
    state = tmp_path / "d" / STATE_FOLDER
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / "parts").stat().st_mode & 0o777 == 0o700
    for entry in state.iterdir():
        if entry.is_file():
            assert entry.stat().st_mode & 0o777 == 0o600, entry


async def test_the_state_file_of_the_predecessor_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / STATE_FOLDER).write_text("{}")
    assert await LocalDir(tmp_path).owner() is None
    folder = LocalDir(tmp_path)
    await begin(folder, {})
    assert (tmp_path / f"{STATE_FOLDER}.old").read_text() == "{}"
    assert (tmp_path / STATE_FOLDER / ".gitignore").read_text() == "*\n"
    assert len(folder.notes) == 1
    await folder.close()


def metadata_below(root: Path) -> set[str]:
    """Return the paths of files that the reference client has a record of."""
    downloads = root / ".cache" / "huggingface" / "download"
    return {
        path.relative_to(downloads).as_posix().removesuffix(".metadata")
        for path in downloads.rglob("*.metadata")
    }


async def filled(root: Path, contents: dict[str, bytes], *, link: LinkMode = "clone") -> LocalDir:
    folder = LocalDir(root, link=link)
    files = [remote(path, data) for path, data in contents.items()]
    await folder.begin(REPO, listing(CONTENTS), files)
    assert set((await store(folder, contents)).values()) == {None}
    return folder


async def test_ends_with_records_of_what_was_wanted_and_is_proven(tmp_path: Path) -> None:
    folder = await filled(tmp_path, {"config.json": b"{}", "a/b/small.txt": b"small" * 100})
    await folder.finish(REPO, listing(CONTENTS))
    assert metadata_below(tmp_path) == {"config.json", "a/b/small.txt"}
    assert folder.notes == ()
    await folder.close()


async def test_records_that_cannot_be_written_are_a_note(tmp_path: Path) -> None:
    (tmp_path / ".cache").write_bytes(b"a file of the user's")
    folder = await filled(tmp_path, {"config.json": b"{}"})
    await folder.finish(REPO, listing(CONTENTS))
    [note] = folder.notes
    assert note.startswith("`hf download` will not know these files")
    assert (tmp_path / ".cache").read_bytes() == b"a file of the user's"
    await folder.close()


async def test_a_folder_that_was_only_looked_at_gets_no_records(tmp_path: Path) -> None:
    await (await filled(tmp_path, {"config.json": b"{}"})).close()
    folder = LocalDir(tmp_path)
    await folder.survey([remote("config.json", b"{}")])
    await folder.finish(REPO, listing(CONTENTS))
    assert not (tmp_path / ".cache").exists()


async def test_only_a_listing_of_the_hub_counts_as_whole(tmp_path: Path) -> None:
    files = [remote(path, data, git=True) for path, data in CONTENTS.items()]
    whole = Listing(COMMIT, tuple(ListedFile(f.path, f.size_bytes, f.digest) for f in files))
    tree = tmp_path / ".cache/huggingface/trees" / f"{COMMIT}.json"
    folder = LocalDir(tmp_path)
    await folder.begin(REPO, whole, [])
    await folder.close()

    folder = LocalDir(tmp_path)
    stored = await folder.stored_listing(REPO)
    assert stored is not None
    await folder.begin(REPO, stored, [])
    await folder.finish(REPO, stored)
    assert not tree.exists()
    await folder.close()

    folder = LocalDir(tmp_path)
    await folder.begin(REPO, whole, [])
    await folder.finish(REPO, whole)
    assert tree.exists()
    await folder.close()


async def test_names_for_one_file_do_not_cost_each_other_their_receipts(tmp_path: Path) -> None:
    data = CONTENTS["a/big.bin"]
    folder = await filled(tmp_path, {"a/big.bin": data}, link="hard")
    names = ["a/big.bin", "one", "two"]
    source = str(tmp_path / "a/big.bin")
    for name, origin in (("one", "a/big.bin"), ("two", source)):
        item = PlannedFile(remote(name, data), Action.COPY, copy_of=origin)
        await folder.copy(item, lambda _count: None)
    await folder.close()
    assert len({(tmp_path / name).stat().st_ino for name in names}) == 1
    found = await LocalDir(tmp_path).survey([remote(name, data) for name in names])
    assert {finding.state for finding in found.values()} == {Found.FITS}


async def test_what_is_wrong_at_its_own_name_is_no_source_for_itself(tmp_path: Path) -> None:
    data = CONTENTS["a/big.bin"]
    folder = await filled(tmp_path, {"x": data})
    assert await folder.elsewhere([remote("x", data)]) == {}
    assert set((await folder.elsewhere([remote("y", data)])).values()) == {tmp_path / "x"}
    await folder.close()
