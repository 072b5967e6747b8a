from __future__ import annotations

from pathlib import Path

import pytest

from hfdl_async import download, verify
from hfdl_async.errors import NotFoundError
from hfdl_async.serving import HostedRepo
from hfdl_async.testing.faults import Fault, StartHub, Status, without_digests

pytestmark = pytest.mark.anyio

FILES = {"a.txt": b"aaa", "b.txt": b"bbb", "c.txt": b"ccc"}


async def statuses(folder: Path, **options: object) -> dict[str, str]:
    report = await verify(folder, **options)  # type: ignore[arg-type]
    return {file.path: file.status for file in report.files}


def damage(path: Path) -> None:
    path.write_bytes(bytes(len(path.read_bytes())))


async def test_a_folder_of_nobody_cannot_be_checked(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="holds nothing"):
        await verify(tmp_path, offline=True)


async def test_what_the_hub_publishes_counts_and_our_receipt_where_it_is_silent(
    hub: StartHub, tmp_path: Path
) -> None:
    running = await hub(HostedRepo.from_files("org/one", FILES))
    running.faults.add(Fault("tree", without_digests()))
    asked = {"endpoint": running.endpoint, "allow": ["unverified"]}
    await download("org/one", local_dir=tmp_path, **asked)  # type: ignore[arg-type]
    good = dict.fromkeys(FILES, "ok")
    assert await statuses(tmp_path, **asked) == good
    assert await statuses(tmp_path, offline=True) == good
    damage(tmp_path / "a.txt")
    assert await statuses(tmp_path, **asked) == {**good, "a.txt": "bad"}
    report = await verify(tmp_path, offline=True, allow=["unverified"])
    assert any("--allow unverified" in warning for warning in report.warnings)


@pytest.mark.parametrize("offline", [False, True])
async def test_files_that_the_repo_lost_do_not_keep_the_others_from_repair(
    offline: bool, hub: StartHub, tmp_path: Path
) -> None:
    repo = HostedRepo.from_files("org/one", FILES)
    running = await hub(repo)
    await download("org/one", local_dir=tmp_path, endpoint=running.endpoint)
    repo.commit({"a.txt": b"aaa", "b.txt": b"bbb"}, branch="main")
    await download("org/one", local_dir=tmp_path, endpoint=running.endpoint)
    damage(tmp_path / "a.txt")
    damage(tmp_path / "c.txt")
    repaired = await statuses(tmp_path, endpoint=running.endpoint, repair=True, offline=offline)
    assert repaired == {"a.txt": "repaired", "b.txt": "ok", "c.txt": "bad"}
    assert (tmp_path / "a.txt").read_bytes() == b"aaa"
    running.log.clear()
    again = await statuses(tmp_path, endpoint=running.endpoint, repair=True)
    assert again == {"a.txt": "ok", "b.txt": "ok", "c.txt": "bad"}
    assert not running.log.of("resolve")


async def test_why_a_repair_failed_is_told(hub: StartHub, tmp_path: Path) -> None:
    running = await hub(HostedRepo.from_files("org/one", FILES))
    await download("org/one", local_dir=tmp_path, endpoint=running.endpoint)
    damage(tmp_path / "a.txt")
    running.faults.add(Fault("resolve", Status(503)))
    report = await verify(tmp_path, endpoint=running.endpoint, repair=True, max_retries=0)
    assert report.exit_code == 6
    [warning] = [text for text in report.warnings if "repaired" in text]
    assert "a.txt" in warning
