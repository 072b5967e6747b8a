"""`python -m hfdl_async.serving`: say where it listens in one line of JSON, serve until told.

It ends when its standard input closes (the parent is gone) or on SIGINT and SIGTERM; the last line
it prints are the sums of its request log.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio

from hfdl_async.core.model import RepoType
from hfdl_async.core.options import parse_size
from hfdl_async.serving.damage import Flipper
from hfdl_async.serving.generate import DEFAULT_SIZE_BYTES, many_small_files, model_repo
from hfdl_async.serving.repos import LFS_THRESHOLD_BYTES, HostedRepo
from hfdl_async.serving.server import HubServer
from hfdl_async.serving.settings import Settings

_PREFIXES: dict[str, RepoType] = {"datasets": "dataset", "spaces": "space"}


def size_in_bytes(text: str) -> int:
    """Return the bytes that `600MB`, `1MiB`, `20MB/s` or a bare number mean.

    Raises:
        ValueError: it means nothing.
    """
    return parse_size(text.removesuffix("/s"), bare_unit=1)


def parse_name(name: str) -> tuple[RepoType, str]:
    """Return type and id of `org/name`, `datasets/org/name` or `spaces/org/name`."""
    prefix, _, rest = name.partition("/")
    return (_PREFIXES[prefix], rest) if prefix in _PREFIXES else ("model", name)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the arguments."""
    result = argparse.ArgumentParser(prog="python -m hfdl_async.serving", description=__doc__)
    add = result.add_argument
    add("--repo", action="append", default=[], metavar="NAME=FOLDER", help="serve a folder")
    add("--generate", action="append", default=[], metavar="NAME", help="serve a made-up model")
    add("--small-files", action="append", default=[], metavar="NAME=COUNT")
    add("--size", type=size_in_bytes, default=DEFAULT_SIZE_BYTES, help="of a made-up model")
    add("--seed", type=int, default=0)
    add("--lfs-threshold", type=size_in_bytes, default=LFS_THRESHOLD_BYTES)
    add("--private", action="store_true", help="let only the reader token read")
    add("--gated", action="store_true", help="hide content behind an agreement")
    add("--rate", type=size_in_bytes, help="bytes per second for all connections together")
    add("--rate-per-connection", type=size_in_bytes)
    add("--latency", type=float, default=0.0, metavar="SECONDS")
    add("--page-size", type=int, default=1000)
    add("--url-lifetime", type=float, default=3600.0, metavar="SECONDS")
    add("--data-origin", metavar="URL", help="redirect large files to <URL>/<id>/<path>")
    add("--small-origin", metavar="URL", help="the same for small files")
    add("--flip", metavar="GLOB@OFFSET[xTIMES]", help="invert a byte on the wire")
    add("--port", type=int, default=0)
    add("--data-port", type=int, default=0)
    return result


def parse_flip(text: str) -> Flipper:
    """Return the hook for `*.bin@1000` (always) or `*.bin@1000x1` (once).

    Raises:
        ValueError: it is neither.
    """
    match = re.fullmatch(r"(.+)@(\d+)(?:x(\d+))?", text)
    if match is None:
        raise ValueError(f"not GLOB@OFFSET[xTIMES]: {text!r}")
    return Flipper(match[1], int(match[2]), int(match[3]) if match[3] else None)


def repos_of(options: argparse.Namespace) -> list[HostedRepo]:
    """Return the repos that the arguments name.

    Raises:
        OSError: a folder cannot be read.
    """
    repos: list[HostedRepo] = []
    for item in options.repo:
        name, _, folder = item.rpartition("=")
        repo_type, repo_id = parse_name(name)
        repos.append(
            HostedRepo.from_folder(
                repo_id,
                Path(folder),
                repo_type=repo_type,
                lfs_threshold_bytes=options.lfs_threshold,
            )
        )
    repos += [
        model_repo(options.size, seed=options.seed, repo_id=name) for name in options.generate
    ]
    for item in options.small_files:
        name, _, count = item.rpartition("=")
        repo_type, repo_id = parse_name(name)
        files = many_small_files(int(count), seed=options.seed)
        repos.append(HostedRepo.from_files(repo_id, files, repo_type=repo_type))
    for repo in repos:
        repo.private = options.private
        repo.gated = "auto" if options.gated else False
    return repos


def settings_of(options: argparse.Namespace) -> Settings:
    """Return the settings that the arguments ask for."""
    return Settings(
        page_size=options.page_size,
        url_lifetime_seconds=options.url_lifetime,
        rate_bytes_per_second=options.rate,
        rate_per_connection=options.rate_per_connection,
        latency_seconds=options.latency,
        external_lfs_origin=options.data_origin,
        external_small_origin=options.small_origin,
    )


def _say(facts: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def _end_with_stdin(end: Callable[[], None]) -> None:
    # os.read on the number: a daemon thread inside sys.stdin would trouble the interpreter's end.
    while os.read(0, 4096):
        pass
    end()


async def serve(server: HubServer, repos: Sequence[HostedRepo]) -> None:
    """Serve until standard input ends or a signal comes."""
    stop = anyio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        # Told a second time (a signal, and then the parent goes), the loop may be closed by now.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: end())
    threading.Thread(target=_end_with_stdin, args=(end,), daemon=True).start()
    async with server:
        _say(
            {
                "endpoint": server.endpoint,
                "data_origin": server.data_origin,
                "repos": [
                    f"{'' if repo.repo_type == 'model' else f'{repo.repo_type}s/'}{repo.repo_id}"
                    for repo in repos
                ],
                "pid": os.getpid(),
            }
        )
        await stop.wait()
    _say(server.log.to_dict())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 2 for arguments that cannot be served."""
    options = parser().parse_args(arguments)
    try:
        hook = parse_flip(options.flip) if options.flip else None
        repos = repos_of(options)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    server = HubServer(
        repos,
        settings=settings_of(options),
        hook=hook,
        port=options.port,
        data_port=options.data_port,
    )
    server.log.keep = False
    anyio.run(serve, server, repos)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
