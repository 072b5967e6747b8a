"""The token goes to the Hub and nowhere else; no token and no signature is shown or kept."""

from __future__ import annotations

import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from hfdl_async.core.model import MB, MIB
from hfdl_async.serving import HostedRepo, Settings
from hfdl_async.testing.faults import (
    Fault,
    FaultKind,
    FlipByte,
    HtmlPage,
    RedirectTo,
    RefuseLink,
    Reset,
    ScriptedHub,
    Status,
    Throttle,
)
from tests.e2e.conftest import OpenShell, Serve
from tests.e2e.stage import (
    WEIGHTS,
    Ended,
    Shell,
    check_complete,
    check_final_names,
    everything_in,
    model,
    payload,
    until,
)

pytestmark = pytest.mark.e2e

QUICK = ("--max-retries", "0", "--give-up-after", "0")
OUTPUTS = {"plain": (), "verbose": ("--verbose",), "json": ("--json", "--verbose")}

FAULTS: dict[str, tuple[str, FaultKind, int]] = {
    "the Hub refuses": ("revision", Status(403), 3),
    "the listing fails": ("tree", Status(500), 5),
    "the listing is a page": ("tree", HtmlPage(), 5),
    "a file is refused": ("resolve", Status(403), 3),
    "a file is gone": ("resolve", Status(404), 4),
    "a file fails": ("resolve", Status(502), 5),
    "the storage fails": ("data", Status(500), 5),
    "the storage refuses": ("data", RefuseLink(), 5),
    "the storage hangs up": ("data", Reset(), 5),
    "the storage hangs up in between": ("data", Reset(1000), 5),
    "the storage is elsewhere": ("data", RedirectTo("http://127.0.0.1:9/x?Signature=S"), 5),
    "the content is wrong": ("data", FlipByte(1000), 6),
}


class Vault:
    """What must not come out, and everything that came out."""

    def __init__(self, hub: ScriptedHub, shell: Shell, homes: list[Path]) -> None:
        self.token = f"hf_{secrets.token_hex(17)}"
        self.hub, self.shell, self.homes = hub, shell, homes
        hub.settings.readers.add(self.token)

    def signed(self) -> set[str]:
        """Return what makes a signed URL work: signature and policy, as sent and decoded."""
        found: set[str] = set()
        for entry in self.hub.log:
            query = urlsplit(entry.target).query if entry.origin == "data" else ""
            raw = dict(pair.split("=", 1) for pair in query.split("&") if "=" in pair)
            for name, value in parse_qsl(query):
                if name in ("Signature", "Policy"):
                    found |= {value, raw[name]}
        return found

    def check(self, *ended: Ended, logged_in: Path | None = None) -> None:
        """Search every byte that came out or lies on disk, and what the storage was sent."""
        markers = {self.token, *self.signed()}
        for marker in markers:
            for one in ended:
                assert marker not in one.out + one.err
        for path, data in self._files():
            if path != logged_in:
                assert not any(marker.encode() in data for marker in markers), path
                assert not any(marker in str(path) for marker in markers), path
        for entry in self.hub.log:
            if entry.origin == "data":
                assert entry.authorization is None
                assert self.token not in f"{entry.target} {dict(entry.headers)}"

    def _files(self) -> Iterator[tuple[Path, bytes]]:
        for folder in (self.shell.folder, *self.homes):
            yield from everything_in(folder)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the command homes of its own, so that whatever it leaves anywhere is found."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("HF_HOME", str(folder / "hf"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def repo() -> HostedRepo:
    return model(2 * MIB, "org/secret", private=True)


@pytest.fixture
def vault(serve: Serve, shell: OpenShell, place: Path, home: Path, repo: HostedRepo) -> Vault:
    hub = serve(repo)
    return Vault(hub, shell(hub), [home])


@pytest.mark.parametrize("words", OUTPUTS.values(), ids=OUTPUTS.keys())
def test_a_good_run_shows_and_keeps_nothing(
    vault: Vault, place: Path, repo: HostedRepo, words: tuple[str, ...]
) -> None:
    ended = vault.shell.run("org/secret", "--local-dir", place / "d", *words, HF_TOKEN=vault.token)
    assert ended.code == 0, str(ended)
    check_complete(place / "d", repo)
    assert vault.signed(), "the storage was never asked, so nothing was tested"
    # It did reach the Hub, with every request.
    asked = [entry.authorization for entry in vault.hub.log if entry.origin == "hub"]
    assert set(asked) == {f"Bearer {vault.token}"}
    vault.check(ended)


@pytest.mark.parametrize("case", FAULTS)
def test_a_failing_run_shows_and_keeps_nothing(
    vault: Vault, place: Path, repo: HostedRepo, case: str
) -> None:
    where, kind, code = FAULTS[case]
    vault.hub.faults.add(Fault(where, kind))
    ended = vault.shell.run(
        "org/secret",
        "--local-dir",
        place / "d",
        *QUICK,
        "--json",
        "--verbose",
        HF_TOKEN=vault.token,
    )
    assert ended.code == code, str(ended)
    check_final_names(place / "d", repo)
    vault.check(ended)


def test_patience_asked_for_by_the_storage_shows_nothing(vault: Vault, place: Path) -> None:
    vault.hub.faults.add(Fault("data", Throttle(seconds=0), times=1))
    ended = vault.shell.run(
        "org/secret", "--local-dir", place / "d", "--verbose", HF_TOKEN=vault.token
    )
    assert ended.code == 0, str(ended)
    vault.check(ended)


@pytest.mark.parametrize("way", ["option", "stdin", "variable", "old variable", "login"])
def test_whichever_way_the_token_comes(
    vault: Vault, place: Path, repo: HostedRepo, home: Path, way: str
) -> None:
    words: tuple[str, ...] = ("org/secret", "--local-dir", str(place / "d"), "--verbose")
    login = home / "hf" / "token"
    if way == "option":
        ended = vault.shell.run(*words, "--token", vault.token)
    elif way == "stdin":
        ended = vault.shell.run(*words, "--token", "-", stdin=f"{vault.token}\n")
    elif way == "login":
        login.parent.mkdir()
        login.write_text(vault.token)
        ended = vault.shell.run(*words)
    else:
        name = "HFDL_TOKEN" if way == "variable" else "HUGGING_FACE_HUB_TOKEN"
        ended = vault.shell.run(*words, **{name: vault.token})
    assert ended.code == 0, str(ended)
    check_complete(place / "d", repo)
    vault.check(ended, logged_in=login)


def test_a_token_that_the_hub_refuses_is_not_repeated(vault: Vault, place: Path) -> None:
    vault.hub.settings.readers.clear()
    vault.hub.settings.code_on_401 = False  # as the Hub itself
    for words in (("org/secret",), ("plan", "org/secret")):
        ended = vault.shell.run(
            *words, "--local-dir", place / "d", "--verbose", "--token", vault.token
        )
        assert ended.code == 3, str(ended)
        vault.check(ended)


def test_a_token_that_cannot_be_one_is_not_repeated(vault: Vault, place: Path) -> None:
    odd = f"{vault.token} and more"
    for words in (("--token", odd), (f"--token={odd}",)):
        ended = vault.shell.run("org/secret", "--local-dir", place / "d", *words).check(2)
        vault.check(ended)
    vault.check(vault.shell.run("org/secret", HF_TOKEN=f"{vault.token}\nX-Other: 1"))


def test_nobody_answers_and_nothing_is_shown(vault: Vault, place: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{listener.getsockname()[1]}"
    ended = vault.shell.run(
        "org/secret", *QUICK, "--verbose", "--json", HF_TOKEN=vault.token, HF_ENDPOINT=nobody
    )
    assert ended.code == 5, str(ended)
    vault.check(ended)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_the_command_to_go_on_with_does_not_repeat_the_token(
    serve: Serve, shell: OpenShell, place: Path, home: Path
) -> None:
    hub = serve(model(30 * MIB), settings=Settings(rate_bytes_per_second=20 * MB))
    vault = Vault(hub, shell(hub), [home])
    for words in (("--token", vault.token), (f"--token={vault.token}",)):
        before = payload(hub)
        with vault.shell.start("org/model", "--local-dir", place / "d", *words) as running:
            until(lambda start=before: payload(hub) > start + MIB, running)
            running.send(signal.SIGINT)
            ended = running.wait().check(130)
        assert "TOKEN" in ended.errors[-1]
        vault.check(ended)


def test_verify_and_repair_show_nothing(vault: Vault, place: Path, repo: HostedRepo) -> None:
    target = place / "d"
    vault.shell.run("org/secret", "--local-dir", target, HF_TOKEN=vault.token).check()
    (target / WEIGHTS).unlink()
    ended = [
        vault.shell.run("verify", target, *words, HF_TOKEN=vault.token)
        for words in (("--verbose",), ("--json", "--repair", "--verbose"))
    ]
    assert [one.code for one in ended] == [6, 0]
    check_complete(target, repo)
    vault.check(*ended)
