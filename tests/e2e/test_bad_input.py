"""Bad input gets a clear two-line error and the right exit code, and nothing is lost."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hfdl_async.core.model import MB, MIB
from hfdl_async.serving import READER_TOKEN, STRANGER_TOKEN, HostedRepo, Settings
from hfdl_async.testing.faults import (
    Body,
    Fault,
    FaultKind,
    FlipByte,
    HtmlPage,
    ScriptedHub,
    Status,
    hostile_names,
    without_digests,
)
from tests.e2e.conftest import OpenShell, Serve
from tests.e2e.stage import (
    WEIGHTS,
    Ended,
    check_complete,
    check_final_names,
    content_requests,
    files_of,
    final_files,
    model,
    parts_of,
    payload,
    small_disk,
    some_everyday,
    until,
)

pytestmark = pytest.mark.e2e

SMALL = 2 * MIB
QUICK = ("--max-retries", "0", "--give-up-after", "0")
UNKNOWN_TOKEN = "hf_nobody_knows_this_one"
OWN = b"written by hand, long before\n"


def two_lines(ended: Ended) -> tuple[str, str]:
    """Return error and hint, and insist on exactly one of each."""
    assert "Traceback" not in ended.err
    assert len(ended.errors) == 2, str(ended)
    error, hint = ended.errors
    assert error.startswith("error: "), str(ended)
    assert hint.startswith("hint: "), str(ended)
    return error, hint


# -- what the Hub refuses ------------------------------------------------------------------


@dataclass(frozen=True)
class Refused:
    """One line of the table: what is asked, as whom, and what comes of it."""

    words: tuple[str, ...]
    code: int
    error: str
    hint: str
    token: str = ""
    environment: dict[str, str] = field(default_factory=dict)


LOGIN, PAGE = "hf auth login", "ask for access on http://"
REFUSED = {
    "unknown repo, anonymous": Refused(("org/nope",), 4, "org/nope", LOGIN),
    "unknown repo, logged in": Refused(("org/nope",), 4, "org/nope", "the name", READER_TOKEN),
    "unknown revision": Refused(("org/open@nope",), 4, "revision 'nope'", "--revision"),
    "unknown commit": Refused(("org/open", "--revision", "0" * 40), 4, "0000000", "--revision"),
    "unknown file": Refused(("org/open", "nope.bin"), 4, "'nope.bin'", "hfdl plan org/open"),
    "one unknown file of two": Refused(
        ("org/open", "config.json", "nope.bin"), 4, "'nope.bin'", "hfdl plan org/open"
    ),
    "a folder without its slash": Refused(("org/open", "tokenizer"), 4, "tokenizer", "tokenizer/"),
    "unknown folder": Refused(("org/open", "nope/"), 4, "'nope/'", "hfdl plan org/open"),
    "no pattern matches": Refused(("org/open", "--include", "*.nope"), 4, "selected", "pattern"),
    "everything excluded": Refused(("org/open", "--exclude", "*"), 4, "selected", "pattern"),
    "another type": Refused(("org/open", "-r", "dataset"), 4, "org/open", LOGIN),
    "gated, anonymous": Refused(("org/gated",), 3, "org/gated", f"{PAGE}"),
    "gated, without access": Refused(("org/gated",), 3, "org/gated", f"{PAGE}", STRANGER_TOKEN),
    "gated, bad token": Refused(("org/gated",), 3, "token", LOGIN, UNKNOWN_TOKEN),
    "private, anonymous": Refused(("org/private",), 4, "org/private", LOGIN),
    "private, without access": Refused(
        ("org/private",), 4, "org/private", "the token may read it", STRANGER_TOKEN
    ),
    "private, bad token": Refused(("org/private",), 3, "token", LOGIN, UNKNOWN_TOKEN),
    "disabled": Refused(("org/disabled",), 3, "disabled", ""),
}


@pytest.fixture
def many(serve: Serve) -> ScriptedHub:
    """Serve one repo of each kind; says as little with a 401 as the Hub itself."""
    disabled = model(SMALL, "org/disabled")
    disabled.disabled = True
    return serve(
        model(SMALL, "org/open"),
        model(SMALL, "org/gated", gated="manual"),
        model(SMALL, "org/private", private=True),
        disabled,
        settings=Settings(code_on_401=False),
    )


@pytest.mark.parametrize("case", REFUSED)
def test_the_hub_refuses(many: ScriptedHub, shell: OpenShell, place: Path, case: str) -> None:
    refused = REFUSED[case]
    own = place / "downloads" / "mine.txt"
    own.parent.mkdir()
    own.write_bytes(OWN)
    token = ("--token", refused.token) if refused.token else ()
    ended = shell(many).run(*refused.words, *token).check(refused.code)
    assert ended.out == ""
    if refused.hint:
        error, hint = two_lines(ended)
        assert refused.hint in hint, str(ended)
    else:
        (error,) = ended.errors
    assert refused.error in error, str(ended)
    assert UNKNOWN_TOKEN not in ended.err
    assert content_requests(many) == []
    assert final_files(place) == {"downloads/mine.txt": own}


@pytest.mark.parametrize("case", list(REFUSED)[::5])
def test_the_plan_refuses_alike(
    many: ScriptedHub, shell: OpenShell, place: Path, case: str
) -> None:
    refused = REFUSED[case]
    token = ("--token", refused.token) if refused.token else ()
    ended = shell(many).run("plan", *refused.words, *token, "--json").check(refused.code)
    assert ended.report["exit_code"] == refused.code
    assert ended.report["status"] == "failed"
    assert list(place.iterdir()) == []


def test_a_mirror_that_publishes_no_digest_is_refused(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    hub = serve(model(SMALL))
    hub.faults.add(Fault("tree", without_digests()))
    error, hint = two_lines(shell(hub).run("org/model").check(6))
    assert "publishes no digest" in error
    assert "--allow unverified" in hint
    assert content_requests(hub) == []


HOSTILE = {
    "../evil": "../evil",
    "/etc/cron.d/evil": "/etc/cron.d/evil",
    "a/../../evil": "a/../../evil",
    "a//b": "a//b",
    "./evil": "./evil",
    "C:/evil": "C:/evil",
    "a\\evil": "a\\evil",
    "nul\0.txt": r"nul\x00.txt",
    "red\x1b[31m.txt": r"red\x1b[31m.txt",
    "line\nbreak": r"line\x0abreak",
    ".git/hooks/post-checkout": ".git/hooks/post-checkout",
    ".GIT\u200c/config": r".GIT\u200c/config",
    ".download_state/lock": ".download_state/lock",
    "n" * 300: "n" * 300,
    "\u202etxt.\x01exe": r"\u202etxt.\x01exe",
}


def test_hostile_names_are_all_named_and_nothing_is_fetched(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    hub = serve(model(SMALL))
    hub.faults.add(Fault("tree", hostile_names(list(HOSTILE))))

    def neighbours() -> set[Path]:
        """Return what lies beside the place of this test, other runs of this suite aside."""
        return {path for path in place.parent.iterdir() if "hfdl-e2e-" not in path.name}

    before = neighbours()
    ended = shell(hub).run("org/model", "--local-dir", place / "d").check(8)
    error, hint = two_lines(ended)
    for escaped in HOSTILE.values():
        assert escaped in error
    assert re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e]", ended.err) is None
    assert "--exclude" in hint
    assert content_requests(hub) == []
    assert final_files(place) == {}
    assert neighbours() <= before
    planned = shell(hub).run("plan", "org/model", "--json").check(8).report["plan"]
    assert {problem["path"] for problem in planned["problems"]} == set(HOSTILE)
    # What is harmless can still be had.
    shell(hub).run("org/model", "config.json", WEIGHTS, "--local-dir", place / "d").check()


# -- what is in the folder -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["same", "with a space"])
def test_the_hint_for_a_folder_of_another_repo_is_the_whole_command(
    serve: Serve, shell: OpenShell, place: Path, name: str
) -> None:
    first, second = model(SMALL, "one/same"), model(SMALL + 1, "two/same", repo_type="dataset")
    hub = serve(first, second)
    here = shell(hub)
    base = place / name
    here.run("one/same", "-d", base).check()
    wanted = ("config.json", "tokenizer/", "--include", "*.md")
    words = ("datasets/two/same", "-d", base, *wanted)
    hub.log.clear()
    error, hint = two_lines(here.run(*words).check(8))
    assert "one/same" in error
    assert "two/same" in error
    assert content_requests(hub) == []
    check_complete(base / "same", first)
    command, *rest = shlex.split(hint.removeprefix("hint: "))
    assert command == "hfdl"
    other = Path(here.run(*rest).check().out.strip())
    assert other.parent == base
    names = check_final_names(other, second)
    assert names == {"README.md", "config.json", "tokenizer/vocab.txt"}
    check_complete(base / "same", first)


@pytest.mark.parametrize("words", [(), ("--no-resume", "--verify", "--fix-broken")])
def test_a_foreign_file_is_never_replaced_unasked(
    serve: Serve, shell: OpenShell, place: Path, words: tuple[str, ...]
) -> None:
    repo = model(SMALL)
    hub, target = serve(repo), place / "d"
    target.mkdir()
    for name in ("README.md", "config.json"):
        (target / name).write_bytes(OWN)
    error, hint = two_lines(shell(hub).run("org/model", "--local-dir", target, *words).check(8))
    assert "README.md" in error
    assert "config.json" in error
    assert "--force" in hint
    assert content_requests(hub) == []
    assert {path.read_bytes() for path in final_files(target).values()} == {OWN}


def test_a_foreign_file_can_be_left_out_or_replaced(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = model(SMALL)
    hub, target = serve(repo), place / "d"
    target.mkdir()
    (target / "README.md").write_bytes(OWN)
    shell(hub).run("org/model", "--local-dir", target, "--exclude", "README.md").check()
    assert (target / "README.md").read_bytes() == OWN
    # The old file stays until the new one is proven.
    hub.faults.add(Fault("resolve cache", FlipByte(), path="README.md"))
    shell(hub).run("org/model", "--local-dir", target, "--force").check(6)
    assert (target / "README.md").read_bytes() == OWN
    hub.faults.clear()
    shell(hub).run("org/model", "--local-dir", target, "--force").check()
    check_complete(target, repo)


def test_a_folder_where_a_file_belongs_is_left_alone(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    hub, target = serve(model(SMALL)), place / "d"
    (target / "config.json").mkdir(parents=True)
    (target / "config.json" / "mine.txt").write_bytes(OWN)
    for words in ((), ("--force",)):
        error, _ = two_lines(shell(hub).run("org/model", "--local-dir", target, *words).check(7))
        assert "config.json" in error
    assert content_requests(hub) == []
    assert (target / "config.json" / "mine.txt").read_bytes() == OWN


def test_a_file_where_the_folder_belongs_is_left_alone(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    hub = serve(model(SMALL))
    (place / "d").write_bytes(OWN)
    for target in (place / "d", place / "d" / "below"):
        ended = shell(hub).run("org/model", "--local-dir", target).check(7)
        assert ended.errors[0].startswith("error: ")
    assert (place / "d").read_bytes() == OWN
    assert content_requests(hub) == []


# -- what the disk refuses -----------------------------------------------------------------


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write to *folder*; root is above permissions, so it needs a mount of its own."""
    if sys.platform == "win32":
        pytest.skip("NOT TESTED HERE: Windows knows no read-only folders")
    if os.geteuid() != 0:
        modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        try:
            yield
        finally:
            for path, mode in modes.items():
                path.chmod(mode)
        return
    for words in (["--bind", str(folder), str(folder)], ["-o", "remount,bind,ro", str(folder)]):
        done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"NOT TESTED HERE: root without the right to mount: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_read_only_folder_is_refused_before_the_first_byte(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    hub, target = serve(model(SMALL)), place / "d"
    target.mkdir()
    (target / "mine.txt").write_bytes(OWN)
    with read_only(target):
        error, _ = two_lines(shell(hub).run("org/model", "--local-dir", target).check(7))
        assert str(target) in error
    assert content_requests(hub) == []
    assert final_files(target) == {"mine.txt": target / "mine.txt"}


def test_a_read_only_folder_with_everything_in_it_is_success(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = model(SMALL)
    hub, target = serve(repo), place / "d"
    here = shell(hub)
    here.run("org/model", "--local-dir", target).check()
    with read_only(target):
        report = here.run("org/model", "--local-dir", target, "--json").check().report
        assert {file["status"] for file in report["files"]} == {"reused"}
        here.run("verify", target).check()
        here.run("status", target).check()
    (target / "config.json").unlink()
    with read_only(target):
        two_lines(here.run("org/model", "--local-dir", target).check(7))
    here.run("org/model", "--local-dir", target).check()


def test_a_disk_too_small_is_refused_before_the_first_byte(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    hub = serve(model(20 * MIB))
    with small_disk(place / "disk") as disk:
        error, hint = two_lines(shell(hub).run("org/model", "--local-dir", disk / "d").check(7))
        assert "21.0 MB" in error
        assert "free" in hint
        assert content_requests(hub) == []
        assert final_files(disk) == {}
        plan = shell(hub).run("plan", "org/model", "--local-dir", disk / "d", "--json").check(7)
        assert [problem["class"] for problem in plan.report["plan"]["problems"]] == ["storage"]


def test_a_disk_that_fills_up_in_between_keeps_what_it_has(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    contents = {f"part-{number}.bin": os.urandom(2 * MIB) for number in range(5)}
    repo = HostedRepo.from_files("org/model", contents)
    hub = serve(repo, settings=Settings(rate_bytes_per_second=8 * MB))
    with small_disk(place / "disk") as disk:
        target, filler = disk / "d", disk / "filler"
        words = ("org/model", "--local-dir", target, "-t", "1")
        with shell(hub).start(*words) as running:
            until(lambda: final_files(target), running)
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(64 * 1024))
            ended = running.wait()
        assert ended.code == 7, str(ended)
        assert "the disk is full" in ended.errors[0]
        assert "go on where it stopped" in ended.errors[-1]
        assert check_final_names(target, repo) < files_of(repo).keys()
        filler.unlink()
        hub.settings.rate_bytes_per_second = None
        shell(hub).run(*words).check()
        check_complete(target, repo)


@pytest.mark.parametrize("connections", [1, 4])
def test_a_disk_that_fills_up_within_a_file_keeps_what_it_has_of_it(
    connections: int, serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = HostedRepo.from_files("org/model", {"model.bin": os.urandom(60 * MIB)})
    hub = serve(repo, settings=Settings(rate_bytes_per_second=16 * MB))
    with small_disk(place / "disk", "66m") as disk:
        target, filler = disk / "d", disk / "filler"
        words = ("org/model", "--local-dir", target, "-t", connections, "--json")
        with shell(hub).start(*words) as running:
            until(lambda: payload(hub) > 8 * MIB, running)
            with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4 * 1024))
            ended = running.wait().check(7)
        assert "go on where it stopped" in ended.errors[-1]
        filler.unlink()
        hub.settings.rate_bytes_per_second = None
        report = shell(hub).run(*words).check().report
        check_complete(target, repo)
        # What was still in memory had nowhere to go, and a megabyte made room for the record.
        assert report["bytes"]["resumed"] >= 2 * MIB


def test_a_number_for_min_free_space_is_strict(serve: Serve, shell: OpenShell, place: Path) -> None:
    repo = model(SMALL)
    hub = serve(repo)
    words = ("org/model", "--local-dir", place / "d")
    petabyte = 10**9  # a bare number counts MB
    error, hint = two_lines(shell(hub).run(*words, "--min-free-space", petabyte).check(7))
    assert "should be free" in error
    assert "--min-free-space" in hint
    assert content_requests(hub) == []
    shell(hub).run(*words, "--min-free-space", "0").check()
    # Nothing is to be written any more, so there is nothing to refuse.
    shell(hub).run(*words, "--min-free-space", petabyte).check()


def test_scarce_space_alone_only_warns(serve: Serve, shell: OpenShell, place: Path) -> None:
    repo = model(15 * MIB)
    hub = serve(repo)
    with small_disk(place / "disk") as disk:
        ended = shell(hub).run("org/model", "--local-dir", disk / "d").check()
        assert "should be free" in ended.err
        check_complete(disk / "d", repo)


# -- what is left of an earlier run --------------------------------------------------------


@pytest.fixture
def interrupted(serve: Serve, shell: OpenShell, place: Path) -> tuple[ScriptedHub, HostedRepo]:
    """Leave an unfinished download in `d`."""
    repo = model(24 * MIB)
    hub = serve(repo, settings=Settings(rate_bytes_per_second=40 * MB))
    with shell(hub).start("org/model", "--local-dir", place / "d") as running:
        until(lambda: payload(hub) > 12 * MIB, running)
        running.send(signal.SIGINT)
        running.wait().check(130)
    hub.settings.rate_bytes_per_second = None
    return hub, repo


def record_in(target: Path) -> Path:
    return next(path for path in parts_of(target) if path.suffix == ".json")


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "one bit": lambda data: data[:-20] + bytes([data[-20] ^ 1]) + data[-19:],
    "noise": lambda data: bytes(range(256)) * 8,
    "other JSON": lambda data: b'{"claims": [[0, 8388608, "00"]]}',
    "deep JSON": lambda data: b"[" * 100_000,
}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("damage", some_everyday(DAMAGE, "cut", "one bit"))
def test_a_corrupt_resume_record_costs_bytes_and_is_set_aside(
    interrupted: tuple[ScriptedHub, HostedRepo], shell: OpenShell, place: Path, damage: str
) -> None:
    hub, repo = interrupted
    record = record_in(place / "d")
    record.write_bytes(DAMAGE[damage](record.read_bytes()))
    ended = shell(hub).run("org/model", "--local-dir", place / "d", "--json").check()
    assert ended.report["bytes"]["resumed"] == 0
    assert any("could not be used" in warning for warning in ended.report["warnings"])
    assert check_final_names(place / "d", repo) == files_of(repo).keys()


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_record_of_a_newer_version_is_left_alone(
    interrupted: tuple[ScriptedHub, HostedRepo], shell: OpenShell, place: Path
) -> None:
    hub, _ = interrupted
    record = record_in(place / "d")
    newer = re.sub(rb'"version":\d+', b'"version":999', record.read_bytes(), count=1)
    record.write_bytes(newer)
    error, hint = two_lines(shell(hub).run("org/model", "--local-dir", place / "d").check(7))
    assert "newer version" in error
    assert "update" in hint
    assert record.read_bytes() == newer


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("damage", some_everyday(["empty", "noise"], "noise"))
def test_all_state_damaged_at_once_is_no_reason_to_fail(
    interrupted: tuple[ScriptedHub, HostedRepo], shell: OpenShell, place: Path, damage: str
) -> None:
    hub, repo = interrupted
    state = place / "d" / ".download_state"
    damaged = [path for path in state.rglob("*") if path.is_file() and path.suffix != ".part"]
    assert len(damaged) >= 4
    for path in damaged:
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
    shell(hub).run("status", place).check()
    shell(hub).run("org/model", "--local-dir", place / "d").check()
    assert check_final_names(place / "d", repo) == files_of(repo).keys()


def test_a_state_file_of_the_predecessor_is_set_aside(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = model(SMALL)
    hub, target = serve(repo), place / "d"
    target.mkdir()
    (target / ".download_state").write_bytes(OWN)
    shell(hub).run("org/model", "--local-dir", target).check()
    assert (target / ".download_state.old").read_bytes() == OWN
    (target / ".download_state.old").unlink()
    check_complete(target, repo)


# -- what is no Hub, and what breaks -------------------------------------------------------

NO_HUB: dict[str, FaultKind] = {
    "a page": HtmlPage(),
    "a page that is not found": HtmlPage(404),
    "a list": Body(b"[]"),
    "an empty object": Body(b"{}"),
    "no JSON": Body(b"hello"),
    "a commit that is a path": Body(b'{"id": "org/model", "sha": "../../../../etc"}'),
}


@pytest.mark.parametrize("case", NO_HUB)
def test_a_hub_that_is_not_a_hub(serve: Serve, shell: OpenShell, place: Path, case: str) -> None:
    hub = serve(model(SMALL))
    hub.faults.add(Fault("*", NO_HUB[case]))
    ended = shell(hub).run("org/model", *QUICK).check(5)
    assert "org/model" in ended.errors[0]
    assert content_requests(hub) == []
    assert final_files(place) == {}


def test_an_address_where_nobody_listens(shell: OpenShell, place: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended = shell().run("org/model", "--endpoint", nobody, "--max-retries", "0").check(5)
        assert "cannot connect" in ended.errors[0]
        report = shell().run(
            "org/model", "--endpoint", nobody, "--max-retries", "0", "--json"
        ).check(5).report  # fmt: skip
    assert (report["status"], report["exit_code"], report["commit"]) == ("failed", 5, None)


def test_one_file_of_five_fails_and_the_others_are_there(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = model(SMALL)
    hub = serve(repo)
    hub.faults.add(Fault("resolve cache", Status(503), path="config.json"))
    words = ("org/model", "--local-dir", place / "d")
    ended = shell(hub).run(*words, "--max-retries", "1", "--json").check(5)
    assert ended.report["status"] == "partial"
    assert ended.report["exit_code"] == 5
    (failed,) = [file for file in ended.report["files"] if file["error"]]
    assert (failed["path"], failed["status"]) == ("config.json", "failed")
    assert failed["error"]["class"] == "network"
    assert "config.json" in ended.errors[0]
    assert check_final_names(place / "d", repo) == files_of(repo).keys() - {"config.json"}
    hub.faults.clear()
    shell(hub).run(*words).check()
    check_complete(place / "d", repo)


@pytest.mark.parametrize(("status", "code"), [(500, 5), (403, 3)])
def test_a_hub_that_is_down_is_never_success_with_what_is_there(
    serve: Serve, shell: OpenShell, place: Path, status: int, code: int
) -> None:
    hub = serve(model(SMALL))
    words = ("org/model", "--local-dir", place / "d", *QUICK)
    shell(hub).run(*words).check()
    hub.faults.add(Fault("api", Status(status)))
    shell(hub).run(*words).check(code)


def test_several_kinds_of_failure_are_exit_10(serve: Serve, shell: OpenShell, place: Path) -> None:
    repo = model(SMALL)
    hub = serve(repo)
    hub.faults.add(
        Fault("resolve cache", Status(500), path="config.json"),
        Fault("data", FlipByte(7), path=WEIGHTS),
    )
    ended = shell(hub).run("org/model", "--local-dir", place / "d", *QUICK, "--json").check(10)
    kinds = {
        file["path"]: file["error"]["class"] for file in ended.report["files"] if file["error"]
    }
    assert kinds == {"config.json": "network", WEIGHTS: "integrity"}
    assert ended.report["exit_code"] == 10
    for path, kind in kinds.items():
        assert re.search(rf"^  {kind}: .*{re.escape(path)}", ended.err, re.MULTILINE), str(ended)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_a_folder_that_another_process_works_on_is_busy(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    hub = serve(model(24 * MIB), settings=Settings(rate_bytes_per_second=4 * MB))
    words = ("org/model", "--local-dir", place / "d")
    with shell(hub).start(*words) as holder:
        until(lambda: payload(hub) > MIB, holder)
        for wait in ("0", "0.2"):
            error, hint = two_lines(shell(hub).run(*words, "--wait", wait).check(9))
            assert f"process {holder.process.pid} on {socket.gethostname()}" in error
            assert "--wait" in hint
        status = shell(hub).run("status", place, "--json").check().report
        assert status["folders"][0]["holder"]["pid"] == holder.process.pid
        holder.send(signal.SIGTERM)
        holder.wait().check(143)


# -- offline -------------------------------------------------------------------------------


def test_offline_with_everything_here_is_success(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = model(SMALL)
    hub = serve(repo)
    words = ("org/model", "--local-dir", place / "d")
    shell(hub).run(*words).check()
    hub.log.clear()
    ended = shell(hub).run(*words, "--json", HF_HUB_OFFLINE="1").check()
    assert {file["status"] for file in ended.report["files"]} == {"reused"}
    (place / "d" / "config.json").unlink()
    error, hint = two_lines(shell(hub).run(*words, HF_HUB_OFFLINE="1").check(4))
    assert "config.json" in error
    assert "HF_HUB_OFFLINE" in hint
    shell(hub).run(*words[:1], "README.md", *words[1:], HF_HUB_OFFLINE="1").check()
    two_lines(shell(hub).run("org/other", HF_HUB_OFFLINE="1").check(4))
    assert len(hub.log) == 0


# -- what cannot be meant ------------------------------------------------------------------

USAGE = [
    (),
    ("not a repo",),
    ("a/b/c/d",),
    ("../etc",),
    ("org/model@",),
    ("org/model", "--connections", "many"),
    ("org/model", "-t", "-1"),
    ("org/model", "--chunk-size", "1XB"),
    ("org/model", "--min-free-space", "-5"),
    ("org/model", "--wait", "soon"),
    ("org/model", "--max-retries", "x"),
    ("org/model", "--link", "soft"),
    ("org/model", "--allow", "everything"),
    ("org/model", "-r", "modle"),
    ("org/model", "-d", "a", "--local-dir", "b"),
    ("org/model", "--no-such-option"),
    ("org/model", "--revision", ""),
    ("org/model", "--endpoint", "not a url"),
    ("org/model", "--token"),
    ("downlaod", "org/model"),
    ("serve", "downloads"),
    ("verify",),
    ("demo", "--size", "1"),
    ("datasets/org/model", "-r", "model"),
]


@pytest.mark.parametrize("words", USAGE, ids=lambda words: " ".join(words) or "nothing")
def test_a_mistake_on_the_command_line_is_exit_2_before_any_request(
    many: ScriptedHub, shell: OpenShell, place: Path, words: tuple[str, ...]
) -> None:
    ended = shell(many).run(*words).check(2)
    assert ended.out == ""
    assert ended.errors[0].startswith("error: "), str(ended)
    assert len(many.log) == 0
    assert list(place.iterdir()) == []


def test_a_mistake_prints_no_report(many: ScriptedHub, shell: OpenShell) -> None:
    assert shell(many).run("org/open", "--json", "-t", "x").check(2).out == ""


def test_verify_of_nothing_of_ours_is_exit_4(shell: OpenShell, place: Path) -> None:
    (place / "mine.txt").write_bytes(OWN)
    for target in (place, place / "nowhere"):
        two_lines(shell().run("verify", target).check(4))
