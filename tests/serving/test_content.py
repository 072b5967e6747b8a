from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hfdl_async.serving.content import (
    BLOCK_BYTES,
    HELD_BYTES,
    PIECE_BYTES,
    BytesContent,
    Content,
    FileContent,
    GeneratedContent,
    JoinedContent,
    content_of_file,
    git_sha1_of,
    read_all,
    sha256_of,
)

pytestmark = pytest.mark.anyio

SIZE = 2 * BLOCK_BYTES + 12_345


async def read(content: Content, start: int, stop: int) -> bytes:
    return b"".join([bytes(piece) async for piece in content.pieces(start, stop)])


@pytest.fixture(params=["bytes", "file", "generated", "joined"])
def content(request: pytest.FixtureRequest, tmp_path: Path) -> Content:
    generated = GeneratedContent("seed", SIZE)
    if request.param == "bytes":
        return BytesContent(read_all(generated))
    if request.param == "file":
        path = tmp_path / "file"
        path.write_bytes(read_all(generated))
        return content_of_file(path)
    if request.param == "joined":
        return JoinedContent(b"header", generated)
    return generated


@pytest.mark.parametrize(
    ("start", "stop"),
    [
        (0, 0),
        (0, 1),
        (3, 9),
        (PIECE_BYTES - 1, PIECE_BYTES + 1),
        (BLOCK_BYTES - 5, BLOCK_BYTES + 5),
        (BLOCK_BYTES + 7, SIZE),
        (0, SIZE),
    ],
)
async def test_every_range_is_the_same_as_a_slice_of_the_whole(
    content: Content, start: int, stop: int
) -> None:
    whole = read_all(content)
    assert len(whole) == content.size
    assert await read(content, start, stop) == whole[start:stop]


def test_generated_content_depends_on_its_seed_only_and_never_repeats_a_block() -> None:
    one = read_all(GeneratedContent("a", SIZE))
    assert one == read_all(GeneratedContent("a", SIZE))
    assert one != read_all(GeneratedContent("b", SIZE))
    assert one[:BLOCK_BYTES] != one[BLOCK_BYTES : 2 * BLOCK_BYTES]


async def test_terabytes_need_no_room() -> None:
    content = GeneratedContent("s", 10**12)
    assert len(await read(content, 10**12 - 10, 10**12)) == 10


def test_small_files_are_held_and_large_ones_are_not(tmp_path: Path) -> None:
    small, large = tmp_path / "small", tmp_path / "large"
    small.write_bytes(bytes(HELD_BYTES))
    large.write_bytes(bytes(HELD_BYTES + 1))
    assert isinstance(content_of_file(small), BytesContent)
    assert content_of_file(large) == FileContent(large, HELD_BYTES + 1)


async def test_a_file_that_shrank_ends_early(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"short")
    assert await read(FileContent(path, 100), 2, 100) == b"ort"


def test_digests_are_those_of_git_and_of_sha256sum() -> None:
    assert git_sha1_of(BytesContent(b"")) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert git_sha1_of(BytesContent(b"hello\n")) == "ce013625030ba8dba906f756967f9e9ca394464a"
    assert sha256_of(BytesContent(b"x")) == hashlib.sha256(b"x").hexdigest()
