from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence

import pytest

from hfdl_async.core.model import Digest, ListedFile, RemoteFile, RepoRef, RequestCounts
from hfdl_async.core.retry import Policy
from hfdl_async.errors import (
    AccessError,
    GatedError,
    HfdlError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    UnsafeError,
)
from hfdl_async.net.hub import Hub
from hfdl_async.net.transport import Transport
from hfdl_async.serving import HostedRepo
from hfdl_async.serving.settings import READER_TOKEN, STRANGER_TOKEN, Settings
from hfdl_async.testing.faults import (
    Fault,
    FaultKind,
    ForeignLink,
    HtmlPage,
    LoopingCursor,
    RedirectLoop,
    Reset,
    StartHub,
    Status,
    Throttle,
    without_digests,
    without_field,
)
from tests.net.wire import COMMIT, TOKEN, ManualClock, Seen, raw_server, reply

pytestmark = pytest.mark.anyio
FILES = {"config.json": b"{}", "sub/model.bin": b"x" * 5000, "empty": b""}


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    async with Transport(ManualClock()) as transport:
        yield transport


def repo_of(endpoint: str, revision: str = "main", repo_id: str = "org/name") -> RepoRef:
    return RepoRef(repo_id, "model", revision, endpoint)


async def whole_listing(hub: Hub) -> dict[str, ListedFile]:
    _, commit = await hub.pin()
    return {file.path: file for file in (await hub.listing(commit)).files}


async def test_a_revision_is_pinned_by_one_request(hub: StartHub, transport: Transport) -> None:
    repo = HostedRepo.from_files("org/name", FILES)
    server = await hub(repo)
    ours = Hub(transport, repo_of(server.endpoint))
    pinned, commit = await ours.pin()
    assert (pinned, commit) == (repo_of(server.endpoint), repo.refs["refs/heads/main"])
    assert ours.contacted
    assert ours.requests() == RequestCounts(api=1)


async def test_a_pull_request_is_a_revision_like_any(hub: StartHub, transport: Transport) -> None:
    repo = HostedRepo.from_files("org/name", FILES)
    repo.refs["refs/pr/1"] = repo.refs["refs/heads/main"]
    server = await hub(repo)
    await Hub(transport, repo_of(server.endpoint, "refs/pr/1")).pin()
    assert [one.target for one in server.log] == ["/api/models/org/name/revision/refs%2Fpr%2F1"]


async def test_a_renamed_repo_is_followed_and_asked_by_its_new_name(
    hub: StartHub, transport: Transport
) -> None:
    server = await hub(HostedRepo.from_files("org/name", FILES, renamed_from=("old/name",)))
    ours = Hub(transport, repo_of(server.endpoint, repo_id="old/name"))
    pinned, commit = await ours.pin()
    assert pinned.repo_id == "org/name"
    server.log.clear()
    await ours.listing(commit)
    assert all("/org/name/" in one.target for one in server.log)
    assert len(server.log) == 1


async def test_a_rename_to_a_hostile_name_is_refused(transport: Transport) -> None:
    info = json.dumps({"sha": COMMIT, "id": "../../etc"}).encode()

    def say(one: Seen) -> bytes:
        if "moved" in one.target:
            return reply(200, info, Content_Type="application/json")
        return reply(307, Location="/moved")

    async with raw_server(say) as server:
        with pytest.raises(UnsafeError, match="odd name"):
            await Hub(transport, repo_of(server.origin)).pin()


async def test_a_listing_is_read_page_by_page_with_its_count(
    hub: StartHub, transport: Transport
) -> None:
    files = {f"d{n % 7}/f{n}.txt": b"x" * n for n in range(25)}
    repo = HostedRepo.from_files("org/name", files)
    server = await hub(repo, settings=Settings(page_size=10))
    ours = Hub(transport, repo_of(server.endpoint))
    _, commit = await ours.pin()
    counts: list[int] = []
    listing = await ours.listing(commit, counts.append)
    hosted = repo.commits[commit].files
    assert listing.commit == commit
    assert {file.path: (file.size_bytes, file.digest) for file in listing.files} == {
        path: (file.size, file.digest) for path, file in hosted.items()
    }
    assert counts == sorted(counts)
    assert counts[-1] == 25
    assert len(counts) == len(server.log.of("tree")) > 1


class TickingClock(ManualClock):
    """Each look takes a while, as if every answer did."""

    def monotonic(self) -> float:
        self.now += 0.1
        return self.now


async def test_folders_of_a_slow_hub_are_listed_side_by_side(hub: StartHub) -> None:
    files = {f"d {n // 100}/é{n:04}": b"x" for n in range(1000)}
    repo = HostedRepo.from_files("org/name", files)
    server = await hub(repo, settings=Settings(page_size=12))
    async with Transport(TickingClock()) as transport:
        ours = Hub(transport, repo_of(server.endpoint))
        assert list(await whole_listing(ours)) == sorted(files)
    targets = [one.target for one in server.log.of("tree")]
    commit = repo.refs["refs/heads/main"]
    tree = f"/api/models/org/name/tree/{commit}"
    assert targets.count(f"{tree}?recursive=false&expand=false") == 1
    assert targets.count(f"{tree}/d%209?recursive=true&expand=false") == 1
    assert sum(target.startswith(f"{tree}?recursive=true") for target in targets) < 40


async def test_a_long_page_is_parsed_to_the_same_values(
    hub: StartHub, transport: Transport
) -> None:
    files = {f"{'n' * 150}/{number}.txt": b"x" for number in range(900)}
    server = await hub(HostedRepo.from_files("org/name", files))
    listed = await whole_listing(Hub(transport, repo_of(server.endpoint)))
    assert set(listed) == set(files)


PERSONAS: list[tuple[dict[str, object], str | None, type[HfdlError]]] = [
    ({"private": True}, None, NotFoundError),
    ({"private": True}, "hf_unknown", HfdlError),
    ({"private": True}, STRANGER_TOKEN, NotFoundError),
]


@pytest.mark.parametrize(("settings", "token", "kind"), PERSONAS)
async def test_a_private_repo_looks_like_none_to_strangers(
    hub: StartHub,
    transport: Transport,
    settings: dict[str, bool],
    token: str | None,
    kind: type[HfdlError],
) -> None:
    server = await hub(HostedRepo.from_files("org/name", FILES, **settings))  # type: ignore[arg-type]
    for ours in (True, False):
        server.settings.code_on_401 = ours
        with pytest.raises(kind) as caught:
            await Hub(transport, repo_of(server.endpoint), token=token).pin()
        assert isinstance(caught.value, (NotFoundError, AccessError))
        assert caught.value.hint


async def test_the_right_token_opens_a_private_repo(hub: StartHub, transport: Transport) -> None:
    server = await hub(HostedRepo.from_files("org/name", FILES, private=True))
    listed = await whole_listing(Hub(transport, repo_of(server.endpoint), token=READER_TOKEN))
    assert set(listed) == set(FILES)


@pytest.mark.parametrize(
    ("revision", "repo_id"), [("nope", "org/name"), ("main", "org/missing"), ("main", "missing")]
)
async def test_what_does_not_exist_is_not_found(
    hub: StartHub, transport: Transport, revision: str, repo_id: str
) -> None:
    server = await hub(HostedRepo.from_files("org/name", FILES))
    with pytest.raises(NotFoundError):
        await Hub(transport, repo_of(server.endpoint, revision, repo_id)).pin()
    assert len(server.log) == 1


async def test_a_gated_repo_names_the_page_to_ask_on(hub: StartHub, transport: Transport) -> None:
    files = {"model.safetensors": b"x" * 3000}
    server = await hub(HostedRepo.from_files("org/name", files, gated="auto"))
    ours = Hub(transport, repo_of(server.endpoint), token=STRANGER_TOKEN)
    listed = await whole_listing(ours)
    assert listed["model.safetensors"].masked
    with pytest.raises(GatedError) as caught:
        await ours.measure(list(listed.values()))
    assert caught.value.url == f"{server.endpoint}/org/name"


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (HtmlPage(), NetworkError, "not a Hub"),
        (HtmlPage(404), NetworkError, "not a Hub"),
        (Status(403), AccessError, "HTTP 403"),
        (Status(451), AccessError, "legal"),
        (Status(400), NetworkError, "HTTP 400"),
        (RedirectLoop(), NetworkError, "circle|redirects"),
    ],
)
async def test_what_is_no_answer_of_a_hub_is_explained(
    hub: StartHub, transport: Transport, fault: FaultKind, kind: type[HfdlError], words: str
) -> None:
    server = await hub(HostedRepo.from_files("org/name", FILES))
    server.faults.add(Fault("api", fault))
    with pytest.raises(kind, match=words):
        await Hub(transport, repo_of(server.endpoint)).pin()


@pytest.mark.parametrize(
    "fault", [Status(503), Status(408), Reset(after=10), Throttle(2), Throttle(2, "nothing")]
)
async def test_what_may_pass_is_tried_again(
    hub: StartHub, transport: Transport, fault: FaultKind
) -> None:
    server = await hub(HostedRepo.from_files("org/name", FILES))
    server.faults.add(Fault("api", fault, times=2))
    ours = Hub(transport, repo_of(server.endpoint))
    assert set(await whole_listing(ours)) == set(FILES)
    assert ours.requests() == RequestCounts(api=4, retried=2)


async def test_tries_end_and_say_how_many_there_were(hub: StartHub, transport: Transport) -> None:
    server = await hub(HostedRepo.from_files("org/name", FILES))
    server.faults.add(Fault("api", Status(503)))
    with pytest.raises(NetworkError, match="gave up: 3 tries"):
        await Hub(transport, repo_of(server.endpoint), policy=Policy(max_retries=2)).pin()
    assert len(server.log) == 3


async def test_a_wait_that_is_stated_is_kept_by_the_next_page(
    hub: StartHub, transport: Transport
) -> None:
    server = await hub(HostedRepo.from_files("org/name", FILES), settings=Settings(page_size=1))
    server.faults.add(Fault("tree", Throttle(40), nth=2))
    before = transport.clock.monotonic()
    await whole_listing(Hub(transport, repo_of(server.endpoint)))
    assert transport.clock.monotonic() >= before + 40


async def test_a_listing_that_repeats_itself_ends(hub: StartHub, transport: Transport) -> None:
    server = await hub(HostedRepo.from_files("org/name", FILES), settings=Settings(page_size=1))
    server.faults.add(Fault("tree", LoopingCursor(server.endpoint)))
    with pytest.raises((NetworkError, UnsafeError)):
        await whole_listing(Hub(transport, repo_of(server.endpoint)))
    assert len(server.log.of("tree")) <= 3


async def test_pages_in_a_circle_end_even_when_they_are_empty(transport: Transport) -> None:
    def say(one: Seen) -> bytes:
        if len(server.seen) > 10:
            return reply(500)
        return reply(200, b"[]", Link='<?cursor=1>; rel="next"')

    async with raw_server(say) as server:
        with pytest.raises(NetworkError, match="in a circle"):
            await Hub(transport, repo_of(server.origin)).listing(COMMIT)
        assert len(server.seen) == 2


async def test_the_address_of_an_upstream_is_brought_home(
    hub: StartHub, transport: Transport
) -> None:
    server = await hub(HostedRepo.from_files("org/name", FILES), settings=Settings(page_size=1))
    server.faults.add(Fault("tree", ForeignLink()))
    ours = Hub(transport, repo_of(server.endpoint), token=READER_TOKEN)
    assert set(await whole_listing(ours)) == set(FILES)


async def test_a_next_page_at_a_stranger_is_refused_and_the_stranger_not_asked(
    transport: Transport,
) -> None:
    async with raw_server(lambda _: reply()) as stranger:

        def say(one: Seen) -> bytes:
            link = f'<{stranger.origin}/api/collect?cursor=2>; rel="next"'
            return reply(200, b"[]", Content_Type="application/json", Link=link)

        async with raw_server(say) as server:
            with pytest.raises(UnsafeError, match="next page"):
                await Hub(transport, repo_of(server.origin), token=TOKEN).listing(COMMIT)
        assert stranger.seen == []


async def test_a_name_listed_twice_is_refused(transport: Transport) -> None:
    entry = {"type": "file", "path": "a", "size": 1, "oid": "a" * 40}
    async with raw_server(lambda _: reply(200, json.dumps([entry, entry]).encode())) as server:
        with pytest.raises(UnsafeError, match="names a twice"):
            await Hub(transport, repo_of(server.origin)).listing(COMMIT)


async def test_an_answer_without_end_is_cut_off(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hfdl_async.net.hub.MAX_PAGE_BYTES", 1000)
    async with raw_server(lambda _: reply(200, b"[" + b" " * 5000)) as server:
        with pytest.raises(NetworkError, match="sent more than"):
            await Hub(transport, repo_of(server.origin)).listing(COMMIT)


def sizes(files: Sequence[RemoteFile]) -> dict[str, int]:
    return {file.path: file.size_bytes for file in files}


@pytest.mark.parametrize("direct", [True, False])
async def test_sizes_that_are_not_listed_are_asked_for(
    hub: StartHub, transport: Transport, direct: bool
) -> None:
    repo = HostedRepo.from_files("org/name", FILES, lfs_threshold_bytes=4000, direct=direct)
    server = await hub(repo)
    server.faults.add(Fault("tree", without_field("size")))
    ours = Hub(transport, repo_of(server.endpoint))
    listed = await whole_listing(ours)
    assert listed["config.json"].size_bytes is None
    measured = await ours.measure(list(listed.values()))
    assert sizes(measured) == {path: len(data) for path, data in FILES.items()}
    assert {one.method for one in server.log} == {"GET"}
    assert {one.range for one in server.log.of("resolve")} <= {"bytes=0-0"}


async def test_listed_sizes_cost_no_request(hub: StartHub, transport: Transport) -> None:
    server = await hub(HostedRepo.from_files("org/name", FILES))
    ours = Hub(transport, repo_of(server.endpoint))
    listed = await whole_listing(ours)
    server.log.clear()
    measured = await ours.measure(list(listed.values()))
    assert [file.path for file in measured] == list(listed)
    assert len(server.log) == 0


async def test_a_size_nobody_states_is_an_error(transport: Transport) -> None:
    file = ListedFile("a", None, Digest("git-sha1", "a" * 40))
    chunked = reply(200, b"1\r\nx\r\n0\r\n\r\n", Transfer_Encoding="chunked")
    async with raw_server(lambda _: chunked) as server:
        with pytest.raises(NetworkError, match="does not say its size"):
            await Hub(transport, repo_of(server.origin)).measure([file])


async def test_one_failed_measurement_is_the_error_and_no_group_of_errors(
    hub: StartHub, transport: Transport
) -> None:
    server = await hub(HostedRepo.from_files("org/name", FILES))
    server.faults.add(Fault("tree", without_field("size")))
    server.faults.add(Fault("resolve", Status(403)))
    ours = Hub(transport, repo_of(server.endpoint))
    listed = await whole_listing(ours)
    with pytest.raises(AccessError):
        await ours.measure(list(listed.values()))


async def test_a_mirror_that_publishes_no_digest_is_refused_unless_allowed(
    hub: StartHub, transport: Transport
) -> None:
    server = await hub(HostedRepo.from_files("org/name", FILES))
    server.faults.add(Fault("tree", without_digests()))
    repo = repo_of(server.endpoint)
    ours = Hub(transport, repo)
    listed = await whole_listing(ours)
    with pytest.raises(IntegrityError, match="publishes no digest"):
        await ours.measure(list(listed.values()))
    allowed = Hub(transport, repo, allow=frozenset({"unverified"}))
    measured = await allowed.measure(list(listed.values()))
    assert {file.digest for file in measured} == {None}
