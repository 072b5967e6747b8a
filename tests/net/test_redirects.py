from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hfdl_async.errors import HfdlError, NetworkError, ProtocolError, UnsafeError, UsageError
from hfdl_async.net.answer import Answer
from hfdl_async.net.redirects import MAX_HOPS, Credential, Trail
from hfdl_async.net.urls import Origin, parse_url
from tests.net.wire import TOKEN

pytestmark = pytest.mark.anyio
HUB = "https://hub.example"
ORIGIN = Origin("https", "hub.example", 443)


class Refused:
    """An answer to a request that carried *token*."""

    def __init__(self, token: str | None) -> None:
        self.token = token


def refused(token: str | None) -> Answer:
    return cast("Answer", Refused(token))


def trail(start: str = f"{HUB}/x") -> Trail:
    return Trail(parse_url(start), ORIGIN, what="x of a/b")


def walk(*locations: str, private_ok: bool = False) -> Trail:
    path = trail()
    for location in locations:
        path.follow(location, private_ok=private_ok)
    return path


@pytest.mark.parametrize(
    "locations",
    [
        ["/y"],
        [f"{HUB}/y"],
        [f"{HUB}:443/y"],
        ["https://HUB.Example/y"],
        ["y", "?z=1"],
    ],
)
def test_the_token_stays_with_the_origin_however_it_is_written(locations: list[str]) -> None:
    assert walk(*locations).trusted


@pytest.mark.parametrize(
    "locations",
    [
        [f"{HUB}:8443/y"],
        ["https://cdn.example/y"],
        ["//cdn.example/y"],
        ["https://hub.example.evil.example/y"],
        ["https://evilhub.example/y"],
        ["https://hub.example./y"],
        ["https://cdn.example/y", f"{HUB}/z"],
    ],
)
def test_the_token_stays_behind_once_the_origin_is_left(locations: list[str]) -> None:
    assert not walk(*locations).trusted


@given(st.lists(st.sampled_from([HUB, "https://a.example", "https://b.example"]), max_size=5))
def test_a_trail_is_trusted_only_if_every_step_was_at_home(origins: list[str]) -> None:
    path = walk(*(f"{origin}/{step}" for step, origin in enumerate(origins)))
    assert path.trusted == all(origin == HUB for origin in origins)


@pytest.mark.parametrize(
    ("location", "kind", "words"),
    [
        (None, ProtocolError, "to nowhere"),
        ("", ProtocolError, "to nowhere"),
        ("http://hub.example/y", UnsafeError, "unencrypted"),
        ("file:///etc/passwd", UnsafeError, "only http and https"),
        ("https://user:secret@hub.example/", UnsafeError, "credentials"),
        ("https://127.0.0.1/", UnsafeError, "private network"),
        ("https://[::1]/", UnsafeError, "private network"),
        ("https://169.254.169.254/latest/meta-data", UnsafeError, "private network"),
        ("//10.0.0.1/y", UnsafeError, "private network"),
        ("/x", NetworkError, "in a circle"),
    ],
)
def test_a_step_nobody_should_take_is_refused(
    location: str | None, kind: type[HfdlError], words: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        trail().follow(location, private_ok=False)
    assert caught.value.message.startswith("x of a/b: ")
    assert "secret" not in caught.value.message


def test_private_addresses_are_fine_where_the_user_or_the_endpoint_says_so() -> None:
    assert walk("https://10.0.0.1/y", private_ok=True).url.origin.host == "10.0.0.1"


def test_five_hops_are_enough_for_everybody() -> None:
    assert walk(*map(str, range(MAX_HOPS))).hops == MAX_HOPS
    with pytest.raises(NetworkError, match="more than 5 redirects"):
        walk(*map(str, range(MAX_HOPS + 1)))


def test_a_trail_that_went_on_from_elsewhere_cannot_claim_trust() -> None:
    away = Trail(parse_url("https://cdn.example/"), ORIGIN, what="x", trusted=True)
    assert not away.trusted
    home = Trail(parse_url(f"{HUB}/"), ORIGIN, what="x", trusted=False)
    assert not home.trusted
    assert home.at_home


@pytest.mark.parametrize("token", ["a b", "a\nb", "", "hf_é", "hf_\x00", f"{TOKEN}\r\nX: 1"])
def test_a_token_that_cannot_be_one_is_refused_without_showing_it(token: str) -> None:
    with pytest.raises(UsageError) as caught:
        Credential(token, ORIGIN)
    frames = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    ours = [frame for frame in frames.stack if "hfdl_async" in frame.filename]
    assert ours
    assert not any(TOKEN in text for frame in ours for text in (frame.locals or {}).values())


@pytest.mark.parametrize("host", ["mirror.example", "10.0.0.1", "0.0.0.0", "127.0.0.1.example"])
def test_a_token_does_not_go_unencrypted_to_another_machine(host: str) -> None:
    origin = Origin("http", host, 80)
    with pytest.raises(UnsafeError, match="unencrypted") as caught:
        Credential(TOKEN, origin)
    assert "--allow http-token" in str(caught.value.hint)
    assert Credential(TOKEN, origin, allow=["http-token"]).token_for is not None
    assert Credential(None, origin).anonymous


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.2.3"])
def test_loopback_may_have_the_token_unencrypted(host: str) -> None:
    assert not Credential(TOKEN, Origin("http", host, 80)).anonymous


async def test_a_refused_token_is_looked_up_anew_once() -> None:
    answers = iter(["hf_new", "hf_new"])

    async def refresh() -> str | None:
        return next(answers)

    credential = Credential("hf_old", ORIGIN, refresh=refresh)
    assert await credential.renew(refused("hf_old"))
    assert credential.token_for(trail()) == "hf_new"
    assert await credential.renew(refused("hf_old"))
    assert not await credential.renew(refused("hf_new"))
    assert not await credential.renew(refused("hf_new"))
    assert not await credential.renew(refused(None))


def returning(token: str | None) -> Callable[[], Awaitable[str | None]]:
    async def refresh() -> str | None:
        return token

    return refresh


@pytest.mark.parametrize("found", [None, "", "hf_old", "with blank"])
async def test_a_look_up_that_brings_nothing_new_changes_nothing(found: str | None) -> None:
    credential = Credential("hf_old", ORIGIN, refresh=returning(found))
    assert not await credential.renew(refused("hf_old"))
    assert credential.token_for(trail()) == "hf_old"


def test_a_credential_does_not_print_its_token() -> None:
    assert TOKEN not in repr(Credential(TOKEN, ORIGIN))
