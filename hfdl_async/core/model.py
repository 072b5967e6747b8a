"""The values everything else passes around. All frozen; ranges are half-open."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from hfdl_async.errors import HfdlError

KIB, MIB, GIB = 2**10, 2**20, 2**30
MB, GB = 10**6, 10**9

RepoType = Literal["model", "dataset", "space"]
Algorithm = Literal["sha256", "git-sha1"]


@dataclass(frozen=True, slots=True)
class RepoRef:
    """A repo and the revision that was asked for, at one endpoint (no trailing slash)."""

    repo_id: str
    repo_type: RepoType = "model"
    revision: str = "main"
    endpoint: str = "https://huggingface.co"

    @property
    def name(self) -> str:
        """The last part of the id: the folder a download gets by default."""
        return self.repo_id.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Digest:
    r"""What the Hub publishes of a file's content, in lower-case hex.

    `sha256` of the bytes for large (LFS, Xet) files; `git-sha1`, the id git gives the blob
    (SHA-1 over `b"blob <size>\0"` and the bytes), for the rest.
    """

    algorithm: Algorithm
    hex: str

    def to_dict(self) -> dict[str, str]:
        """Return the report's form."""
        return {"algorithm": self.algorithm, "hex": self.hex}


@dataclass(frozen=True, slots=True)
class ListedFile:
    """One file as a listing names it; a mirror may leave out the size or the digest.

    `masked` says that the Hub hides the digest because access was not granted. `pointer_id` is the
    git id of the pointer that stands for a large file in the repo, and `xet_hash` its name in the
    Xet storage: nothing here asks for either, but the shared cache keeps both.
    """

    path: str
    size_bytes: int | None
    digest: Digest | None
    masked: bool = False
    pointer_id: str | None = None
    xet_hash: str | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """Every file of one commit, in the order of the Hub."""

    commit: str
    files: Sequence[ListedFile]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file that can be fetched and proven.

    `digest` is None only where the user allowed a mirror that publishes none.
    """

    path: str
    size_bytes: int
    digest: Digest | None

    @property
    def content_key(self) -> str | None:
        """A name that two files share if and only if they hold the same content, if known."""
        if self.digest is None:
            return None
        return f"{self.digest.algorithm}-{self.digest.hex}-{self.size_bytes}"


@dataclass(frozen=True, slots=True, order=True)
class ByteRange:
    """A half-open span of bytes: start included, stop excluded."""

    start: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.stop:
            raise ValueError(f"not a range: {self.start}..{self.stop}")

    def __len__(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that arrived, and where in the file they belong.

    `data` is a lease: whoever takes the chunk calls `release` exactly once, after the write.
    """

    offset: int
    data: bytes | bytearray | memoryview
    release: Callable[[], None] = field(default=lambda: None, compare=False)

    @property
    def span(self) -> ByteRange:
        """The bytes of the file this chunk covers."""
        return ByteRange(self.offset, self.offset + len(self.data))


class Action(Enum):
    """What a download does about one selected file."""

    FETCH = "fetch"  # from the Hub
    REUSE = "reuse"  # already at its final name, covered by a receipt or by its content
    COPY = "copy"  # the same content is, or will be, elsewhere on this machine


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """One selected file and what will be done about it.

    Attributes:
        file: the file as the pinned commit has it.
        action: fetch, reuse or copy.
        have_bytes: bytes that an unfinished part claims to hold already.
        part_bytes: disk space that this part takes up already; it was reserved when it was made.
        copy_of: for COPY, an absolute path, or the path in this repo of a file of equal content.
        linked: for COPY, that a hard link does, which takes up no space.
        heals: the old file at the final name rotted; publishing replaces it.
        repair_from: absolute path of a damaged file of ours whose good cells may be taken over.
    """

    file: RemoteFile
    action: Action
    have_bytes: int = 0
    part_bytes: int = 0
    copy_of: str | None = None
    linked: bool = False
    heals: bool = False
    repair_from: str | None = None

    @property
    def fetch_bytes(self) -> int:
        """Bytes the network still has to bring."""
        return self.file.size_bytes - self.have_bytes if self.action is Action.FETCH else 0

    @property
    def write_bytes(self) -> int:
        """Bytes the disk still has to take."""
        if self.action is Action.COPY:
            return 0 if self.linked else self.file.size_bytes
        return self.fetch_bytes

    @property
    def reserved_bytes(self) -> int:
        """Disk space that its part keeps for what is to be written: nobody else can take it."""
        if self.action is not Action.FETCH:
            return 0
        return max(0, min(self.part_bytes, self.file.size_bytes) - self.have_bytes)


@dataclass(frozen=True, slots=True)
class Sums:
    """Bytes of a plan: of all its files, still to be fetched, to be written, reserved by parts."""

    selected: int = 0
    fetch: int = 0
    write: int = 0
    reserved: int = 0


@runtime_checkable
class Summed(Protocol):
    """Planned files that know their sums and reports without being looked at one by one."""

    @property
    def sums(self) -> Sums:
        """The bytes of all of them."""
        ...

    def to_do(self) -> Sequence[PlannedFile]:
        """Return those that are not here."""
        ...

    def reports(self) -> Iterator[Mapping[str, object]]:
        """Yield each in the form of the report."""
        ...


@runtime_checkable
class Accounted(Protocol):
    """Outcomes of files that are known without a value for each: most files need none."""

    def failed(self) -> list[FileReport]:
        """Return those that failed."""
        ...

    def statuses(self) -> Mapping[FileStatus, int]:
        """Return how many ended in each way."""
        ...

    def reports(self) -> Iterator[Mapping[str, object]]:
        """Yield each in the form of the report."""
        ...


@dataclass(frozen=True, slots=True)
class ResumeFacts:
    """What a part brought along from an earlier run, and what of it was wrong."""

    proven_bytes: int = 0
    rejected_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Problem:
    """Why one file, or the whole plan, cannot be carried out (`kind` as `HfdlError.kind`)."""

    path: str | None
    kind: str
    message: str

    def to_dict(self) -> dict[str, str | None]:
        """Return the JSON form."""
        return {"path": self.path, "class": self.kind, "message": self.message}


@dataclass(frozen=True, slots=True)
class Plan:
    """What a download will do, known and checked before the first byte of content.

    `to_remove` are the paths of files that the repo no longer has, where they are to be pruned.
    """

    repo: RepoRef
    commit: str
    path: Path
    files: Sequence[PlannedFile]
    disk_free: int
    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()
    requests: RequestCounts = field(default_factory=lambda: RequestCounts())
    duration_seconds: float = 0.0
    to_remove: tuple[str, ...] = ()

    @property
    def sums(self) -> Sums:
        """All sums at once; each of those below is one of them."""
        if isinstance(self.files, Summed):
            return self.files.sums
        return Sums(
            selected=sum(item.file.size_bytes for item in self.files),
            fetch=sum(item.fetch_bytes for item in self.files),
            write=sum(item.write_bytes for item in self.files),
            reserved=sum(item.reserved_bytes for item in self.files),
        )

    @property
    def to_do(self) -> Sequence[PlannedFile]:
        """The files that are not simply here."""
        if isinstance(self.files, Summed):
            return self.files.to_do()
        return [item for item in self.files if item.action is not Action.REUSE]

    @property
    def bytes_selected(self) -> int:
        """Sum of the sizes of all selected files."""
        return self.sums.selected

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes the network still has to bring."""
        return self.sums.fetch

    @property
    def bytes_to_reuse(self) -> int:
        """Bytes that are here already, in place or elsewhere on this machine."""
        return self.sums.selected - self.sums.fetch

    @property
    def bytes_to_write(self) -> int:
        """Bytes the disk still has to take."""
        return self.sums.write

    @property
    def bytes_reserved(self) -> int:
        """Disk space that is not free because unfinished parts keep it for this plan."""
        return self.sums.reserved

    def file_dicts(self) -> Iterator[Mapping[str, object]]:
        """Yield the report's form of each file, one at a time: there may be a million."""
        if isinstance(self.files, Summed):
            yield from self.files.reports()
            return
        for item in self.files:
            file = item.file
            status: FileStatus = "reused" if item.action is Action.REUSE else "planned"
            yield FileReport(file.path, file.size_bytes, status, file.digest).to_dict()

    def to_dict(self) -> dict[str, object]:
        """Return the report form (`schema` 1) with a `plan` object."""
        return {**self.outline(), "files": list(self.file_dicts())}

    def outline(self) -> dict[str, object]:
        """Return what `to_dict` does, with no files: those are in `file_dicts`."""
        sums = self.sums
        report = Report(
            repo=self.repo,
            status="planned",
            exit_code=0,
            commit=self.commit,
            path=self.path,
            bytes=ByteCounts(selected=sums.selected),
            requests=self.requests,
            duration_seconds=self.duration_seconds,
            warnings=self.warnings,
        )
        plan = {
            "bytes_to_fetch": sums.fetch,
            "bytes_to_reuse": sums.selected - sums.fetch,
            "bytes_to_write": sums.write,
            "disk_free": self.disk_free,
            "problems": [problem.to_dict() for problem in self.problems],
            "to_remove": list(self.to_remove),
        }
        return {**report.outline(), "plan": plan}


FileStatus = Literal["downloaded", "resumed", "reused", "planned", "failed"]
RunStatus = Literal["ok", "partial", "failed", "interrupted", "planned"]


@dataclass(frozen=True, slots=True)
class FileReport:
    """How one selected file ended."""

    path: str
    size_bytes: int
    status: FileStatus
    digest: Digest | None
    error: HfdlError | None = None

    def to_dict(self) -> dict[str, object]:
        """Return the JSON form; `error` is null for a good file."""
        return {
            "path": self.path,
            "size_bytes": self.size_bytes,
            "status": self.status,
            "digest": self.digest.to_dict() if self.digest else None,
            "error": _error_dict(self.error),
        }


def _error_dict(error: HfdlError | None) -> dict[str, object] | None:
    if error is None:
        return None
    return {"class": error.kind, "message": error.message, "hint": error.hint}


@dataclass(frozen=True, slots=True)
class ByteCounts:
    """Sums of payload bytes: off the wire, already complete, taken over from earlier runs."""

    selected: int = 0
    downloaded: int = 0
    reused: int = 0
    resumed: int = 0


@dataclass(frozen=True, slots=True)
class RequestCounts:
    """HTTP requests by kind; `retried` counts those among them that repeated a failed one."""

    api: int = 0
    resolve: int = 0
    data: int = 0
    retried: int = 0


@dataclass(frozen=True)  # no slots: it keeps what it found out about its files
class Report(os.PathLike[str]):
    """What a run achieved; also usable as the path of the folder it filled.

    `error` is what ended it, or what the failures of its files add up to.
    """

    repo: RepoRef
    status: RunStatus
    exit_code: int
    commit: str | None = None
    path: Path | None = None
    files: Sequence[FileReport] = ()
    bytes: ByteCounts = ByteCounts()
    requests: RequestCounts = RequestCounts()
    duration_seconds: float = 0.0
    peak_connections: int = 0
    warnings: tuple[str, ...] = ()
    error: HfdlError | None = None

    def __bool__(self) -> bool:
        """Return True: a run that ended before it knew its files has a report, too."""
        return True

    def __fspath__(self) -> str:
        if self.path is None:
            raise ValueError("this run ended before its folder was known")
        return str(self.path)

    def __getitem__(self, name: str) -> Path:
        """Return the path of one selected file that is in place.

        Raises:
            KeyError: the file was not selected, or is not in place.
        """
        if name not in self._in_place:
            raise KeyError(name)
        return Path(self) / name

    @cached_property
    def _in_place(self) -> Collection[str]:
        return {file.path for file in self.files if file.status not in ("failed", "planned")}

    def __iter__(self) -> Iterator[str]:
        return (file.path for file in self.files)

    def __len__(self) -> int:
        return len(self.files)

    @property
    def mean_rate_bytes_per_second(self) -> float:
        """Payload bytes off the wire per second of the whole run."""
        return self.bytes.downloaded / self.duration_seconds if self.duration_seconds else 0.0

    def statuses(self) -> Mapping[FileStatus, int]:
        """Return how many files ended in each way."""
        if isinstance(self.files, Accounted):
            return self.files.statuses()
        return Counter(file.status for file in self.files)

    def file_dicts(self) -> Iterator[Mapping[str, object]]:
        """Yield the JSON form of each file, one at a time: there may be a million."""
        if isinstance(self.files, Accounted):
            return self.files.reports()
        return (file.to_dict() for file in self.files)

    def to_dict(self) -> dict[str, object]:
        """Return the report as `--json` prints it (`schema` 1)."""
        return {**self.outline(), "files": list(self.file_dicts())}

    def outline(self) -> dict[str, object]:
        """Return what `to_dict` does, with no files: those are in `file_dicts`."""
        return {
            "schema": 1,
            "status": self.status,
            "exit_code": self.exit_code,
            "repo_id": self.repo.repo_id,
            "repo_type": self.repo.repo_type,
            "revision": self.repo.revision,
            "commit": self.commit,
            "endpoint": self.repo.endpoint,
            "path": str(self.path) if self.path else None,
            "files": [],
            "bytes": _counts(self.bytes, ("selected", "downloaded", "reused", "resumed")),
            "requests": _counts(self.requests, ("api", "resolve", "data", "retried")),
            "duration_seconds": round(self.duration_seconds, 3),
            "mean_rate_bytes_per_second": round(self.mean_rate_bytes_per_second, 1),
            "peak_connections": self.peak_connections,
            "warnings": list(self.warnings),
            "error": _error_dict(self.error),
        }


def _counts(counts: object, names: Iterable[str]) -> Mapping[str, int]:
    return {name: getattr(counts, name) for name in names}
