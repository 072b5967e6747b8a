from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from hfdl_async import Downloader, HfdlError, Report, download
from hfdl_async.core.model import ByteRange, RemoteFile
from hfdl_async.errors import NotFoundError, StorageError, UnsafeError
from hfdl_async.running import Nowhere
from hfdl_async.serving import HostedRepo
from hfdl_async.testing.faults import Fault, FlipByte, StartHub
from tests.repos import small_files, tiny_repo

pytestmark = pytest.mark.anyio


async def report_of_refused(error: type[HfdlError], repo: str, **options: object) -> Report:
    with pytest.raises(error) as caught:
        await download(repo, **options)  # type: ignore[arg-type]
    assert caught.value.report is not None
    return caught.value.report


async def test_a_refused_run_reports_what_was_known(hub: StartHub, tmp_path: Path) -> None:
    repo = HostedRepo.from_files("org/one", {"a.pt": b"hello", "b.json": b"{}"})
    assert repo.head is not None
    running = await hub(repo)
    place = tmp_path / "full"
    for error, options in (
        (StorageError, {"min_free_space": "9000TB"}),
        (UnsafeError, {}),
    ):
        (tmp_path / "foreign").mkdir(exist_ok=True)
        if error is UnsafeError:
            place = tmp_path / "foreign"
            (place / "b.json").write_text("mine")
        report = await report_of_refused(
            error, "org/one", local_dir=place, endpoint=running.endpoint, **options
        )
        assert (report.status, report.exit_code) == ("failed", error.exit_code)
        assert (report.commit, report.path) == (repo.head.oid, place)
        assert any("a.pt" in warning for warning in report.warnings)


async def test_of_a_repo_that_is_not_there_no_commit_is_known(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(tiny_repo())
    report = await report_of_refused(
        NotFoundError, "org/no", local_dir=tmp_path, endpoint=running.endpoint
    )
    assert report.commit is None
    assert report.repo.repo_id == "org/no"


async def test_two_repos_of_one_name_never_share_a_folder(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(
        HostedRepo.from_files("x/model", {"x.txt": b"x"}),
        HostedRepo.from_files("y/model", {"y.txt": b"y"}),
    )
    refused: list[HfdlError] = []

    async with Downloader(directory=tmp_path, endpoint=running.endpoint) as downloader:

        async def one(repo: str) -> None:
            try:
                await downloader.download(repo)
            except UnsafeError as error:
                refused.append(error)

        async with anyio.create_task_group() as group:
            for repo in ("x/model", "y/model"):
                group.start_soon(one, repo)
    assert len(refused) == 1
    assert len([path for path in (tmp_path / "model").iterdir() if path.is_file()]) == 1


async def test_every_download_of_a_downloader_may_have_its_own_destination(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(tiny_repo())
    async with Downloader(directory=tmp_path, endpoint=running.endpoint) as downloader:
        report = await downloader.download("org/tiny", "README.md", local_dir=tmp_path / "here")
    assert (tmp_path / "here/README.md").read_bytes() == small_files()["README.md"]
    assert report.path == tmp_path / "here"


async def test_nowhere_has_nothing() -> None:
    nowhere = Nowhere()
    with pytest.raises(NotFoundError, match="offline, and a is not here"):
        async with nowhere.open(RemoteFile("a", 1, None), ByteRange(0, 1)):
            pass
    assert nowhere.requests().resolve == 0
    assert nowhere.describe_hold() == ""


async def test_the_report_says_what_was_removed_and_what_was_not(
    hub: StartHub, tmp_path: Path
) -> None:
    repo = tiny_repo()
    running = await hub(repo)
    await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    repo.commit({"config.json": b"{}", "nested/vocab.txt": small_files()["nested/vocab.txt"]})
    (tmp_path / "README.md").write_bytes(b"mine now")
    report = await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint, prune=True)
    removed = "copy/model.safetensors, model.safetensors, nested/empty.txt"
    assert report.warnings == (
        f"removed 3 files that are no longer in the repo: {removed}",
        "kept, since somebody changed them, 1 file that is no longer in the repo: README.md",
    )
    assert not (tmp_path / "copy").exists()


async def test_a_run_that_fails_removes_nothing(hub: StartHub, tmp_path: Path) -> None:
    repo = tiny_repo()
    running = await hub(repo)
    await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint)
    repo.commit({"config.json": b"{}"})
    running.faults.add(Fault("resolve cache data", FlipByte(0)))
    with pytest.raises(HfdlError):
        await download("org/tiny", local_dir=tmp_path, endpoint=running.endpoint, prune=True)
    for name, data in small_files().items():
        assert (tmp_path / name).read_bytes() == data
