"""Many files as columns: values are made of a row when somebody asks for one.

Theory of operation. A repo may have a million files. As objects (path, size, digest, the hashes
that the cache keeps) they would take a gigabyte, and every walk of the garbage collector would
visit them. A table keeps three columns, some 250 bytes a file: the path, the size, and one string
of bytes with a leading mark and all hashes of the file in binary. `ListedFiles`, `RemoteFiles`,
`PlannedFiles` and `ReportedFiles` are views of a table that look like tuples of the values in
`core.model`.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import compress
from typing import TypeVar, overload

from hfdl_async.core.model import (
    Action,
    Algorithm,
    Digest,
    FileReport,
    FileStatus,
    ListedFile,
    PlannedFile,
    RemoteFile,
    Sums,
)
from hfdl_async.errors import HfdlError

UNKNOWN_SIZE = -1

# The mark says which hashes follow it: the digest, the id of the pointer, the name in Xet storage.
NO_DIGEST, MASKED, SHA1, SHA256 = range(4)
HAS_POINTER, HAS_XET = 4, 8
KINDS = 3  # the bits of the mark that say which digest there is
ALGORITHMS: Mapping[int, Algorithm] = {SHA1: "git-sha1", SHA256: "sha256"}
_MARKS = {name: mark for mark, name in ALGORITHMS.items()}
_WIDTHS = (0, 0, 20, 32)
_POINTER_BYTES, _XET_BYTES = 20, 32

T = TypeVar("T")


def pack_hashes(
    digest: Digest | None,
    *,
    masked: bool = False,
    pointer_id: str | None = None,
    xet_hash: str | None = None,
) -> bytes:
    """Return the hashes of one file, all of them checked before, as a table keeps them."""
    mark = MASKED if masked else NO_DIGEST if digest is None else _MARKS[digest.algorithm]
    mark |= (HAS_POINTER if pointer_id else 0) | (HAS_XET if xet_hash else 0)
    text = (digest.hex if digest else "") + (pointer_id or "") + (xet_hash or "")
    return bytes([mark]) + bytes.fromhex(text)


def digest_in(hashes: bytes) -> Digest | None:
    """Return the digest among *hashes*."""
    algorithm = ALGORITHMS.get(hashes[0] & KINDS)
    return None if algorithm is None else Digest(algorithm, content_in(hashes).hex())


def content_in(hashes: bytes) -> bytes:
    """Return the digest among *hashes* in binary, empty where there is none."""
    return hashes[1 : 1 + _WIDTHS[hashes[0] & KINDS]]


class FileTable:
    """The columns; whoever fills them lets go of the table before others look."""

    __slots__ = ("hashes", "paths", "sizes")

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.sizes = array("q")  # UNKNOWN_SIZE where nobody said
        self.hashes: list[bytes] = []

    def __len__(self) -> int:
        return len(self.paths)

    def add(self, file: ListedFile) -> None:
        """Append one file, whose hashes are hex of the right length."""
        self.paths.append(file.path)
        self.sizes.append(UNKNOWN_SIZE if file.size_bytes is None else file.size_bytes)
        self.hashes.append(
            pack_hashes(
                file.digest,
                masked=file.masked,
                pointer_id=file.pointer_id,
                xet_hash=file.xet_hash,
            )
        )

    def extend(self, other: FileTable) -> None:
        """Append all rows of *other*."""
        self.paths += other.paths
        self.sizes += other.sizes
        self.hashes += other.hashes

    def where(self, wanted: Sequence[bool]) -> FileTable:
        """Return a table of the rows for which *wanted* is true; values are shared."""
        taken = FileTable()
        taken.paths += compress(self.paths, wanted)
        taken.sizes.extend(compress(self.sizes, wanted))
        taken.hashes += compress(self.hashes, wanted)
        return taken

    def marks(self) -> set[int]:
        """Return which kinds of digest there are: NO_DIGEST, MASKED, SHA1, SHA256."""
        return {hashes[0] & KINDS for hashes in self.hashes}

    def first_with(self, mark: int) -> str | None:
        """Return the path of the first file with this kind of digest."""
        rows = zip(self.paths, self.hashes, strict=True)
        return next((path for path, hashes in rows if hashes[0] & KINDS == mark), None)

    def listed(self, row: int) -> ListedFile:
        """Return a row as the listing had it."""
        size, hashes = self.sizes[row], self.hashes[row]
        mark = hashes[0]
        pointer = 1 + _WIDTHS[mark & KINDS]
        xet = pointer + (_POINTER_BYTES if mark & HAS_POINTER else 0)
        return ListedFile(
            self.paths[row],
            None if size == UNKNOWN_SIZE else size,
            digest_in(hashes),
            mark & KINDS == MASKED,
            hashes[pointer:xet].hex() or None,
            hashes[xet : xet + _XET_BYTES].hex() or None,
        )

    def remote(self, row: int) -> RemoteFile:
        """Return a row, whose size is known, as a file that can be fetched."""
        return RemoteFile(self.paths[row], self.sizes[row], digest_in(self.hashes[row]))


class _Rows(Sequence[T]):
    """A view of a table that is as good as the tuple of its values."""

    __slots__ = ("table",)

    def __init__(self, table: FileTable) -> None:
        self.table = table

    @property
    def paths(self) -> Sequence[str]:
        """The paths alone, which cost nothing to have."""
        return self.table.paths

    def _value(self, row: int) -> T:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.table)

    @overload
    def __getitem__(self, row: int) -> T: ...
    @overload
    def __getitem__(self, row: slice) -> tuple[T, ...]: ...
    def __getitem__(self, row: int | slice) -> T | tuple[T, ...]:
        if isinstance(row, slice):
            return tuple(map(self._value, range(*row.indices(len(self)))))
        return self._value(range(len(self))[row])

    def __iter__(self) -> Iterator[T]:
        return map(self._value, range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return NotImplemented if not isinstance(other, Sequence) else False
        return all(mine == its for mine, its in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} files)"


class ListedFiles(_Rows[ListedFile]):
    """Files as a listing names them."""

    __slots__ = ()

    def _value(self, row: int) -> ListedFile:
        return self.table.listed(row)


class RemoteFiles(_Rows[RemoteFile]):
    """Files that can be fetched; every size is known."""

    __slots__ = ()

    def _value(self, row: int) -> RemoteFile:
        return self.table.remote(row)


class PlannedFiles(_Rows[PlannedFile]):
    """What will be done about files: most are simply fetched or are simply there.

    `here` has a byte for each row, 1 where nothing is to do, and `special` by row whatever is more
    than these two.
    """

    __slots__ = ("here", "special")

    def __init__(
        self, table: FileTable, here: bytes | bytearray, special: Mapping[int, PlannedFile]
    ) -> None:
        super().__init__(table)
        self.here = here
        self.special = special

    def to_do(self) -> list[PlannedFile]:
        """Return those that are not here."""
        return [self._value(row) for row, here in enumerate(self.here) if not here]

    def _value(self, row: int) -> PlannedFile:
        known = self.special.get(row)
        if known is not None:
            return known
        return PlannedFile(self.table.remote(row), Action.REUSE if self.here[row] else Action.FETCH)

    @property
    def sums(self) -> Sums:
        """The bytes of all of them, by what becomes of them."""
        special = self.special.values()
        sizes = self.table.sizes
        whole = sum(sizes)
        plain = whole - sum(compress(sizes, self.here))
        plain -= sum(sizes[row] for row in self.special if not self.here[row])
        return Sums(
            selected=whole,
            fetch=plain + sum(item.fetch_bytes for item in special),
            write=plain + sum(item.write_bytes for item in special),
            reserved=sum(item.reserved_bytes for item in special),
        )

    def reports(self) -> Iterator[Mapping[str, object]]:
        """Yield each file in the form of the report, without making values of them first."""
        for row, here in enumerate(self.here):
            yield _report(self.table, row, "reused" if here else "planned")


def _report(table: FileTable, row: int, status: FileStatus) -> Mapping[str, object]:
    """Return a file to which nothing happened in the form of the report."""
    hashes = table.hashes[row]
    algorithm = ALGORITHMS.get(hashes[0] & KINDS)
    return {
        "path": table.paths[row],
        "size_bytes": table.sizes[row],
        "status": status,
        "digest": algorithm and {"algorithm": algorithm, "hex": content_in(hashes).hex()},
        "error": None,
    }


class ReportedFiles(_Rows[FileReport]):
    """How planned files ended: the rows that are `here` were reused, others have an outcome.

    *unfinished* is what happened to those that have none.
    """

    __slots__ = ("_outcomes", "_unfinished", "here")

    def __init__(
        self,
        table: FileTable,
        here: bytes | bytearray,
        outcomes: Mapping[str, FileReport],
        unfinished: HfdlError,
    ) -> None:
        super().__init__(table)
        self.here = here
        self._outcomes = outcomes
        self._unfinished = unfinished

    def _value(self, row: int) -> FileReport:
        table, path = self.table, self.table.paths[row]
        size, digest = table.sizes[row], digest_in(table.hashes[row])
        if self.here[row]:
            return FileReport(path, size, "reused", digest)
        known = self._outcomes.get(path)
        return known or FileReport(path, size, "failed", digest, self._unfinished)

    def _acted_on(self) -> Iterator[FileReport]:
        return (self._value(row) for row, here in enumerate(self.here) if not here)

    def failed(self) -> list[FileReport]:
        """Return those that failed."""
        return [file for file in self._acted_on() if file.error is not None]

    def statuses(self) -> Mapping[FileStatus, int]:
        """Return how many ended in each way."""
        counts = Counter(file.status for file in self._acted_on())
        counts["reused"] += sum(self.here)
        return counts

    def reports(self) -> Iterator[Mapping[str, object]]:
        """Yield each in the form of the report, without making values of what was here."""
        for row, here in enumerate(self.here):
            yield _report(self.table, row, "reused") if here else self._value(row).to_dict()


def listed_files(files: Iterable[ListedFile]) -> ListedFiles:
    """Return *files*, whose hashes were checked, as a table."""
    if isinstance(files, ListedFiles):
        return files
    table = FileTable()
    for file in files:
        table.add(file)
    return ListedFiles(table)


def remote_files(files: Iterable[RemoteFile]) -> RemoteFiles:
    """Return *files*, whose digests were checked, as a table."""
    if isinstance(files, RemoteFiles):
        return files
    listed = (ListedFile(file.path, file.size_bytes, file.digest) for file in files)
    return RemoteFiles(listed_files(listed).table)


def planned_files(files: Sequence[PlannedFile]) -> PlannedFiles:
    """Return *files*, whose digests were checked, as a table."""
    if isinstance(files, PlannedFiles):
        return files
    here = bytes(item.action is Action.REUSE for item in files)
    return PlannedFiles(
        remote_files([item.file for item in files]).table, here, dict(enumerate(files))
    )


def paths_of(files: Sequence[ListedFile] | Sequence[RemoteFile]) -> Sequence[str]:
    """Return the paths of *files*, for nothing where they are a table."""
    if isinstance(files, _Rows):
        return files.paths
    return [file.path for file in files]
