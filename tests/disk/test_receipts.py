from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hfdl_async.core.model import Digest
from hfdl_async.core.state import Receipt
from hfdl_async.disk.calls import Calls, Folder
from hfdl_async.disk.receipts import LOG, SPARE_LINES, Receipts, fits
from hfdl_async.errors import StorageError
from tests.disk.faults import COMMIT, FaultyCalls

ONE = Receipt("a", 5, Digest("sha256", "0" * 64), (), 1, 2, 3, COMMIT)
TWO = replace(ONE, path="b/c")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Folder]:
    opened = Calls().open_root(str(tmp_path))
    yield opened
    Calls().close_folder(opened)


def loaded(state: Folder) -> Receipts:
    receipts = Receipts(Calls())
    receipts.load(state)
    return receipts


def test_what_was_appended_is_there_and_the_last_one_wins(state: Folder) -> None:
    receipts = loaded(state)
    receipts.append(state, [ONE, TWO])
    receipts.append(state, [replace(ONE, size=6)])
    assert dict(loaded(state).by_path) == {"a": replace(ONE, size=6), "b/c": TWO}
    assert receipts.by_path == loaded(state).by_path


def test_a_group_is_one_write_and_one_sync(state: Folder) -> None:
    calls = FaultyCalls()
    receipts = Receipts(calls)
    receipts.append(state, [ONE])
    calls.made.clear()
    receipts.append(state, [replace(ONE, path=str(number)) for number in range(100)])
    assert calls.made == ["open", "write", "sync", "close"]


@pytest.mark.parametrize("cut", [1, 2, 20, 100])
def test_a_torn_line_costs_only_itself(cut: int, state: Folder, tmp_path: Path) -> None:
    loaded(state).append(state, [ONE, TWO])
    log = tmp_path / LOG
    log.write_bytes(log.read_bytes()[:-cut])
    receipts = loaded(state)
    assert set(receipts.by_path) == ({"a"} if cut > 1 else {"a", "b/c"})
    receipts.append(state, [replace(ONE, path="new")])
    assert {"a", "new"} <= set(loaded(state).by_path)


def test_an_append_that_failed_half_way_spoils_nothing(state: Folder) -> None:
    calls = FaultyCalls(only=("write",), torn=True)
    receipts = Receipts(calls)
    receipts.append(state, [ONE])
    calls.fail_at = calls.count + 1
    with pytest.raises(OSError, match="space"):
        receipts.append(state, [TWO])
    assert set(receipts.by_path) == {"a"}
    receipts.append(state, [replace(TWO, path="later")])
    assert set(loaded(state).by_path) == {"a", "later"}


def test_any_flipped_byte_costs_at_most_its_line(state: Folder, tmp_path: Path) -> None:
    loaded(state).append(state, [ONE, TWO])
    log = tmp_path / LOG
    whole = log.read_bytes()
    head = whole.index(b"\n") + 1
    for position in range(head, len(whole) - 1):
        log.write_bytes(whole[:position] + bytes([whole[position] ^ 2]) + whole[position + 1 :])
        receipts = loaded(state)
        assert receipts.damaged
        for path, receipt in receipts.by_path.items():
            assert receipt == {"a": ONE, "b/c": TWO}[path]


@pytest.mark.parametrize("kind", ["garbage", "fifo", "link"])
def test_a_log_that_is_none_is_set_aside_when_it_is_written_to(
    kind: str, state: Folder, tmp_path: Path
) -> None:
    if kind == "garbage":
        (tmp_path / LOG).write_bytes(b"\0" * 1000)
    elif kind == "fifo":
        os.mkfifo(tmp_path / LOG)
    else:
        (tmp_path / LOG).symlink_to("elsewhere")
    receipts = loaded(state)
    assert receipts.damaged
    assert receipts.by_path == {}
    receipts.append(state, [ONE])
    assert set(loaded(state).by_path) == {"a"}
    assert os.path.lexists(tmp_path / f"{LOG}.bad")
    assert not (tmp_path / "elsewhere").exists()


def test_a_newer_log_is_left_alone(state: Folder, tmp_path: Path) -> None:
    (tmp_path / LOG).write_bytes(b'["hfdl receipts",2]\nwhatever\n')
    with pytest.raises(StorageError, match="newer"):
        loaded(state)


def test_a_log_of_mostly_old_lines_is_rewritten(state: Folder, tmp_path: Path) -> None:
    receipts = loaded(state)
    receipts.append(state, [replace(ONE, size=size) for size in range(SPARE_LINES + 3)])
    large = (tmp_path / LOG).stat().st_size
    receipts.append(state, [TWO])
    assert (tmp_path / LOG).stat().st_size < large / 100
    assert dict(loaded(state).by_path) == {"a": replace(ONE, size=SPARE_LINES + 2), "b/c": TWO}


def test_what_is_dropped_is_gone_for_good(state: Folder, tmp_path: Path) -> None:
    receipts = loaded(state)
    receipts.append(state, [ONE, TWO])
    receipts.drop(state, ["b/c", "never there"])
    assert dict(receipts.by_path) == dict(loaded(state).by_path) == {"a": ONE}
    before = (tmp_path / LOG).stat()
    receipts.drop(state, ["b/c"])
    assert (tmp_path / LOG).stat() == before  # nothing to do is nothing written
    receipts.append(state, [TWO])
    assert dict(loaded(state).by_path) == {"a": ONE, "b/c": TWO}


def test_dropping_that_fails_changes_nothing(state: Folder) -> None:
    calls = FaultyCalls(only=("rename",), fail_at=1)
    receipts = Receipts(calls)
    receipts.append(state, [ONE, TWO])
    with pytest.raises(OSError, match="space"):
        receipts.drop(state, ["a"])
    assert dict(receipts.by_path) == dict(loaded(state).by_path) == {"a": ONE, "b/c": TWO}


def test_fits_only_the_very_file_untouched(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"12345")
    found = path.stat()
    receipt = replace(
        ONE, mtime_ns=found.st_mtime_ns, ctime_ns=found.st_ctime_ns, inode=found.st_ino
    )
    assert fits(receipt, found)
    for other in (
        replace(receipt, size=4),
        replace(receipt, mtime_ns=0),
        replace(receipt, ctime_ns=0),
        replace(receipt, inode=0),
    ):
        assert not fits(other, found)
    path.write_bytes(b"54321")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert not fits(receipt, path.stat()), "a change time cannot be set back"


def test_appending_costs_the_same_however_many_there_are(state: Folder) -> None:
    many = [replace(ONE, path=f"d/{number:04}") for number in range(3000)]
    calls = FaultyCalls()
    receipts = Receipts(calls)
    costs, size = [], 0
    for start in range(0, 3000, 500):
        calls.made.clear()
        receipts.append(state, many[start : start + 500])
        grown = (Path(state.path) / LOG).stat().st_size
        costs.append((len(calls.made), grown - size))
        size = grown
    assert len(set(costs[1:])) == 1
    assert receipts.appended == {receipt.path for receipt in many}
    assert not loaded(state).appended
