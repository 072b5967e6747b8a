"""The programs that are compared: how each is told what to fetch, from where and to where."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal
from urllib.parse import quote

Tool = Literal["hfdl", "hfdl-base", "hfdl-no-sync", "hf", "aria2c", "curl", "wget"]
TOOLS: tuple[Tool, ...] = ("hfdl", "hf", "aria2c", "curl", "wget")
OF_OURS: tuple[Tool, ...] = ("hfdl", "hfdl-base", "hfdl-no-sync")
CONNECTIONS = 16  # of aria2c for a server, and of curl for all files


@dataclass(frozen=True, slots=True)
class Job:
    """One download.

    Attributes:
        paths: of all files; only tools that know no Hub need them.
        target: where the files go, a folder that does not exist.
        home: where the tool may keep what it likes.
        ca: the certificate that the server's must be checked against.
        verb: `download` or `plan`.
        options: more words for hfdl.
        in_cache: the target is a shared cache.
    """

    endpoint: str
    repo_id: str
    paths: tuple[str, ...]
    target: Path
    home: Path
    ca: Path | None = None
    verb: Literal["download", "plan"] = "download"
    options: tuple[str, ...] = ()
    in_cache: bool = False

    def url(self, path: str) -> str:
        """Return the address of one file."""
        return f"{self.endpoint}/{self.repo_id}/resolve/main/{quote(path)}"


def command(tool: Tool, job: Job) -> list[str]:
    """Return the words that make *tool* do *job*; writes the list of files that it reads."""
    match tool:
        case "hfdl" | "hfdl-base" | "hfdl-no-sync":
            return _hfdl(job)
        case "hf":
            return _hf(job)
        case "aria2c":
            return _aria2c(job)
        case "curl":
            return _curl(job)
        case "wget":
            return _wget(job)


def _hfdl(job: Job) -> list[str]:
    words = [sys.executable, "-m", "hfdl_async", job.verb, job.repo_id, *job.options]
    return [*words, "--cache-dir" if job.in_cache else "--local-dir", str(job.target), "--quiet"]


def _hf(job: Job) -> list[str]:
    words = [_script("hf"), "download", job.repo_id, "--local-dir", str(job.target), "--quiet"]
    return [*words, "--dry-run"] if job.verb == "plan" else words


def _aria2c(job: Job) -> list[str]:
    files = _listed(job, (f"{job.url(path)}\n out={path}" for path in job.paths))
    at_once = [f"-{letter}{CONNECTIONS}" for letter in "xsj"]
    quiet = ["--no-conf", "--console-log-level=error", "--summary-interval=0", "--quiet"]
    trust = [f"--ca-certificate={job.ca}"] if job.ca else []
    # The destination may be a tmpfs: there is nothing to gain from reserving room there.
    place = [f"--dir={job.target}", "--file-allocation=none", f"--input-file={files}"]
    return ["aria2c", *at_once, *quiet, *trust, *place]


def _curl(job: Job) -> list[str]:
    lines = (f'url = "{job.url(path)}"\noutput = "{job.target / path}"' for path in job.paths)
    files = _listed(job, lines)
    trust = ["--cacert", str(job.ca)] if job.ca else []
    at_once = ["--parallel", "--parallel-max", str(CONNECTIONS)]
    quiet = ["--disable", "--silent", "--show-error", "--fail"]
    return ["curl", *quiet, *trust, *at_once, "--location", "--create-dirs", "--config", str(files)]


def _wget(job: Job) -> list[str]:
    files = _listed(job, (job.url(path) for path in job.paths))
    above = 2 + job.repo_id.count("/") + 1  # owner/name/resolve/main
    place = ["-x", "-nH", f"--cut-dirs={above}", "-P", str(job.target), "-i", str(files)]
    trust = [f"--ca-certificate={job.ca}"] if job.ca else []
    return ["wget", "--no-config", "-q", *trust, *place]


def _listed(job: Job, lines: Iterable[str]) -> Path:
    job.home.mkdir(parents=True, exist_ok=True)
    file = job.home / "files.txt"
    file.write_text("\n".join(lines) + "\n")
    return file


def environment(job: Job, *, preload: Path | None = None) -> dict[str, str]:
    """Return an environment without a login, a cache or a question to any other host."""
    dropped = ("HF_", "HFDL_", "PYTHONDONTWRITEBYTECODE", "LD_PRELOAD", "SSL_CERT")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(dropped) and not name.upper().endswith("_PROXY")
    }
    if job.ca:
        kept["SSL_CERT_FILE"] = str(job.ca)
    if preload:
        kept["LD_PRELOAD"] = str(preload)
    return kept | {
        "HF_ENDPOINT": job.endpoint,
        "HF_HOME": str(job.home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
    }


def version_words(tool: Tool) -> list[str]:
    """Return the command that makes *tool* tell its version."""
    if tool in OF_OURS:
        return [sys.executable, "-m", "hfdl_async", "--version"]
    return [_script("hf"), "version"] if tool == "hf" else [tool, "--version"]


def version_of(tool: Tool) -> str | None:
    """Return the version of *tool*, or None when it is not installed."""
    if tool in OF_OURS:
        return _package("hfdl-async")
    if tool == "hf":
        return _package("huggingface_hub") if Path(_script("hf")).exists() else None
    if shutil.which(tool) is None:
        return None
    said = subprocess.run([tool, "--version"], capture_output=True, text=True, check=False).stdout
    return next((word for word in said.split() if word[:1].isdigit()), "unknown")


def surroundings() -> dict[str, str]:
    """Return what else the figures depend on."""
    return {
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "uvloop": _package("uvloop") or "not installed",
    }


def _script(name: str) -> str:
    return str(Path(sysconfig.get_path("scripts")) / name)


def _package(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
