from __future__ import annotations

import pytest

from hfdl_async.serving.answer import Answer, Call, ContentBody, Kind
from hfdl_async.serving.content import GeneratedContent, read_all
from hfdl_async.serving.damage import Flipper, body_pieces, flip

pytestmark = pytest.mark.anyio

CONTENT = GeneratedContent("s", 2_000_000)
WHOLE = read_all(CONTENT)
ETAG = {"ETag": '"e"'}


async def read(answer: Answer) -> bytes:
    return b"".join([bytes(piece) async for piece in body_pieces(answer.body)])


@pytest.mark.parametrize("offset", [1_000, 1_000_000, 1_999_998])
async def test_exactly_one_byte_of_the_file_is_wrong(offset: int) -> None:
    answer = flip(Answer(206, ETAG, ContentBody(CONTENT, 1_000, 1_999_999)), offset)
    got = await read(answer)
    true = WHOLE[1_000:1_999_999]
    assert len(got) == len(true) == answer.length
    wrong = [place for place in range(len(true)) if got[place] != true[place]]
    assert wrong == [offset - 1_000]


@pytest.mark.parametrize("offset", [0, 999, 2_000])
def test_a_range_that_does_not_cover_the_byte_stays_as_it_is(offset: int) -> None:
    answer = Answer(206, ETAG, ContentBody(CONTENT, 1_000, 2_000))
    assert flip(answer, offset) is answer


def test_errors_and_redirects_are_left_alone() -> None:
    for answer in (Answer(404, ETAG, b"gone"), Answer(302, {}, b"there")):
        assert flip(answer, 0) is answer


def call(kind: Kind, path: str, method: str = "GET") -> Call:
    return Call("data", method, "/", {}, ("", 0), kind=kind, path=path)


def test_the_hook_damages_matching_files_as_often_as_told() -> None:
    hook = Flipper("*.bin", 0, times=1)
    answer = Answer(200, ETAG, b"content")
    assert hook.alter(call("data", "a.txt"), answer) is answer
    assert hook.alter(call("data", "a.bin", "HEAD"), answer) is answer
    assert hook.alter(call("api", "a.bin"), answer) is answer
    assert hook.active
    assert hook.alter(call("data", "a.bin"), answer) is not answer
    assert not hook.active
    assert Flipper("*", 0).active
