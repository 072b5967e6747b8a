from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.core.filetable import (
    FileTable,
    ListedFiles,
    PlannedFiles,
    RemoteFiles,
    listed_files,
    paths_of,
    remote_files,
)
from hfdl_async.core.model import Action, Digest, ListedFile, Plan, PlannedFile, RemoteFile, Sums
from tests.core.test_model import PLAN

HEX = "0123456789abcdef"
sha1s = st.text(HEX, min_size=40, max_size=40)
sha256s = st.text(HEX, min_size=64, max_size=64)
digests = sha1s.map(lambda text: Digest("git-sha1", text)) | sha256s.map(
    lambda text: Digest("sha256", text)
)
sizes = st.integers(0, 2**60)


@st.composite
def listed(draw: st.DrawFn) -> ListedFile:
    digest = draw(st.none() | digests)
    return ListedFile(
        draw(st.text(min_size=1)),
        draw(st.none() | sizes),
        digest,
        masked=digest is None and draw(st.booleans()),
        pointer_id=draw(st.none() | sha1s),
        xet_hash=draw(st.none() | sha256s),
    )


@given(st.lists(listed()))
def test_what_goes_into_a_table_comes_out_of_it(files: list[ListedFile]) -> None:
    packed = listed_files(files)
    assert list(packed) == files
    assert packed == files
    assert files == packed
    assert paths_of(packed) == paths_of(files)
    assert listed_files(packed) is packed


@given(st.lists(st.builds(RemoteFile, st.text(), sizes, st.none() | digests)))
def test_files_to_fetch_are_the_same_in_a_table(files: list[RemoteFile]) -> None:
    packed = remote_files(files)
    assert packed == files


def some(count: int) -> ListedFiles:
    return listed_files(
        ListedFile(f"data/{number:07}.bin", number, Digest("sha256", f"{number:064x}"))
        for number in range(count)
    )


def test_a_table_is_asked_like_a_tuple() -> None:
    files = some(5)
    assert files[-1] == tuple(files)[-1]
    assert files[1:4] == tuple(files)[1:4]
    assert len(files) == 5
    assert files != some(4)
    assert files != 5
    with pytest.raises(IndexError):
        files[5]


def test_rows_that_are_left_out_are_gone_from_every_column() -> None:
    files = some(5)
    left = ListedFiles(files.table.where([True, False, False, True, False]))
    assert left == [files[0], files[3]]


def test_tables_are_joined_in_order() -> None:
    table, files = FileTable(), some(3)
    table.extend(files.table)
    table.extend(files.table)
    assert ListedFiles(table) == [*files, *files]


def planned(count: int) -> PlannedFiles:
    """Return files that are fetched, here, copied, in this order, again and again."""
    table = some(count).table
    special = {
        row: PlannedFile(table.remote(row), Action.COPY, copy_of="/x", linked=row % 2 == 0)
        for row in range(2, count, 3)
    }
    special |= {
        row: PlannedFile(table.remote(row), Action.FETCH, have_bytes=1, part_bytes=row)
        for row in range(3, count, 6)
    }
    return PlannedFiles(table, bytes(row % 3 == 1 for row in range(count)), special)


def plan(files: PlannedFiles | tuple[PlannedFile, ...]) -> Plan:
    return Plan(PLAN.repo, PLAN.commit, PLAN.path, files, disk_free=0)


def test_a_plan_in_columns_says_what_one_of_values_does() -> None:
    files = planned(30)
    columns, values = plan(files), plan(tuple(files))
    assert {item.action for item in files} == set(Action)
    assert columns.sums == values.sums
    assert columns.sums.reserved
    assert columns.to_dict() == values.to_dict()
    assert columns.to_do == values.to_do


def test_nothing_planned_sums_up_to_nothing() -> None:
    assert PlannedFiles(FileTable(), b"", {}).sums == Sums()


def bytes_per_file(count: int) -> float:
    names = [f"data/train/part-{number:09}.parquet" for number in range(count)]
    tracemalloc.start()
    try:
        table = FileTable()
        for number, name in enumerate(names):
            digest = Digest("sha256", f"{number:064x}")
            table.add(ListedFile(name, 2**40, digest, False, f"{number:040x}", f"{number:064x}"))
        return tracemalloc.get_traced_memory()[0] / count
    finally:
        tracemalloc.stop()


def test_a_file_with_all_its_hashes_takes_few_bytes_beside_its_name() -> None:
    small, large = bytes_per_file(1_000), bytes_per_file(8_000)
    assert large < 180  # as values: some 600
    assert large < 1.1 * small


def test_files_of_a_table_are_values_on_demand_only() -> None:
    files = RemoteFiles(some(3).table)
    assert files[0] is not files[0]
