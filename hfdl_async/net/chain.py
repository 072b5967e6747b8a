"""One listing, page after page: the next one is asked for while the present one is parsed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from hfdl_async.core.filetable import FileTable
from hfdl_async.core.model import KIB, RepoRef
from hfdl_async.errors import HfdlError, NetworkError, UnsafeError
from hfdl_async.net.endpoints import api_url, quoted
from hfdl_async.net.headers import clean_text
from hfdl_async.net.pages import Page, next_page, parse_entries
from hfdl_async.net.urls import Url, parse_url

MAX_PAGES = 50_000
MAX_FILES = 2_000_000
THREAD_PARSE_BYTES = 128 * KIB  # beyond, parsing would be felt by everything else on the loop

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Body:
    """A page as it came: its bytes, where the next one is said to be, how long it took."""

    content: bytes
    target: str | None
    seconds: float


class Ask(Protocol):
    """How one page is asked for."""

    async def fetch(self, url: Url) -> Body:
        """Ask once."""
        ...

    async def patiently(self, attempt: Callable[[], Awaitable[Page]]) -> Page:
        """Return what *attempt* does, tried again for as long as its failures may pass."""
        ...


@dataclass(frozen=True, slots=True)
class Tree:
    """The folders of one commit, and how to ask for them."""

    repo: RepoRef
    commit: str
    ask: Ask

    def _tail(self, folder: str) -> str:
        try:
            return f"tree/{self.commit}" + (f"/{quoted(folder)}" if folder else "")
        except UnicodeEncodeError as error:
            shown = clean_text(folder, 200)
            raise UnsafeError(f"{shown}: the name is not valid Unicode") from error

    def url(self, folder: str, *, recursive: bool) -> Url:
        """Return where the listing of *folder* begins."""
        flag = "true" if recursive else "false"
        return parse_url(f"{api_url(self.repo, self._tail(folder))}?recursive={flag}&expand=false")

    def following(self, folder: str, current: Url, target: str) -> Url:
        """Return where the page after *current* is."""
        return next_page(
            current,
            target,
            endpoint=self.repo.endpoint,
            tree=api_url(self.repo, self._tail(folder))[len(self.repo.endpoint) :],
            subject=self.repo.repo_id,
        )


class Chain:
    """The pages of one listing, read from the first to the last."""

    def __init__(self, tree: Tree, folder: str = "", *, recursive: bool = True) -> None:
        self.folder = folder
        self.table = FileTable()
        self.folders: list[tuple[int, str]] = []
        self.children = 0  # folders directly in this one that were named so far
        self.pages = 0
        self.seconds = 0.0  # of waiting for pages, those aside that failed
        self.ended = False
        self._tree = tree
        self._subject = tree.repo.repo_id
        self._url = tree.url(folder, recursive=recursive)
        self._target: str | None = None
        self._paths = set[str]()
        self._seen = {self._url.exact}
        self._early: Body | HfdlError | None = None
        self._ahead = recursive  # of a flat listing one page may be enough

    async def read(self, heard: Callable[[], None]) -> None:
        """Read what is left of the listing; *heard* is called after each page.

        Raises:
            ProtocolError: the listing is malformed, too long, or repeats itself.
            UnsafeError: it names a file twice, or goes on at another host.
            NotFoundError, AccessError, NetworkError: the page was refused, or does not come.
        """
        while not self.ended:
            await self.turn()
            heard()

    async def turn(self) -> None:
        """Read one page; raises as `read`."""
        if self.pages:
            assert self._target is not None
            self._url = self._checked(self._target)
            self._seen.add(self._url.exact)
            self._check_length()
        self._add(await self._tree.ask.patiently(partial(self._page, self._url)))
        self.ended = self._target is None

    def _add(self, page: Page) -> None:
        known = len(self.table)
        prefix = len(self.folder) + 1 if self.folder else 0
        self.folders += ((known + before, name) for before, name in page.folders)
        self.children += sum("/" not in name[prefix:] for _, name in page.folders)
        self.table.extend(page.files.table)
        self._paths.update(page.files.paths)
        self.pages += 1
        if len(self._paths) != len(self.table):
            counts = Counter(self.table.paths)
            twice = next(path for path in self.table.paths if counts[path] > 1)
            shown = clean_text(twice, 200)
            raise UnsafeError(f"{self._subject}: the listing names {shown} twice")

    def _checked(self, target: str) -> Url:
        url = self._tree.following(self.folder, self._url, target)
        if url.exact in self._seen:
            raise NetworkError(f"{self._subject}: the pages of the listing go in a circle")
        return url

    def _check_length(self) -> None:
        if len(self.table) > MAX_FILES or len(self._seen) > MAX_PAGES:
            raise NetworkError(
                f"{self._subject}: the listing does not end "
                f"({len(self.table)} files on {self.pages} pages)"
            )

    async def _page(self, url: Url) -> Page:
        """Return a page; while it is parsed the first try for the next one is under way."""
        early, self._early = self._early, None
        if isinstance(early, HfdlError):
            raise early
        body = await self._tree.ask.fetch(url) if early is None else early
        following = self._if_good(body.target)
        if following is None or not self._ahead:
            page = await parsed(parse_entries, body.content, self._subject)
        else:
            page = await self._with_next(body, following)
        self._target = body.target
        self.seconds += body.seconds
        return page

    def _if_good(self, target: str | None) -> Url | None:
        """Return where the next page is if it may be asked for; `turn` will judge if not."""
        try:
            return None if target is None else self._checked(target)
        except HfdlError:
            return None

    async def _with_next(self, body: Body, following: Url) -> Page:
        failure: HfdlError | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(self._ask_early, following)
            await anyio.lowlevel.checkpoint()  # so that the request leaves before the work begins
            try:
                page = await parsed(parse_entries, body.content, self._subject)
            except HfdlError as error:
                failure = error
                group.cancel_scope.cancel()
        if failure is not None:
            self._early = None
            raise failure
        return page

    async def _ask_early(self, url: Url) -> None:
        try:
            self._early = await self._tree.ask.fetch(url)
        except HfdlError as error:
            self._early = error  # for `patiently` to judge, when that page is next


async def parsed(parser: Callable[[bytes, str], T], body: bytes, subject: str) -> T:
    """Return what *parser* makes of *body*, in a thread if that takes a while."""
    if len(body) < THREAD_PARSE_BYTES:
        return parser(body, subject)
    return await anyio.to_thread.run_sync(parser, body, subject)
