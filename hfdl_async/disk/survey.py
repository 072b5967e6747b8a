"""What lies at the final names: looked at, compared with receipts, read only where it must be."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter, thread_time

import anyio
from anyio import to_thread

from hfdl_async.core.filetable import FileTable, remote_files
from hfdl_async.core.finding import ABSENT, FITS, Finding, Found
from hfdl_async.core.model import Algorithm, RemoteFile
from hfdl_async.core.packing import Packed, stamp_of, unpack, wanted_digest
from hfdl_async.core.state import Receipt
from hfdl_async.disk.calls import Calls, Folder, allocated_bytes, is_link
from hfdl_async.disk.crew import for_each
from hfdl_async.disk.folder import PARTS, folder_at, rows_by_folder, split_path
from hfdl_async.disk.memorypart import IN_MEMORY_BYTES
from hfdl_async.disk.partopen import part_key, part_names, read_claims
from hfdl_async.disk.reading import Content, Progress, opener_at, read_content
from hfdl_async.disk.receipts import fits
from hfdl_async.disk.trouble import translate, translated

LOOK_FILES = 2000  # looked at in one hop: some 20 ms
LOOKS_AT_ONCE = 3  # where they wait for the disk: else threads only get in each other's way
WAITING_SHARE = 0.5  # of the time of the first hop: from there on looking is waiting


@dataclass(frozen=True, slots=True)
class Case:
    """One file of the listing and what is known of its place without reading."""

    file: RemoteFile
    receipt: Receipt | None
    found: os.stat_result
    same: bool  # the receipt is one of the content that is wanted

    @property
    def fits(self) -> bool:
        """Whether the receipt covers the file as it is now."""
        return self.receipt is not None and fits(self.receipt, self.found)


def judge_unread(case: Case, *, verify: bool) -> Finding | None:
    """Return the finding that needs no reading, or None."""
    receipt, size = case.receipt, case.found.st_size
    if case.fits and case.same:
        return None if verify else FITS
    if case.fits:
        return Finding(Found.OLDER, receipt=receipt)
    if size != case.file.size_bytes and (receipt is None or size != receipt.size):
        return Finding(Found.FOREIGN if receipt is None else Found.CHANGED, receipt=receipt)
    if case.file.digest is None and receipt is None:
        return Finding(Found.FOREIGN)
    return None


def judge_read(case: Case, content: Content, commit: str) -> Finding:
    """Return the finding for a file that was read."""
    file, receipt = case.file, case.receipt
    found = content.digests.get(file.digest.algorithm) if file.digest else None
    if _is_wanted(case, content) and content.steady:
        if case.fits and case.same:
            return Finding(Found.FITS, receipt=receipt, found=found)
        fresh = receipt_for(file, content.found, content.cells, commit)
        return Finding(Found.RIGHT, receipt=fresh, found=found)
    if receipt is None:
        return Finding(Found.FOREIGN, found=found)
    if content.steady and _is_recorded(receipt, content):
        return Finding(Found.OLDER, receipt=receipt, found=found)
    untouched = (
        receipt.size == content.found.st_size and receipt.mtime_ns == content.found.st_mtime_ns
    )
    return Finding(Found.ROTTEN if untouched else Found.CHANGED, receipt=receipt, found=found)


def _is_wanted(case: Case, content: Content) -> bool:
    if content.found.st_size != case.file.size_bytes:
        return False
    if case.file.digest is None:
        return case.same and case.receipt is not None and case.receipt.cells == content.cells
    return content.digests.get(case.file.digest.algorithm) == case.file.digest


def _is_recorded(receipt: Receipt, content: Content) -> bool:
    if receipt.size != content.found.st_size:
        return False
    if receipt.digest is None:
        return receipt.cells == content.cells
    return content.digests.get(receipt.digest.algorithm) == receipt.digest


def receipt_for(
    file: RemoteFile, found: os.stat_result, cells: tuple[str, ...], commit: str
) -> Receipt:
    """Return the receipt of *file*, which is verified and *found* at its final name."""
    keep_cells = file.digest is None or file.size_bytes > IN_MEMORY_BYTES
    return Receipt(
        path=file.path,
        size=file.size_bytes,
        digest=file.digest,
        cells=cells if keep_cells else (),
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
        inode=found.st_ino,
        commit=commit,
    )


def _covers(held: Packed | None, found: os.stat_result, table: FileTable, row: int) -> bool:
    """Return whether the packed receipt *held* is plainly one of the file *found*, as wanted.

    If not, it may still be: of a file without a digest, or with numbers that cannot be packed.
    """
    if not isinstance(held, bytes) or found.st_size != table.sizes[row]:
        return False
    stamp, digest = stamp_of(found), wanted_digest(table.hashes[row])
    return stamp is not None and digest is not None and held.startswith(stamp + digest)


@dataclass(frozen=True, slots=True)
class Leftover:
    """An unfinished part: bytes its record claims (unproven), and bytes of disk it takes up."""

    have_bytes: int
    part_bytes: int


def leftover_parts(
    calls: Calls, state: Folder | None, files: Iterable[RemoteFile], commit: str
) -> dict[str, Leftover]:
    """Return what earlier runs left of *files*, by path."""
    if state is None:
        return {}
    try:
        parts = calls.open_folder(state, PARTS)
    except FileNotFoundError:
        return {}
    left: dict[str, Leftover] = {}
    try:
        names = set(calls.names_in(parts))
        for file in files if names else ():
            kept = part_names(part_key(file, commit))
            if kept.part in names:
                claims = read_claims(calls, parts, kept, file, None) or ()
                try:
                    taken = allocated_bytes(calls.look(parts, kept.part))
                except FileNotFoundError:
                    continue  # somebody else has finished it
                left[file.path] = Leftover(sum(claim.length for claim in claims), taken)
    finally:
        calls.close_folder(parts)
    return left


def _status_at(calls: Calls, root: Folder, path: str, *, follow: bool) -> os.stat_result | None:
    folder, name = split_path(path)
    try:
        with folder_at(calls, root, folder, follow=follow) as opened:
            return calls.look(opened, name)
    except OSError:
        return None  # gone, or no longer where it was


def at_final_names(
    calls: Calls, root: Folder, receipts: Iterable[Receipt], *, follow: bool
) -> list[Receipt]:
    """Return those of *receipts* that fit what lies at their final names."""
    fitting = []
    for receipt in receipts:
        found = _status_at(calls, root, receipt.path, follow=follow)
        if found is not None and fits(receipt, found):
            fitting.append(receipt)
    return fitting


def renewed_by_link(
    calls: Calls, root: Folder, receipts: Iterable[Receipt], placed: Receipt, follow: bool
) -> list[Receipt]:
    """Return new receipts for the files that are one with *placed* and only got another name."""
    renewed = []
    for receipt in receipts:
        found = _status_at(calls, root, receipt.path, follow=follow)
        if found is None or (found.st_ino, receipt.digest) != (placed.inode, placed.digest):
            continue
        fresh = replace(receipt, ctime_ns=found.st_ctime_ns)
        if fresh != receipt and fits(fresh, found):
            renewed.append(fresh)
    return renewed


def recorded_size_at(calls: Calls, root: Folder, receipt: Receipt) -> int | None:
    """Return the size of the plain file at *receipt*'s final name, or None where there is none."""
    found = _status_at(calls, root, receipt.path, follow=True)
    return found.st_size if found is not None and stat.S_ISREG(found.st_mode) else None


def spent_seconds() -> tuple[float, float]:
    """Return a clock that always runs, and one that runs while this thread is busy."""
    return perf_counter(), thread_time()


InFolder = tuple[str, Sequence[int]]
"""A folder and rows of files in it."""


def _batches(paths: Sequence[str]) -> Iterator[list[InFolder]]:
    """Yield all rows, those of one folder one behind the other, in batches for one hop each."""
    batch: list[InFolder] = []
    room = LOOK_FILES
    for folder, rows in sorted(rows_by_folder(paths).items()):
        for start in range(0, len(rows), LOOK_FILES):
            some = rows[start : start + LOOK_FILES]
            if batch and len(some) > room:
                yield batch
                batch, room = [], LOOK_FILES
            batch.append((folder, some))
            room -= len(some)
    if batch:
        yield batch


class Survey:
    """Looks at many final names below one open folder; changes nothing."""

    def __init__(
        self,
        calls: Calls,
        root: Folder | None,
        state: Folder | None,
        receipts: Mapping[str, Packed],
        commit: str | None,
        *,
        follow: bool,
        through_links: bool = False,
        disk: anyio.CapacityLimiter,
        hashing: anyio.CapacityLimiter,
        spent: Callable[[], tuple[float, float]] = spent_seconds,
    ) -> None:
        self._calls = calls
        self._spent = spent
        self._root = root
        self._state = state
        self._receipts = receipts
        self._commit = commit
        self._follow, self._through_links = follow, through_links
        self._disk, self._hashing = disk, hashing

    async def look_at(
        self,
        files: Sequence[RemoteFile],
        *,
        verify: bool,
        progress: Callable[[int], None] | None,
        on_read: Progress | None = None,
    ) -> dict[str, Finding]:
        """Return what was found for each of *files*; *progress* hears how many are done.

        *on_read* hears of bytes as they are read.

        Raises:
            UnsafeError: a folder on the way to one is a link.
            StorageError: the disk cannot be read.
        """
        files = remote_files(files)
        table = files.table
        findings = dict.fromkeys(table.paths, ABSENT)
        unread: list[Case] = []
        known, waits = 0, False

        def note(found: Mapping[str, Finding], count: int) -> None:
            nonlocal known
            known += count
            findings.update(found)
            if progress is not None:
                progress(known)

        if self._root is None:
            note({}, len(files))
            return findings

        async def look(batch: list[InFolder]) -> None:
            nonlocal waits
            work = partial(self._look, table, batch, verify)
            found, open_cases, waits = await to_thread.run_sync(work, limiter=self._disk)
            unread.extend(open_cases)
            note(found, sum(len(rows) for _, rows in batch) - len(open_cases))

        batches = list(_batches(table.paths))
        await for_each(batches[:1], look, tasks=1)
        await for_each(batches[1:], look, tasks=LOOKS_AT_ONCE if waits else 1)

        async def read(case: Case) -> None:
            note({case.file.path: await self._read(case, on_read)}, 1)

        await for_each(unread, read, tasks=int(self._hashing.total_tokens))
        add_leftovers = partial(self._add_leftover_parts, files, findings)
        await to_thread.run_sync(add_leftovers, limiter=self._disk)
        return findings

    def _add_leftover_parts(
        self, files: Sequence[RemoteFile], findings: dict[str, Finding]
    ) -> None:
        """Note what unfinished parts claim to hold."""
        if self._state is None:
            return
        with translated(self._state.join(PARTS)):
            left = leftover_parts(self._calls, self._state, files, self._commit or "")
        for path, part in left.items():
            if not findings[path].is_right:
                findings[path] = replace(
                    findings[path], have_bytes=part.have_bytes, part_bytes=part.part_bytes
                )

    def _look(
        self, table: FileTable, batch: Sequence[InFolder], verify: bool
    ) -> tuple[dict[str, Finding], list[Case], bool]:
        """Return what is clear without reading, but for what is absent, and the other cases.

        And whether most of the time went by in waiting for the disk.
        """
        assert self._root is not None
        began, began_busy = self._spent()
        findings: dict[str, Finding] = {}
        unread: list[Case] = []
        for folder, rows in batch:
            try:
                with folder_at(self._calls, self._root, folder, follow=self._follow) as opened:
                    for row in rows:
                        found = self._look_at_one(opened, table, row, verify)
                        if isinstance(found, Case):
                            unread.append(found)
                        elif found is not ABSENT:
                            findings[table.paths[row]] = found
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno != errno.ENOTDIR:
                    raise translate(error, error.filename or self._root.join(folder)) from error
                blocker = os.path.relpath(error.filename or folder, self._root.path)
                blocked = Finding(Found.IN_THE_WAY, blocker=blocker.replace(os.sep, "/"))
                findings.update((table.paths[row], blocked) for row in rows)
        now, busy = self._spent()
        return findings, unread, busy - began_busy < (1 - WAITING_SHARE) * (now - began)

    def _look_at_one(
        self, folder: Folder, table: FileTable, row: int, verify: bool
    ) -> Finding | Case:
        path = table.paths[row]
        name = split_path(path)[1]
        try:
            found = self._calls.look(folder, name)
        except FileNotFoundError:
            return ABSENT
        if is_link(found) and self._through_links:
            try:
                found = self._calls.look_through(folder, name)
            except OSError:  # it leads nowhere, in circles, or where we may not go
                return ABSENT
        if is_link(found):
            return Finding(Found.LINK)
        if not stat.S_ISREG(found.st_mode):
            return Finding(Found.IN_THE_WAY, blocker=path)
        held = self._receipts.get(path)
        if not verify and _covers(held, found, table, row):
            return FITS  # what nearly all are the second time
        file, receipt = table.remote(row), None if held is None else unpack(path, held)
        same = receipt is not None and self._is_of(receipt, file)
        case = Case(file, receipt, found, same)
        return judge_unread(case, verify=verify) or case

    def _is_of(self, receipt: Receipt, file: RemoteFile) -> bool:
        if receipt.digest != file.digest or receipt.size != file.size_bytes:
            return False
        # Without a digest only the commit says that two files are the same.
        return file.digest is not None or self._commit in (None, receipt.commit)

    async def _read(self, case: Case, on_read: Progress | None) -> Finding:
        assert self._root is not None
        path, receipt = case.file.path, case.receipt
        algorithms: set[Algorithm] = set()
        if case.file.digest is not None and case.found.st_size == case.file.size_bytes:
            algorithms.add(case.file.digest.algorithm)
        if receipt is not None and receipt.digest is not None and not case.same:
            algorithms.add(receipt.digest.algorithm)
        content = await read_content(
            self._calls,
            self._root.join(path),
            opener_at(
                self._calls,
                self._root,
                path,
                follow=self._follow,
                through_links=self._through_links,
            ),
            algorithms,
            limiter=self._hashing,
            progress=on_read,
        )
        return judge_read(case, content, self._commit or "")
