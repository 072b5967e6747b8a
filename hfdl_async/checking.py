"""Re-checking a folder by content: against the Hub's digests, or offline against its receipts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import anyio

from hfdl_async.asking import Services, open_hub
from hfdl_async.core.finding import Finding, Found
from hfdl_async.core.model import Listing, RemoteFile, RepoRef, Report
from hfdl_async.core.options import Options
from hfdl_async.core.state import Owner
from hfdl_async.core.verdict import CheckStatus, VerifiedFile, VerifyReport
from hfdl_async.destination import Destination, in_cache
from hfdl_async.disk.localdir import LocalDir
from hfdl_async.engine.tally import Tally
from hfdl_async.errors import HfdlError, NotFoundError
from hfdl_async.net import reference
from hfdl_async.refusing import shorten
from hfdl_async.target import Request, named_target


class Place(TypedDict, total=False):
    """The option that names the place that was checked."""

    local_dir: Path
    cache_dir: Path


@dataclass(frozen=True, slots=True)
class Checked:
    """A folder that was re-checked, and how to repair it.

    `gone` are the files that the repo no longer has, so that nobody can bring them back.
    """

    report: VerifyReport
    owner: Owner
    place: Place
    gone: frozenset[str] = frozenset()

    @property
    def repairable(self) -> tuple[str, ...]:
        """Paths of files that are bad or missing, and can be fetched again."""
        return tuple(
            file.path
            for file in self.report.files
            if file.status in ("bad", "missing") and file.path not in self.gone
        )

    def repair_request(self, options: Options) -> Request:
        """Return the download that would make them right, at the same commit."""
        owner = self.owner
        repair = replace(
            options,
            repo_type=owner.repo_type,
            revision=owner.revision,
            **self.place,
            include=(),
            exclude=(),
            verify=True,
            fix_broken=True,
        )
        return Request(owner.repo_id, self.repairable, repair, pinned=owner.commit)

    def after_repair(self, repair: Report | None, error: HfdlError | None = None) -> VerifyReport:
        """Return the report with the files that *repair* made right marked as repaired.

        *error* is what ended the repair; it becomes a warning.
        """
        right = {file.path for file in repair.files if file.error is None} if repair else set()
        files = tuple(
            replace(file, status="repaired") if file.path in right and file.status != "ok" else file
            for file in self.report.files
        )
        seconds = self.report.duration_seconds + (repair.duration_seconds if repair else 0.0)
        told = repair.warnings if repair else ()
        warnings = list(dict.fromkeys((*self.report.warnings, *told)))
        if error is not None:
            warnings.append(f"not everything could be repaired: {error.message}")
        return replace(
            self.report,
            files=files,
            bytes_fetched=repair.bytes.downloaded if repair else 0,
            duration_seconds=seconds,
            warnings=tuple(warnings),
        )


async def check_folder(
    path: Path, options: Options, services: Services, tally: Tally, *, offline: bool
) -> Checked:
    """Read every file that was asked for in *path* and compare it with its digest.

    What was asked for and never became complete is missing.

    Raises:
        NotFoundError: nothing was downloaded there by us.
        HfdlError: the Hub cannot be asked (not with *offline*), or the disk cannot be read.
    """
    folder = LocalDir(path, follow_symlinks="symlinks" in options.allow)
    owner, receipts = await folder.owner(), await folder.receipts()
    unfinished = [file for file in await folder.selected() if file.path not in receipts]
    if owner is None or not (receipts or unfinished):
        raise NotFoundError(
            f"{path} holds nothing that hfdl has verified",
            hint="name the folder of a finished download, such as downloads/<repo name>; "
            "a repo in the shared cache is checked with --cache",
        )
    folder.pin(owner.commit)
    files = [RemoteFile(item.path, item.size, item.digest) for item in receipts.values()]
    found = _Found(folder, owner, [*files, *unfinished], {"local_dir": path})
    return await _check(found, options, services, tally, offline=offline)


async def check_cached(
    target: str, cache: Path, options: Options, services: Services, tally: Tally, *, offline: bool
) -> Checked:
    """Read every file that *cache* has of the repo *target* and compare it with its digest.

    Raises:
        NotFoundError: the cache has nothing of it.
        HfdlError: as `check_folder`.
    """
    parsed = await anyio.to_thread.run_sync(named_target, target, options)
    repo = parsed.repo
    place = in_cache(cache, repo, options)
    commit = await place.commit_of(repo.revision)
    if commit is not None:
        place.pin(commit)
    files = await place.selected() if commit is not None else ()
    if commit is None or not files:
        raise NotFoundError(
            f"{cache} has nothing of {repo.repo_id} at {repo.revision}",
            hint="check the name; `hfdl REPO --cache` downloads it",
        )
    owner = Owner(repo.repo_id, repo.repo_type, repo.endpoint, repo.revision, commit)
    found = _Found(place, owner, list(files), {"cache_dir": cache})
    return await _check(found, options, services, tally, offline=offline)


@dataclass(frozen=True, slots=True)
class _Found:
    """What there is to check."""

    destination: Destination
    owner: Owner
    files: list[RemoteFile]
    place: Place


async def _check(
    found: _Found, options: Options, services: Services, tally: Tally, *, offline: bool
) -> Checked:
    destination, owner, files = found.destination, found.owner, found.files
    endpoint = options.endpoint or reference.default_endpoint()
    repo = RepoRef(owner.repo_id, owner.repo_type, owner.revision, endpoint)
    if offline:
        listing = await destination.stored_listing(repo)
    else:
        listing, files = await _by_the_hub(files, repo, owner.commit, options, services, tally)
    warnings = [*options.warnings]
    if "cache_dir" in found.place:
        bare = [file.path for file in files if file.digest is None]
        files = [file for file in files if file.digest is not None]
        if bare:
            warnings.append(f"not checked, because no digest is known: {shorten(bare)}")
        whole = len(listing.files) if listing else len(files)
        if len(files) < whole:
            warnings.append(f"the cache has names for {len(files)} of this commit's {whole} files")
    listed = {file.path for file in (listing.files if listing else files)}
    gone = [file.path for file in files if file.path not in listed]
    if gone:
        warnings.append(f"of an older commit, checked by receipt only: {shorten(gone)}")
    tally.phase = "checking"
    tally.files_total, tally.listed_files = len(files), 0
    sizes = {destination.place_of(file): file.size_bytes for file in files}
    tally.bytes_total = sum(sizes.values())
    started = services.clock.monotonic()

    def on_checked(count: int) -> None:
        tally.listed_files = count

    read = 0

    def on_read(count: int) -> None:
        nonlocal read
        read += count
        tally.bytes_finished += count

    findings = await destination.survey(files, verify=True, progress=on_checked, on_read=on_read)
    checked = tuple(_judge(file, findings[file.path]) for file in files)
    report = VerifyReport(
        repo_id=owner.repo_id,
        repo_type=owner.repo_type,
        commit=owner.commit,
        path=destination.path,
        files=checked,
        bytes_checked=read,
        duration_seconds=services.clock.monotonic() - started,
        warnings=tuple(warnings),
    )
    return Checked(report, owner, found.place, frozenset(gone))


async def _by_the_hub(
    files: Sequence[RemoteFile],
    repo: RepoRef,
    commit: str,
    options: Options,
    services: Services,
    tally: Tally,
) -> tuple[Listing, list[RemoteFile]]:
    """Return *files* with the digests the Hub publishes for *commit*, not our own record."""

    def on_listed(count: int) -> None:
        tally.listed_files = count

    hub = await open_hub(repo, options, services)
    tally.hold = hub.hops.describe_hold
    listing = await hub.listing(commit, on_listed)
    listed = {file.path: file for file in listing.files}
    published = await hub.measure([listed[file.path] for file in files if file.path in listed])
    return listing, [*published, *(file for file in files if file.path not in listed)]


def _judge(file: RemoteFile, finding: Finding) -> VerifiedFile:
    status: CheckStatus = "bad"
    if finding.is_right and not finding.nameless:
        status = "ok"
    elif finding.state is Found.ABSENT or finding.nameless:
        status = "missing"
    found = file.digest if status == "ok" else finding.found
    return VerifiedFile(file.path, file.size_bytes, status, file.digest, found)
