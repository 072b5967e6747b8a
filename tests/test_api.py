from __future__ import annotations

import asyncio
from pathlib import Path

import anyio
import pytest

from hfdl_async import Downloader, HfdlError, Report, download, plan, status, verify
from hfdl_async.core.control.replay import replay
from hfdl_async.display import Display
from hfdl_async.errors import (
    BusyError,
    IntegrityError,
    NetworkError,
    NotFoundError,
    StorageError,
    UnsafeError,
    UsageError,
)
from hfdl_async.events import (
    ConcurrencyChanged,
    Event,
    FilePublished,
    FileVerified,
    Finished,
    PlanMade,
    Progress,
    RateLimited,
)
from hfdl_async.serving import Settings
from hfdl_async.testing.faults import Fault, FlipByte, StartHub, Status, Throttle
from tests.repos import MIB, big_repo, small_files, tiny_repo

pytestmark = pytest.mark.anyio


def contents(folder: Path) -> dict[str, bytes]:
    """Return every file below *folder* that is not ours."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in (".download_state", ".cache")
    }


async def test_downloads_a_whole_repo_byte_for_byte(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    report = await download("org/tiny", directory=tmp_path, endpoint=running.endpoint)
    assert contents(Path(report)) == small_files()
    assert (report.status, report.exit_code) == ("ok", 0)
    assert Path(report) == tmp_path / "tiny"
    assert report["config.json"] == tmp_path / "tiny" / "config.json"
    with pytest.raises(KeyError):
        report["nothing.txt"]


async def test_the_trace_of_a_run_replays_to_the_decisions_it_made(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(big_repo(), settings=Settings(rate_per_connection=4 * MIB))
    trace, events = tmp_path / "trace", list[Event]()
    report = await download(
        "org/big",
        local_dir=tmp_path / "big",
        endpoint=running.endpoint,
        trace_controller=trace,
        on_event=events.append,
    )
    assert report.status == "ok"
    replayed = list(replay(trace.read_text().splitlines()))
    assert len(replayed) > 1
    assert all(each.agrees for each in replayed)
    changes = [event for event in events if isinstance(event, ConcurrencyChanged)]
    assert changes[0].reason == "start"  # before anything was sampled
    changes = changes[1:]
    traced = [(each.decision.target, each.decision.reason) for each in replayed]
    assert {(change.connections, change.reason) for change in changes} <= set(traced)


async def test_a_trace_that_cannot_be_written_is_told_before_anything_is_asked(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(tiny_repo())
    with pytest.raises(StorageError, match="no-folder"):
        await download(
            "org/tiny",
            local_dir=tmp_path / "tiny",
            endpoint=running.endpoint,
            trace_controller=tmp_path / "no-folder" / "trace",
        )
    assert not running.log.entries
    assert not (tmp_path / "tiny").exists()


async def test_the_trace_belongs_to_the_downloader(hub: StartHub, tmp_path: Path) -> None:
    async with Downloader() as downloader:
        with pytest.raises(UsageError, match="trace_controller"):
            downloader.start("org/tiny", trace_controller=tmp_path / "trace")


async def test_asks_once_per_file_and_never_with_head(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    report = await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    assert {entry.method for entry in running.log.entries} == {"GET"}
    # Six files: one is empty and one has the content of another.
    assert (report.requests.api, report.requests.resolve) == (2, 4)
    assert report.bytes.downloaded == sum(
        len(data) for path, data in small_files().items() if path != "copy/model.safetensors"
    )


async def test_a_second_run_fetches_nothing(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    running.log.clear()
    report = await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    assert {file.status for file in report.files} == {"reused"}
    assert report.bytes.reused == report.bytes.selected
    assert not running.log.of("resolve")
    assert not running.log.of("data")


async def test_selects_by_name_folder_and_pattern(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())

    async def paths(files: list[str] | str | None, **options: list[str]) -> set[str]:
        made = await plan(
            "org/tiny",
            files,
            local_dir=tmp_path,
            endpoint=running.endpoint,
            include=options.get("include", []),
            exclude=options.get("exclude", []),
        )
        return {item.file.path for item in made.files}

    assert await paths("config.json") == {"config.json"}
    assert await paths(["nested/"]) == {"nested/vocab.txt", "nested/empty.txt"}
    assert await paths(None, include=["*.json"]) == {"config.json"}
    assert await paths(["README.md"], include=["*.json"]) == {"README.md", "config.json"}
    assert await paths(None, exclude=["*.safetensors", "nested/*"]) == {"README.md", "config.json"}
    assert await paths(["nested/"], exclude=["*empty*"]) == {"nested/vocab.txt"}
    for nothing in (["no-such.txt"], ["nested"]):
        with pytest.raises(NotFoundError, match=nothing[0]):
            await paths(nothing)
    with pytest.raises(NotFoundError, match="nothing"):
        await paths(None, include=["*.gguf"])


async def test_a_plan_writes_nothing_and_asks_for_no_content(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    made = await plan("org/tiny", directory=tmp_path, endpoint=running.endpoint)
    assert made.bytes_to_fetch == made.bytes_selected - 3 * MIB
    assert made.bytes_to_write == made.bytes_selected
    assert made.problems == ()
    assert list(tmp_path.iterdir()) == []
    assert not running.log.of("resolve")
    assert made.to_dict()["status"] == "planned"


async def test_a_plan_lists_problems_that_a_download_refuses(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "config.json").mkdir()
    made = await plan("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    assert {(problem.path, problem.kind) for problem in made.problems} == {
        ("README.md", "unsafe"),
        ("config.json", "storage"),
    }
    with pytest.raises(HfdlError) as caught:
        await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    assert caught.value.exit_code == 10
    assert not running.log.of("resolve"), "content was asked for although the plan has problems"
    assert (tmp_path / "README.md").read_text() == "mine"


async def test_a_foreign_file_stays_unless_forced(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(UnsafeError, match=r"README\.md"):
        await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint, exclude="README.md")
    assert (tmp_path / "README.md").read_text() == "mine"
    await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint, force=True)
    assert contents(tmp_path) == small_files()


async def test_events_reach_callback_and_reader_in_order(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    called: list[Event] = []
    async with Downloader(endpoint=running.endpoint, local_dir=tmp_path) as downloader:
        job = downloader.start("org/tiny", on_event=called.append)
        report = await job.wait()
        read = [event async for event in job.events()]
    kinds = [type(event) for event in read]
    assert kinds[0] is PlanMade
    assert kinds[-1] is Finished
    assert kinds.count(FilePublished) == 6
    assert kinds.count(FileVerified) == 5  # the twin is a copy
    assert [event for event in called if isinstance(event, FilePublished)] == [
        event for event in read if isinstance(event, FilePublished)
    ]
    assert isinstance(read[-1], Finished)
    assert read[-1].report == report


async def test_equal_downloads_share_one_run(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    async with Downloader(endpoint=running.endpoint, local_dir=tmp_path) as downloader:
        first, second = downloader.start("org/tiny"), downloader.start("org/tiny")
        assert await first.wait() == await second.wait()
    assert len(running.log.of("resolve", "config.json")) == 1


async def test_cancelling_one_of_two_does_not_stop_the_other(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo(), settings=Settings(latency_seconds=0.05))
    async with Downloader(endpoint=running.endpoint, local_dir=tmp_path) as downloader:
        first, second = downloader.start("org/tiny"), downloader.start("org/tiny")
        await anyio.sleep(0.06)
        await first.cancel()
        assert (await second.wait()).status == "ok"


async def test_leaving_the_block_cancels_saves_and_goes_on_later(
    hub: StartHub, tmp_path: Path
) -> None:
    repo = big_repo()
    running = await hub(repo, settings=Settings(rate_bytes_per_second=60 * MIB))
    async with Downloader(endpoint=running.endpoint, local_dir=tmp_path) as downloader:
        async with downloader.start("org/big") as job:
            while job.snapshot().bytes_from_wire < 12 * MIB:
                await anyio.sleep(0.01)
        assert job.report is not None
        assert job.report.status == "interrupted"
        assert not (tmp_path / "model.safetensors").exists()
        with pytest.raises(asyncio.CancelledError):
            await job.wait()
    report = await download("org/big", local_dir=tmp_path, endpoint=running.endpoint)
    assert report.bytes.resumed >= 1 * MIB
    here = report.bytes.resumed + report.bytes.downloaded + report.bytes.reused
    assert here == report.bytes.selected
    assert {file.path: file.status for file in report.files}["model.safetensors"] == "resumed"


async def test_a_cancelled_caller_gets_its_cancellation_and_the_state_is_saved(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(big_repo(), settings=Settings(rate_bytes_per_second=60 * MIB))

    async def caller() -> Report:
        return await download("org/big", local_dir=tmp_path, endpoint=running.endpoint)

    task = asyncio.get_running_loop().create_task(caller())
    while running.log.sent["data"] < 16 * MIB:
        await anyio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list((tmp_path / ".download_state" / "parts").glob("*.json"))
    report = await download("org/big", local_dir=tmp_path, endpoint=running.endpoint)
    assert report.bytes.resumed > 0


class BrokenDisplay:
    """A display that fails at the end, when everything else is over."""

    beat_seconds = 0.001

    def open(self, title: str) -> None:
        """Do nothing."""

    def draw(self, snapshot: object, facts: object) -> None:
        """Do nothing."""

    def close(self, snapshot: object, facts: object) -> None:
        raise OSError("the terminal is gone")


async def test_a_display_that_fails_at_the_end_holds_nobody_up(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(tiny_repo())
    display: Display = BrokenDisplay()
    async with Downloader(endpoint=running.endpoint) as downloader:
        for name in "ab":  # the second one shows that the downloader lives on
            with anyio.fail_after(20):
                report = await downloader.download(
                    "org/tiny", local_dir=tmp_path / name, display=display
                )
            assert report.status == "ok"


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
async def test_a_callback_that_cancels_ends_its_download_and_no_other(
    error: type[BaseException], hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(tiny_repo())

    def ending(event: Event) -> None:
        if isinstance(event, FilePublished):
            raise error

    async with Downloader(endpoint=running.endpoint) as downloader:
        job = downloader.start("org/tiny", local_dir=tmp_path / "a", on_event=ending)
        other = downloader.start("org/tiny", local_dir=tmp_path / "b")
        with pytest.raises(error):
            await job.wait()
        assert (await other.wait()).status == "ok"
    assert job.report is not None
    assert (job.report.status, job.report.exit_code) == ("interrupted", 130)
    assert {file.path for file in job.report.files} == set(small_files())
    assert sum(file.size_bytes for file in job.report.files) == job.report.bytes.selected
    here = {file.path for file in job.report.files if file.error is None}
    assert set(contents(tmp_path / "a")) == here


async def test_entering_that_is_cut_short_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await Downloader().__aenter__()
    assert asyncio.all_tasks() == before


async def test_one_failing_file_does_not_stop_the_others(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    running.faults.add(Fault("resolve cache", Status(503), path="config.json"))
    with pytest.raises(NetworkError, match=r"config\.json") as caught:
        await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint, max_retries=0)
    report = caught.value.report
    assert report is not None
    assert (report.status, report.exit_code) == ("partial", 5)
    assert {file.path for file in report.files if file.error} == {"config.json"}
    assert set(contents(tmp_path)) == set(small_files()) - {"config.json"}


async def test_bytes_wrong_every_time_are_never_published(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    running.faults.add(Fault("data", FlipByte(1000), path="model.safetensors"))
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        await download(
            "org/tiny", ["model.safetensors"], local_dir=tmp_path, endpoint=running.endpoint
        )
    assert contents(tmp_path) == {}
    assert len(running.log.of("data")) == 2, "once, and once more over fresh connections"


async def test_bytes_wrong_once_are_fetched_again(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    running.faults.add(Fault("data", FlipByte(1000), path="model.safetensors", times=1))
    await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    assert contents(tmp_path) == small_files()


async def test_a_rate_limit_is_waited_out_and_told(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    running.faults.add(Fault("resolve", Throttle(seconds=1), times=1))
    called: list[Event] = []
    report = await download(
        "org/tiny", local_dir=tmp_path, endpoint=running.endpoint, on_event=called.append
    )
    assert report.status == "ok"
    limited = [event for event in called if isinstance(event, RateLimited)]
    assert len(limited) == 1
    assert limited[0].wait_seconds == pytest.approx(1.0, abs=0.2)


async def test_a_busy_folder_is_refused_or_waited_for(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(big_repo(), settings=Settings(rate_bytes_per_second=40 * MIB))
    async with Downloader(endpoint=running.endpoint, local_dir=tmp_path) as downloader:
        first = downloader.start("org/big")
        while first.snapshot().phase != "downloading":
            await anyio.sleep(0.01)
        with pytest.raises(BusyError, match="process"):
            await downloader.download("org/big", ["config.json"], wait=0)
        second = downloader.start("org/big", ["config.json"])
        while second.snapshot().phase != "waiting":
            await anyio.sleep(0.01)
        await first.wait()
        assert (await second.wait()).bytes.reused == 2


async def test_verify_finds_and_repairs_what_rotted(hub: StartHub, tmp_path: Path) -> None:
    repo = big_repo()
    running = await hub(repo)
    await download("org/big", local_dir=tmp_path, endpoint=running.endpoint)
    target = tmp_path / "model.safetensors"
    good = target.read_bytes()
    with target.open("r+b") as file:
        file.seek(20 * MIB)
        file.write(bytes([good[20 * MIB] ^ 1]))
    (tmp_path / "config.json").unlink()
    for offline in (True, False):
        found = await verify(tmp_path, endpoint=running.endpoint, offline=offline)
        assert (found.status, found.exit_code) == ("bad", 6)
        assert {file.path: file.status for file in found.files} == {
            "config.json": "missing",
            "model.safetensors": "bad",
        }
    running.log.clear()
    healed = await verify(tmp_path, endpoint=running.endpoint, repair=True)
    assert {file.status for file in healed.files} == {"repaired"}
    assert healed.exit_code == 0
    assert target.read_bytes() == good
    # A cell, and nothing else of the 40 MiB, is fetched again.
    assert sum(entry.bytes_sent for entry in running.log.of("data")) <= 8 * MIB + 4096
    assert (await verify(tmp_path, offline=True)).status == "ok"


async def test_verify_misses_what_was_asked_for_and_never_came(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(tiny_repo())
    running.faults.add(Fault("data", Status(503), path="*model.safetensors"))
    with pytest.raises(NetworkError):
        await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint, max_retries=0)
    running.faults.clear()
    for offline in (True, False):
        found = await verify(tmp_path, endpoint=running.endpoint, offline=offline)
        missing = {file.path for file in found.files if file.status == "missing"}
        assert missing == {"model.safetensors", "copy/model.safetensors"}
        assert found.exit_code == 6
    healed = await verify(tmp_path, endpoint=running.endpoint, repair=True)
    assert healed.exit_code == 0
    assert contents(tmp_path) == small_files()


async def test_verify_says_so_where_nothing_was_downloaded(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothing"):
        await verify(tmp_path, offline=True)


async def test_status_lists_what_is_complete_and_unfinished(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    await download("org/tiny", directory=tmp_path, endpoint=running.endpoint)
    folders = status(tmp_path).to_dict()["folders"]
    assert isinstance(folders, list)
    assert [(row["repo_id"], row["complete"]["files"]) for row in folders] == [("org/tiny", 6)]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"conections": 3}, "connections"),
        ({"chunk_size": "many"}, "chunk_size"),
        ({"allow": ["everything"]}, "allow"),
    ],
)
async def test_impossible_options_are_refused_before_any_request(
    options: dict[str, object], match: str
) -> None:
    with pytest.raises(UsageError) as caught:
        await download("org/tiny", endpoint="http://127.0.0.1:9", **options)  # type: ignore[arg-type]
    assert match in f"{caught.value.message} {caught.value.hint}"


async def test_a_downloader_is_of_use_only_while_it_is_open() -> None:
    downloader = Downloader()
    with pytest.raises(RuntimeError, match="async with"):
        downloader.start("org/tiny")


async def test_offline_uses_what_is_here_and_nothing_else(
    hub: StartHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = await hub(tiny_repo())
    await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    running.log.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    report = await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    assert report.status == "ok"
    assert running.log.entries == []
    (tmp_path / "config.json").unlink()
    with pytest.raises(NotFoundError, match=r"offline.*config\.json"):
        await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)


async def test_content_is_taken_over_from_another_folder(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    await download("org/tiny", local_dir=tmp_path / "a", endpoint=running.endpoint)
    report = await download(
        "org/tiny",
        local_dir=tmp_path / "b",
        endpoint=running.endpoint,
        reuse_from=tmp_path / "a",
        link="hard",
    )
    assert report.bytes.downloaded == 0
    assert contents(tmp_path / "b") == small_files()


async def test_a_run_takes_the_commit_of_its_start(hub: StartHub, tmp_path: Path) -> None:
    repo = tiny_repo()
    assert repo.head is not None
    old = repo.head.oid
    running = await hub(repo)
    first = await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    assert first.commit == old
    files = {path: data for path, data in small_files().items() if path != "README.md"}
    new = repo.commit({**files, "config.json": b"{}"}, branch="main")
    report = await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    assert report.commit == new
    assert (tmp_path / "config.json").read_bytes() == b"{}"
    assert any("README.md" in warning for warning in report.warnings)
    assert report.bytes.downloaded == 2


async def test_a_limit_is_told_and_can_be_changed_while_a_download_runs(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(big_repo())
    events = list[Event]()
    async with Downloader(bandwidth="100kB", endpoint=running.endpoint) as downloader:
        assert downloader.bandwidth == "100kB"
        async with downloader.start("org/big", local_dir=tmp_path, on_event=events.append) as job:
            while not any(isinstance(event, Progress) for event in events):
                await anyio.sleep(0.01)
            assert job.snapshot().limit_bytes_per_second == 100e3
            with pytest.raises(UsageError, match="bandwidth"):
                downloader.bandwidth = "fast"
            assert downloader.bandwidth == "100kB"
            downloader.bandwidth = None  # at the old rate this would take minutes
            with anyio.fail_after(60):
                assert (await job.wait()).status == "ok"
        assert job.snapshot().limit_bytes_per_second is None
    limits = {one.limit_bytes_per_second for one in events if isinstance(one, Progress)}
    assert limits == {100e3, None}


async def test_the_limit_belongs_to_the_downloader(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(tiny_repo())
    async with Downloader(endpoint=running.endpoint) as downloader:
        with pytest.raises(UsageError, match="belongs to the Downloader"):
            downloader.start("org/tiny", local_dir=tmp_path, bandwidth="1MB")
    report = await download(
        "org/tiny", local_dir=tmp_path, endpoint=running.endpoint, bandwidth="50MB"
    )
    assert report.status == "ok"
