from __future__ import annotations

import pytest

from hfdl_async.serving.answer import Answer, Call, ContentBody
from hfdl_async.serving.content import GeneratedContent
from hfdl_async.serving.datahost import TOUCHY, LinkSigner, answer_data, understand_data
from hfdl_async.serving.repos import HostedFile, HostedRepo

REPO = HostedRepo.from_files("o/n", {"w.bin": GeneratedContent("s", 1000)})


class Watch:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def weights() -> HostedFile:
    assert REPO.head is not None
    return REPO.head.files["w.bin"]


def signer() -> tuple[LinkSigner, Watch, str]:
    watch = Watch()
    links = LinkSigner("http://data", clock=watch)
    return links, watch, links.sign(REPO, weights(), 0.5).removeprefix("http://data")


def ask(links: LinkSigner, target: str, **headers: str) -> Answer:
    call = Call("data", "GET", target, headers, ("", 0))
    return answer_data(call, understand_data(call, links), links)


def test_a_good_link_gives_the_file_under_the_etag_of_the_storage() -> None:
    links, _, target = signer()
    answer = ask(links, target)
    lfs = weights().lfs
    assert lfs is not None
    assert answer.status == 200
    assert answer.body == ContentBody(weights().content, 0, 1000)
    assert answer.headers["ETag"] == f'"{lfs.xet_hash}"'
    assert "X-Repo-Commit" not in answer.headers
    assert ask(links, target, Range="bytes=1-2").headers["Content-Range"] == "bytes 1-2/1000"
    assert ask(links, target, Range="bytes=1000-").status == 416


@pytest.mark.parametrize(
    ("original", "changed"), [("%7E", "~"), ("%2B", "+"), ("%27", "'"), ("+", "%20"), ("~", "%7E")]
)
def test_one_character_quoted_differently_breaks_the_signature(original: str, changed: str) -> None:
    links, _, target = signer()
    assert TOUCHY in target
    answer = ask(links, target.replace(original, changed, 1))
    assert answer.status == 403
    assert b"SignatureDoesNotMatch" in bytes(answer.body)  # type: ignore[arg-type]


def test_links_expire_by_fractions_of_a_second_or_all_at_once() -> None:
    links, watch, target = signer()
    watch.now += 0.4
    assert ask(links, target).status == 200
    watch.now += 0.2
    expired = ask(links, target)
    assert (expired.status, expired.headers["Content-Type"]) == (403, "application/xml")
    fresh = links.sign(REPO, weights(), 60).removeprefix("http://data")
    assert ask(links, fresh).status == 200
    links.expire_all()
    assert ask(links, fresh).status == 403


def test_every_link_is_another_one_and_says_when_it_expires() -> None:
    links, _, target = signer()
    assert "&Expires=1001&" in target
    assert links.sign(REPO, weights(), 0.5).removeprefix("http://data") != target
    assert links.issued == 2


def test_a_token_on_the_storage_is_refused() -> None:
    links, _, target = signer()
    answer = ask(links, target, Authorization="Bearer hf_x")
    assert answer.status == 400
    assert b"Only one auth mechanism allowed" in bytes(answer.body)  # type: ignore[arg-type]


def test_a_call_learns_which_file_it_is_about() -> None:
    links, _, target = signer()
    call = Call("data", "GET", target, {}, ("", 0))
    understand_data(call, links)
    assert (call.kind, call.path) == ("data", "w.bin")
