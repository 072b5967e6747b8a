from __future__ import annotations

import errno
import random
import shutil
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import pytest

from hfdl_async.core.finding import Found
from hfdl_async.core.names import STATE_FOLDER
from hfdl_async.core.sealed import StateRefused
from hfdl_async.core.state import decode_receipt
from hfdl_async.disk.calls import Folder
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.errors import StorageError
from tests.disk.durability import Journal, after_power_loss
from tests.disk.faults import (
    FaultyCalls,
    assert_claims_hold,
    begin,
    fetch,
    final_names,
    pattern,
    remote,
    store,
)

pytestmark = pytest.mark.anyio

NEW = {"a": b"new a" * 50, "d/b": b"new b", "d/big": pattern(270_000, 5), "e": b""}
OLD = {"a": b"old a" * 40, "d/big": pattern(265_000, 6)}
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


async def _journal(tmp_path: Path, skip: Collection[str] = ()) -> Journal:
    """Run an update of an old folder and return its journal."""
    root = tmp_path / "d"
    folder = LocalDir(root)
    await begin(folder, OLD, "0" * 40)
    await store(folder, OLD)
    await folder.close()
    journal = Journal(root)
    journal.skip = ()
    folder = LocalDir(root, calls=journal)
    await begin(folder, NEW)
    journal.skip = skip
    parts = [await fetch(folder, path, data, checkpoint=True) for path, data in NEW.items()]
    await folder.publish(parts[:2])
    await folder.publish(parts[2:])
    await folder.close()
    return journal


def _violation(root: Path) -> str | None:
    """Return what a user would find wrong, if anything."""
    for path, data in final_names(root).items():
        if data not in (NEW[path], OLD.get(path)):
            return f"{path} is wrong"
    for path in OLD:
        if not (root / path).exists():
            return f"{path} is gone"
    try:
        assert_claims_hold(root)
    except AssertionError:
        return "a claim is larger than the truth"
    except StateRefused:
        return "a record is torn"
    log = root / STATE_FOLDER / "receipts.jsonl"
    for line in log.read_bytes().split(b"\n")[1:] if log.exists() else ():
        try:
            receipt = decode_receipt(line)
        except StateRefused:
            continue
        if receipt.commit == "c" * 40 and not (
            (root / receipt.path).exists()
            and (root / receipt.path).read_bytes() == NEW[receipt.path]
        ):
            return f"the receipt of {receipt.path} lies"
    return None


def _violations(journal: Journal, tmp_path: Path, dice_rolls: int) -> Iterator[str]:
    for count in range(len(journal.entries) + 1):
        for seed in range(dice_rolls):
            root = tmp_path / "after"
            after_power_loss(journal, count, random.Random(count * 1000 + seed), root)
            violation = _violation(root)
            shutil.rmtree(root)
            if violation:
                yield f"after {count} entries, roll {seed}: {violation}"


@on_linux
async def test_the_power_may_fail_at_any_instant(tmp_path: Path) -> None:
    journal = await _journal(tmp_path)
    assert len(journal.entries) > 40
    assert next(_violations(journal, tmp_path, 4), None) is None


@on_linux
@pytest.mark.parametrize("skip", ["sync", "sync_folder"])
async def test_leaving_out_a_sync_would_be_noticed(skip: str, tmp_path: Path) -> None:
    journal = await _journal(tmp_path, skip=(skip,))
    assert next(_violations(journal, tmp_path, 4), None) is not None


@on_linux
async def test_after_a_power_loss_the_same_command_finishes(tmp_path: Path) -> None:
    journal = await _journal(tmp_path)
    for count in range(0, len(journal.entries), 5):
        root = tmp_path / f"after-{count}"
        after_power_loss(journal, count, random.Random(count), root)
        folder = LocalDir(root)
        await begin(folder, NEW)
        assert set((await store(folder, NEW)).values()) == {None}
        assert final_names(root) == NEW
        await folder.close()


async def test_the_durable_order_of_one_file(tmp_path: Path) -> None:
    calls = FaultyCalls()
    folder = LocalDir(tmp_path, calls=calls)
    await begin(folder, {"x": NEW["d/big"]})
    part = await fetch(folder, "x", NEW["d/big"], checkpoint=True)
    calls.made.clear()
    await folder.publish([part])
    made = [name for name in calls.made if name not in ("read", "open")]
    assert made == [
        *("sync", "close", "rename", "sync_folder"),
        *("write", "sync", "close", "sync_folder"),  # the first receipt
        "unlink",
    ]
    await folder.close()


async def test_each_touched_folder_is_synced_once_for_a_whole_group(tmp_path: Path) -> None:
    calls = FaultyCalls()
    contents = {f"{folder}/{number}": b"x" for folder in "ab" for number in range(20)}
    folder = LocalDir(tmp_path, calls=calls)
    await begin(folder, contents)
    await store(folder, {"a/first": b"1", "b/first": b"2"})
    parts = [await fetch(folder, path, data) for path, data in contents.items()]
    calls.made.clear()
    await folder.publish(parts)
    assert calls.made.count("sync_folder") == 2
    assert calls.made.count("rename") == 40
    assert calls.made.count("sync") == 41  # one for all receipts
    await folder.close()


async def test_a_part_that_was_replaced_meanwhile_is_not_published(tmp_path: Path) -> None:
    data = NEW["d/big"]
    folder = LocalDir(tmp_path)
    await begin(folder, {"x": data})
    part = await fetch(folder, "x", data)
    name = tmp_path / STATE_FOLDER / "parts" / f"{remote('x', data).content_key}.part"
    name.rename(tmp_path / "moved")
    name.write_bytes(bytes(len(data)))
    (outcome,) = (await folder.publish([part])).values()
    assert isinstance(outcome, StorageError)
    assert not (tmp_path / "x").exists()
    await folder.close()


async def test_a_part_that_is_gone_is_a_storage_error(tmp_path: Path) -> None:
    data = NEW["d/big"]
    folder = LocalDir(tmp_path)
    await begin(folder, {"x": data})
    part = await fetch(folder, "x", data)
    (tmp_path / STATE_FOLDER / "parts" / f"{remote('x', data).content_key}.part").unlink()
    (outcome,) = (await folder.publish([part])).values()
    assert isinstance(outcome, StorageError)
    await folder.close()


async def test_two_writers_that_both_finish_both_succeed(tmp_path: Path) -> None:
    data = NEW["d/big"]
    one, two = LocalDir(tmp_path), LocalDir(tmp_path)
    await begin(one, {"x": data})
    await begin(two, {"x": data})
    first, second = await fetch(one, "x", data), await fetch(two, "x", data)
    assert await one.publish([first]) == {"x": None}
    assert await two.publish([second]) == {"x": None}
    assert final_names(tmp_path) == {"x": data}
    await one.close()
    await two.close()


@pytest.mark.parametrize("same", [True, False])
async def test_another_program_may_put_the_same_content_there(same: bool, tmp_path: Path) -> None:
    data = NEW["d/big"]

    class Racing(FaultyCalls):
        def rename(self, source: Folder, name: str, target: Folder, new_name: str) -> None:
            super().rename(source, name, target, new_name)
            if new_name == "x":
                other = tmp_path / "other"
                other.write_bytes(data if same else data[::-1])
                other.rename(tmp_path / "x")

    folder = LocalDir(tmp_path, calls=Racing())
    await begin(folder, {"x": data})
    (outcome,) = (await folder.publish([await fetch(folder, "x", data)])).values()
    assert (outcome is None) == same
    if same:
        [finding] = (await folder.survey([remote("x", data)])).values()
        assert finding.state is Found.FITS
    await folder.close()


async def test_receipts_that_cannot_be_written_are_blamed_on_no_file(tmp_path: Path) -> None:
    contents = {f"d/{number}": b"%d" % number for number in range(3)}
    calls = FaultyCalls(only=("sync",), error=errno.ENOSPC)
    folder = LocalDir(tmp_path, calls=calls)
    await begin(folder, contents)
    parts = [await fetch(folder, path, data) for path, data in contents.items()]
    calls.fail_at = calls.count + len(parts) + 1  # each file, then the receipts of all
    outcomes = await folder.publish(parts)
    await folder.close()
    [error] = {id(error): error for error in outcomes.values()}.values()
    assert isinstance(error, StorageError)
    assert STATE_FOLDER in error.message
    assert "d/" not in error.message
