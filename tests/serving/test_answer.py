from __future__ import annotations

import json

import pytest

from hfdl_async.serving.answer import Answer, ContentBody, json_answer, text_answer
from hfdl_async.serving.content import GeneratedContent

pytestmark = pytest.mark.anyio


async def test_a_content_body_is_a_half_open_range() -> None:
    body = ContentBody(GeneratedContent("s", 100), 10, 25)
    assert body.length == 15
    assert len(b"".join([bytes(piece) async for piece in body.pieces()])) == 15
    assert Answer(206, {}, body).length == 15


def test_texts_and_json_say_what_they_are() -> None:
    text = text_answer(404, "gone", {"X-Error-Code": "EntryNotFound"})
    assert text.headers == {
        "Content-Type": "text/plain; charset=utf-8",
        "X-Error-Code": "EntryNotFound",
    }
    assert text.length == 4
    answer = json_answer({"é": 1}, status=201)
    assert isinstance(answer.body, bytes)
    assert (answer.status, json.loads(answer.body)) == (201, {"é": 1})
