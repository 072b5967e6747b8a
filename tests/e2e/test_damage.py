"""Wrong bytes, on the wire or on the disk: found, named, healed, and never under a final name."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from hfdl_async.core.ledger import CELL_BYTES
from hfdl_async.core.model import MB, MIB
from hfdl_async.core.state import Claim, decode_record
from hfdl_async.serving import HostedRepo, Settings
from hfdl_async.testing.faults import Fault, FlipByte
from tests.e2e.conftest import OpenShell, Serve
from tests.e2e.stage import (
    WEIGHTS,
    check_complete,
    check_final_names,
    files_of,
    final_files,
    flip_byte,
    hash_of,
    model,
    parts_of,
    payload,
    size_of,
    some_everyday,
    until,
)

pytestmark = pytest.mark.e2e

SIZE = 34 * MIB + 12_345  # several pieces, and the last cell is a short one
OFFSETS = {"first": 0, "at a border": CELL_BYTES, "inside": 21 * MIB + 7, "last": SIZE - 1}


@pytest.fixture
def repo() -> HostedRepo:
    return model(SIZE)


@pytest.mark.parametrize("where", some_everyday(OFFSETS, "inside", "last"))
def test_a_byte_wrong_every_time_gives_exit_6_and_no_file(
    serve: Serve, shell: OpenShell, place: Path, repo: HostedRepo, where: str
) -> None:
    hub = serve(repo)
    hub.faults.add(Fault("data", FlipByte(OFFSETS[where]), path=WEIGHTS))
    ended = shell(hub).run(repo.repo_id, "--local-dir", place / "d", "--json").check(6)
    assert check_final_names(place / "d", repo) == files_of(repo).keys() - {WEIGHTS}
    assert parts_of(place / "d") == []
    assert ended.report["status"] == "partial"
    failed = [file for file in ended.report["files"] if file["status"] == "failed"]
    assert [(file["path"], file["error"]["class"]) for file in failed] == [(WEIGHTS, "integrity")]
    assert files_of(repo)[WEIGHTS].digest.hex[:12] in ended.errors[0]  # what was expected
    assert len(ended.errors) == 2
    # One round of repair, not more: P18.
    assert payload(hub) <= size_of(repo) + SIZE


def test_a_small_file_wrong_every_time_gives_exit_6_and_no_file(
    serve: Serve, shell: OpenShell, place: Path, repo: HostedRepo
) -> None:
    hub = serve(repo)
    hub.faults.add(Fault("resolve cache", FlipByte(3), path="config.json"))
    ended = shell(hub).run(repo.repo_id, "--local-dir", place / "d").check(6)
    assert check_final_names(place / "d", repo) == files_of(repo).keys() - {"config.json"}
    assert parts_of(place / "d") == []
    assert ended.errors[0].startswith("error: config.json: ")


@pytest.mark.parametrize(
    ("where", "path", "offset"),
    [
        ("data", WEIGHTS, 0),
        ("data", WEIGHTS, 21 * MIB + 7),
        ("data", WEIGHTS, SIZE - 1),
        ("resolve cache", "config.json", 3),
    ],
)
def test_a_byte_wrong_once_gives_success(
    serve: Serve,
    shell: OpenShell,
    place: Path,
    repo: HostedRepo,
    where: str,
    path: str,
    offset: int,
) -> None:
    hub = serve(repo)
    hub.faults.add(Fault(where, FlipByte(offset), path=path, times=1))
    shell(hub).run(repo.repo_id, "--local-dir", place / "d").check()
    assert len(hub.faults.fired) == 1
    check_complete(place / "d", repo)
    assert payload(hub) <= 2 * size_of(repo)


# -- between two runs ----------------------------------------------------------------------


def claims_of(folder: Path) -> tuple[Path, tuple[Claim, ...]]:
    """Return the one part in *folder* and what its record claims."""
    part, record = (
        next(path for path in parts_of(folder) if path.suffix == suffix)
        for suffix in (".part", ".json")
    )
    return part, decode_record(record.read_bytes()).claims


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("keep_mtime", [False, True])
def test_a_byte_flipped_in_a_part_costs_one_cell(
    serve: Serve, shell: OpenShell, place: Path, repo: HostedRepo, keep_mtime: bool
) -> None:
    hub = serve(repo, settings=Settings(rate_bytes_per_second=60 * MB))
    words = (repo.repo_id, "--local-dir", place / "d")
    with shell(hub).start(*words) as running:
        until(lambda: payload(hub) > 24 * MIB, running)
        running.send(signal.SIGINT)
        running.wait().check(130)
    part, claims = claims_of(place / "d")
    claimed = sum(claim.length for claim in claims)
    victim = claims[len(claims) // 2]
    flip_byte(part, victim.cell * CELL_BYTES + victim.length // 2, keep_mtime=keep_mtime)
    small = sum(path.stat().st_size for path in final_files(place / "d").values())
    sent = payload(hub)
    report = shell(hub).run(*words, "--json").check().report
    check_complete(place / "d", repo)
    assert report["bytes"]["resumed"] == claimed - victim.length
    assert report["bytes"]["downloaded"] == size_of(repo) - small - claimed + victim.length
    assert payload(hub) - sent == report["bytes"]["downloaded"]
    assert victim.length <= CELL_BYTES == 8 * MIB


HARMS = ("cut", "longer", "gone", "zeroed", "another file")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("harm", some_everyday(HARMS, "longer", "zeroed"))
def test_a_part_that_is_not_what_it_was_costs_bytes_and_nothing_else(
    serve: Serve, shell: OpenShell, place: Path, repo: HostedRepo, harm: str
) -> None:
    hub = serve(repo, settings=Settings(rate_bytes_per_second=60 * MB))
    words = (repo.repo_id, "--local-dir", place / "d")
    with shell(hub).start(*words) as running:
        until(lambda: payload(hub) > 20 * MIB, running)
        running.send(signal.SIGINT)
        running.wait().check(130)
    hub.settings.rate_bytes_per_second = None
    part, _ = claims_of(place / "d")
    if harm == "cut":
        os.truncate(part, MIB)
    elif harm == "longer":
        with part.open("ab") as file:
            file.write(bytes(MIB))
    elif harm == "gone":
        part.unlink()
    elif harm == "zeroed":
        part.write_bytes(bytes(part.stat().st_size))
    else:
        part.unlink()
        part.write_bytes(b"not a part")
    report = shell(hub).run(*words, "--json").check().report
    check_complete(place / "d", repo)
    assert (report["bytes"]["resumed"] > 0) == (harm == "longer")


# -- in a finished file --------------------------------------------------------------------


@pytest.mark.parametrize(("offset", "keep_mtime"), [(11 * MIB, True), (SIZE - 1, False)])
def test_verify_finds_a_flipped_byte_and_heals_it_for_one_cell(
    serve: Serve, shell: OpenShell, place: Path, repo: HostedRepo, keep_mtime: bool, offset: int
) -> None:
    hub, target = serve(repo), place / "d"
    here = shell(hub)
    here.run(repo.repo_id, "--local-dir", target).check()
    flip_byte(target / WEIGHTS, offset, keep_mtime=keep_mtime)

    assert f"bad: {WEIGHTS} " in here.run("verify", target, "--offline").check(6).out
    report = here.run("verify", target, "--json").check(6).report
    assert report["status"] == "bad"
    (bad,) = [file for file in report["files"] if file["status"] != "ok"]
    assert (bad["path"], bad["status"]) == (WEIGHTS, "bad")
    assert bad["expected"]["hex"] == files_of(repo)[WEIGHTS].digest.hex
    assert bad["found"]["hex"] in hash_of(target / WEIGHTS)

    sent = payload(hub)
    healed = here.run("verify", target, "--repair", "--json").check().report
    assert [f["path"] for f in healed["files"] if f["status"] == "repaired"] == [WEIGHTS]
    assert 0 < payload(hub) - sent <= CELL_BYTES
    check_complete(target, repo)


def test_verify_finds_and_fetches_a_file_that_is_gone(
    serve: Serve, shell: OpenShell, place: Path, repo: HostedRepo
) -> None:
    hub, target = serve(repo), place / "d"
    here = shell(hub)
    here.run(repo.repo_id, "--local-dir", target).check()
    (target / "config.json").unlink()
    assert "missing: config.json" in here.run("verify", target).check(6).out
    sent = payload(hub)
    assert "repaired: config.json" in here.run("verify", target, "--repair").check().out
    assert payload(hub) - sent == files_of(repo)["config.json"].size
    check_complete(target, repo)


def test_what_cannot_be_repaired_stays_bad_and_says_so(
    serve: Serve, shell: OpenShell, place: Path, repo: HostedRepo
) -> None:
    hub, target = serve(repo), place / "d"
    here = shell(hub)
    here.run(repo.repo_id, "--local-dir", target).check()
    flip_byte(target / WEIGHTS, 5, keep_mtime=True)
    hub.faults.add(Fault("data", FlipByte(6), path=WEIGHTS))
    assert f"bad: {WEIGHTS} " in here.run("verify", target, "--repair").check(6).out
    hub.faults.clear()
    here.run("verify", target, "--repair").check()
    check_complete(target, repo)


def test_a_normal_run_replaces_rot_and_names_it(
    serve: Serve, shell: OpenShell, place: Path, repo: HostedRepo
) -> None:
    hub, target = serve(repo), place / "d"
    here = shell(hub)
    here.run(repo.repo_id, "--local-dir", target).check()
    flip_byte(target / WEIGHTS, 5, keep_mtime=True)
    left = here.run(repo.repo_id, "--local-dir", target, "--verify").check(6)
    assert WEIGHTS in left.errors[0]
    sent = payload(hub)
    ended = here.run(repo.repo_id, "--local-dir", target).check()
    assert f"warning: {WEIGHTS}: " in ended.err
    assert payload(hub) - sent <= CELL_BYTES
    check_complete(target, repo)


def test_a_file_that_somebody_changed_is_replaced_only_on_request(
    serve: Serve, shell: OpenShell, place: Path, repo: HostedRepo
) -> None:
    hub, target = serve(repo), place / "d"
    here = shell(hub)
    here.run(repo.repo_id, "--local-dir", target).check()
    changed = b"mine now\n"
    (target / "config.json").write_bytes(changed)
    sent = payload(hub)
    ended = here.run(repo.repo_id, "--local-dir", target).check(8)
    assert "config.json" in ended.errors[0]
    assert (target / "config.json").read_bytes() == changed
    assert payload(hub) == sent
    here.run(repo.repo_id, "--local-dir", target, "--fix-broken").check()
    check_complete(target, repo)
