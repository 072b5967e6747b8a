"""What the end-to-end tests play on: a hub on a thread, the installed command, comparisons."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from hfdl_async.core.model import MIB
from hfdl_async.serving import HostedRepo, Settings
from hfdl_async.serving.content import Content, GeneratedContent
from hfdl_async.serving.repos import HostedFile
from hfdl_async.testing.faults import ScriptedHub

SCRIPT = Path(sys.executable).with_name("hfdl.exe" if os.name == "nt" else "hfdl")
MODULE = (sys.executable, "-m", "hfdl_async")
PATIENCE_SECONDS = 120.0  # nothing here takes so long unless it hangs
STATE = ".download_state"
WEIGHTS = "model.safetensors"


@contextlib.contextmanager
def running_hub(
    repos: Iterable[HostedRepo], settings: Settings | None = None
) -> Iterator[ScriptedHub]:
    """Serve *repos* from a loop on another thread, so that a test may block."""
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(ScriptedHub(repos, settings=settings)) as hub,
    ):
        yield hub


@dataclass(frozen=True)
class Ended:
    """What a command that ended left on its streams."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    @property
    def report(self) -> dict[str, Any]:
        """What `--json` printed."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value

    @property
    def errors(self) -> list[str]:
        """Return `error: …`, with the files listed below it, and `hint: …`."""
        found: list[str] = []
        for line in self.err.splitlines():
            if line.startswith(("error: ", "hint: ")):
                found.append(line)
            elif found and line.startswith("  "):
                found[-1] += f"\n{line}"
        return found

    def check(self, code: int = 0) -> Ended:
        """Insist on an exit code, and on no traceback; return itself."""
        assert self.code == code, str(self)
        assert "Traceback" not in self.err, str(self)
        return self


@dataclass(frozen=True)
class Shell:
    """A place to run the command in: a folder, and a hub by its address."""

    folder: Path
    endpoint: str = ""
    command: tuple[str, ...] = MODULE

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of the command; the hub is in it."""
        hub = {"HF_ENDPOINT": self.endpoint} if self.endpoint else {}
        return {**os.environ, "PYTHONUNBUFFERED": "1", **hub, **extra}

    def run(self, *words: object, stdin: str = "", **environment: str) -> Ended:
        """Run the command to its end."""
        done = subprocess.run(
            [*self.command, *map(str, words)],
            cwd=self.folder,
            env=self.environment(environment),
            input=stdin,
            capture_output=True,
            encoding="utf-8",
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    @contextlib.contextmanager
    def start(self, *words: object, **environment: str) -> Iterator[Running]:
        """Run the command while the block is open; what still runs at its end is killed."""
        with subprocess.Popen(
            [*self.command, *map(str, words)],
            cwd=self.folder,
            env=self.environment(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        ) as process:
            try:
                yield Running(process)
            finally:
                if process.poll() is None:
                    process.kill()


@dataclass(frozen=True)
class Running:
    """A command on its way."""

    process: subprocess.Popen[str]

    def send(self, signum: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(signum)

    def wait(self) -> Ended:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        return Ended(self.process.returncode, out, err)

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self.process.poll() is not None


def until(condition: Any, running: Running | None = None) -> bool:
    """Wait until *condition* holds; False when the command ended before.

    Raises:
        TimeoutError: neither happened.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if running is not None and running.has_ended:
            return False
        if time.monotonic() > deadline:
            raise TimeoutError("what the test waits for does not happen")
        time.sleep(0.005)
    return True


def noise(seed: str, size: int) -> Content:
    """Return *size* bytes that need no room."""
    return GeneratedContent(seed, size)


def model(size: int = 20 * MIB, repo_id: str = "org/model", **options: Any) -> HostedRepo:
    """Return a repo with one file of weights and four small ones."""
    files: dict[str, bytes | Content] = {
        "README.md": b"# A model\n",
        "config.json": b'{"model_type": "noise"}\n' * 40,
        "tokenizer/vocab.txt": b"a\nb\nc\n" * 9_000,
        "empty.txt": b"",
        WEIGHTS: noise(f"{repo_id}/{size}", size),
    }
    return HostedRepo.from_files(repo_id, files, **options)


def files_of(repo: HostedRepo) -> Mapping[str, HostedFile]:
    """Return the files of the main branch."""
    assert repo.head is not None
    return repo.head.files


def size_of(repo: HostedRepo) -> int:
    """Return the bytes of all files of the main branch."""
    return sum(file.size for file in files_of(repo).values())


def payload(hub: ScriptedHub) -> int:
    """Return the bytes of file content that the hub has sent so far, wherever they ended up."""
    entries = list(hub.log.entries)
    return sum(entry.bytes_sent for entry in entries if entry.status in (200, 206)
               and entry.kind in ("resolve", "cache", "data"))  # fmt: skip


def content_requests(hub: ScriptedHub) -> list[str]:
    """Return the paths of files whose content was asked for."""
    return [entry.path for entry in hub.log if entry.kind in ("resolve", "cache", "data")]


def final_files(folder: Path) -> dict[str, Path]:
    """Return what lies at final names; the records for the reference client are not content."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in folder.rglob("*")
        if path.is_file() and not {STATE, ".cache"} & set(path.relative_to(folder).parts)
    }


def hash_of(path: Path) -> tuple[str, str]:
    """Return the SHA-256 and the git blob id of a file, by hashlib alone."""
    sha256, sha1 = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % path.stat().st_size)
    with path.open("rb") as file:
        while piece := file.read(MIB):
            sha256.update(piece)
            sha1.update(piece)
    return sha256.hexdigest(), sha1.hexdigest()


def check_final_names(folder: Path, repo: HostedRepo) -> set[str]:
    """Insist that every final name holds exactly the repo's bytes; return the names."""
    expected = files_of(repo)
    found = final_files(folder)
    for name, path in found.items():
        assert name in expected, f"{name} is not in the repo"
        assert path.stat().st_size == expected[name].size, name
        assert expected[name].digest.hex in hash_of(path), f"wrong bytes under {name}"
    return set(found)


def check_complete(folder: Path, repo: HostedRepo) -> None:
    """Insist that every file is there and right, and that nothing is left unfinished."""
    assert check_final_names(folder, repo) == set(files_of(repo))
    assert parts_of(folder) == []


def parts_of(folder: Path) -> list[Path]:
    """Return what lies in the folder of unfinished files."""
    parts = folder / STATE / "parts"
    return sorted(parts.iterdir()) if parts.is_dir() else []


def flip_byte(path: Path, offset: int, *, keep_mtime: bool = False) -> None:
    """Invert one byte of a file in place; *keep_mtime* restores what an editor would change."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0xFF]))
    if keep_mtime:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def everything_in(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield every file below *folder* with its bytes."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path, path.read_bytes()


def fast_folder(least_bytes: int) -> Path | None:
    """Return a folder in memory with so much room, where there is one."""
    memory = Path("/dev/shm")
    usable = memory.is_dir() and os.access(memory, os.W_OK)
    return memory if usable and shutil.disk_usage(memory).free > least_bytes else None


@contextlib.contextmanager
def small_disk(folder: Path, size: str = "16m") -> Iterator[Path]:
    """Mount a small file system in memory; skips where that is not allowed."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        pytest.skip("NOT TESTED HERE: a full disk needs Linux and the right to mount one")
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"NOT TESTED HERE: no right to mount a small disk: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def some_everyday(cases: Iterable[str], *everyday: str) -> list[Any]:
    """Return *cases* for `parametrize`; those that are not named run in the long sweeps only."""
    listed = list(cases)
    assert set(everyday) <= set(listed)
    return [
        pytest.param(case, id=case, marks=() if case in everyday else pytest.mark.deep)
        for case in listed
    ]
