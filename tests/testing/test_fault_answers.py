from __future__ import annotations

from email.utils import parsedate_to_datetime

import aiohttp
import pytest

from hfdl_async.serving import Answer, Call, HostedRepo
from hfdl_async.serving.answer import text_answer
from hfdl_async.testing.faults import (
    Alter,
    Body,
    EtagChange,
    Fault,
    FaultKind,
    HtmlPage,
    LinkedEtagChange,
    MissingHeader,
    RedirectChain,
    RedirectLoop,
    RedirectTo,
    RefuseLink,
    SetHeaders,
    StartHub,
    Status,
    Throttle,
)

pytestmark = pytest.mark.anyio

CONTENT = Answer(206, {"ETag": '"e"', "X-Repo-Commit": "c" * 40}, b"content")
LIMITED = Answer(200, {"RateLimit": '"api";r=9;t=9', "RateLimit-Policy": "p", "Other": "o"})
LINK = Answer(302, {"Location": "/x", "X-Linked-Etag": '"a"', "X-Linked-Size": "3"})


def apply(kind: FaultKind, answer: Answer = CONTENT, target: str = "/t?x=1") -> Answer:
    return kind.apply(Call("hub", "GET", target, {}, ("", 0)), answer)


def test_a_status_comes_with_its_headers() -> None:
    answer = apply(Status(503, {"Retry-After": "1"}, "busy"))
    assert (answer.status, answer.headers["Retry-After"], answer.body) == (503, "1", b"busy")
    assert "X-Repo-Commit" not in answer.headers


def test_a_429_has_four_forms() -> None:
    seconds, date, ratelimit, nothing = (
        apply(Throttle(30, by), LIMITED).headers
        for by in ("seconds", "date", "ratelimit", "nothing")
    )
    assert (seconds["Retry-After"], seconds["RateLimit"]) == ("30", '"api";r=9;t=9')
    assert parsedate_to_datetime(date["Retry-After"]).tzinfo is not None
    assert ratelimit["RateLimit"] == '"resolvers";r=0;t=30'
    assert "Retry-After" not in ratelimit
    assert set(nothing) == {"Content-Type"}


def test_a_page_is_html_and_knows_no_commit() -> None:
    answer = apply(HtmlPage())
    assert answer.status == 200
    assert answer.headers == {"Content-Type": "text/html; charset=utf-8"}


def test_headers_are_set_and_left_out() -> None:
    assert apply(SetHeaders({"X-HF-Warning": "t; m"})).headers["X-HF-Warning"] == "t; m"
    assert "X-Repo-Commit" not in apply(MissingHeader("x-repo-commit")).headers
    assert apply(MissingHeader("X-None")) is CONTENT


def test_a_body_is_replaced_under_the_same_headers() -> None:
    answer = apply(Body(b"{", status=200))
    assert (answer.status, answer.body, answer.headers) == (200, b"{", CONTENT.headers)


def test_validators_change_where_there_are_any() -> None:
    assert apply(EtagChange('"new"')).headers["ETag"] == '"new"'
    assert apply(EtagChange(), LINK) is LINK
    changed = apply(LinkedEtagChange("b", size=4), LINK).headers
    assert (changed["X-Linked-Etag"], changed["X-Linked-Size"]) == ('"b"', "4")
    assert apply(LinkedEtagChange()) is CONTENT


def test_a_link_is_refused_as_storages_do() -> None:
    answer = apply(RefuseLink())
    assert (answer.status, answer.headers["Content-Type"]) == (403, "application/xml")
    assert apply(RefuseLink(400, "InvalidArgument")).status == 400


def test_redirects_lead_elsewhere_or_nowhere() -> None:
    elsewhere = apply(RedirectTo("http://other/"), LINK).headers
    assert (elsewhere["Location"], elsewhere["X-Linked-Size"]) == ("http://other/", "3")
    assert "X-Repo-Commit" not in apply(RedirectTo("http://other/")).headers
    assert apply(RedirectLoop()).headers["Location"] == "/t?x=1"


def test_a_chain_of_redirects_ends() -> None:
    chain = RedirectChain(2)
    assert apply(chain, target="/t").headers["Location"] == "/t?hop=1"
    assert apply(chain, target="/t?hop=1").headers["Location"] == "/t?hop=2"
    assert apply(chain, target="/t?hop=2") is CONTENT


def test_a_function_may_do_anything() -> None:
    assert apply(Alter(lambda call, _: text_answer(200, call.target))).body == b"/t?x=1"


async def test_a_refused_link_works_again_afterwards(
    hub: StartHub, http: aiohttp.ClientSession
) -> None:
    running = await hub(HostedRepo.from_files("o/n", {"w.bin": b"w"}))
    running.faults.add(Fault("data", RefuseLink(), times=1))
    statuses = []
    for _ in range(2):
        async with http.get(f"{running.endpoint}/o/n/resolve/main/w.bin") as response:
            statuses.append(response.status)
    assert statuses == [403, 200]
