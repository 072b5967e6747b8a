"""A hub in memory for the tests of listings: real pages, and a record of what was asked."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from urllib.parse import parse_qs, unquote

import anyio

from hfdl_async.core.model import RepoRef
from hfdl_async.errors import HfdlError, LostConnectionError, NotFoundError
from hfdl_async.net.chain import Body, Tree
from hfdl_async.net.pages import Page
from hfdl_async.net.urls import Url
from hfdl_async.serving import HostedRepo, listing
from tests.net.wire import COMMIT

REPO = RepoRef("org/name", "model", "main", "https://hub.example")


class MemoryHub:
    """Answers for the pages of one commit; `seconds` is what each page is said to take."""

    def __init__(
        self, paths: Iterable[str], *, page_size: int = 2, seconds: float = 1.0, turns: int = 1
    ) -> None:
        head = HostedRepo.from_files("org/name", dict.fromkeys(paths, b"x")).head
        assert head is not None
        self.commit = head
        self.page_size = page_size
        self.seconds = seconds
        self.turns = turns  # of the loop until an answer comes
        self.asked: list[tuple[str, bool]] = []  # folder, and whether all below it
        self.under_way = 0
        self.at_once = 0
        self.errors: dict[str, HfdlError] = {}
        self.failures: dict[int, HfdlError] = {}  # by the number of the request
        self.altered: Callable[[str, bool, list[str]], list[str]] = lambda _, __, entries: entries

    @property
    def tree(self) -> Tree:
        return Tree(REPO, COMMIT, self)

    def entries(self, folder: str, *, recursive: bool) -> list[str]:
        found = listing.entries(
            self.commit, under=folder, recursive=recursive, masked=False, expand=False
        )
        if found is None:
            raise NotFoundError(f"{folder}: no such folder")
        return self.altered(folder, recursive, list(found))

    async def fetch(self, url: Url) -> Body:
        path, _, query = url.target.partition("?")
        folder = unquote(path.partition(COMMIT)[2].lstrip("/"))
        fields = {name: values[0] for name, values in parse_qs(query).items()}
        recursive = fields["recursive"] == "true"
        self.asked.append((folder, recursive))
        number = len(self.asked)
        self.under_way += 1
        self.at_once = max(self.at_once, self.under_way)
        try:
            for _ in range(self.turns):
                await anyio.lowlevel.checkpoint()
        finally:
            self.under_way -= 1
        if number in self.failures:
            raise self.failures.pop(number)
        if folder in self.errors:
            raise self.errors[folder]
        entries = self.entries(folder, recursive=recursive)
        start = int(fields.get("cursor", "0"))
        stop = start + self.page_size
        target = f"{url.exact.partition('&cursor')[0]}&cursor={stop}"
        body = f"[{','.join(entries[start:stop])}]".encode()
        return Body(body, target if stop < len(entries) else None, self.seconds)

    async def patiently(self, attempt: Callable[[], Awaitable[Page]]) -> Page:
        for _ in range(3):
            with contextlib.suppress(LostConnectionError):
                return await attempt()
        return await attempt()
