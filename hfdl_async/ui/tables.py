"""What `plan`, `verify` and `status` print for people."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from hfdl_async.core.model import Action, Plan
from hfdl_async.core.verdict import VerifiedFile, VerifyReport
from hfdl_async.display.text import clean, count, duration, percent, size, size_of

FILES_SHOWN = 20  # of a plan: the largest; the report has all of them
DIGITS = 12  # of a digest: enough to tell two apart
_SIGNS = {Action.FETCH: "fetch", Action.REUSE: "reuse", Action.COPY: "copy"}


def plan_lines(plan: Plan) -> list[str]:
    """Return what a download would do, the largest files first."""
    where = f"{clean(plan.repo.repo_id)} ({plan.repo.repo_type}) at {clean(plan.commit[:10])}"
    lines = [f"{where}: {count(len(plan.files), 'file')}, {size(plan.bytes_selected)}"]
    largest = heapq.nsmallest(
        FILES_SHOWN, plan.files, key=lambda item: (-item.file.size_bytes, item.file.path)
    )
    for item in largest:
        have = f", {size(item.have_bytes)} of it here" if item.have_bytes else ""
        heals = ", replaces a damaged file" if item.heals else ""
        amount = size(item.file.size_bytes).rjust(8)
        lines.append(f"  {_SIGNS[item.action]}  {amount}  {clean(item.file.path)}{have}{heals}")
    if len(plan.files) > len(largest):
        rest = plan.bytes_selected - sum(item.file.size_bytes for item in largest)
        lines.append(f"  and {count(len(plan.files) - len(largest), 'more file')}, {size(rest)}")
    lines += [
        f"to fetch  {size(plan.bytes_to_fetch)}",
        f"to reuse  {size(plan.bytes_to_reuse)}",
        f"to write  {size(plan.bytes_to_write)}, {size(plan.disk_free)} free",
    ]
    if plan.to_remove:
        lines.append(f"to remove {count(len(plan.to_remove), 'file')} that the repo no longer has")
        lines += [f"  {clean(path)}" for path in plan.to_remove]
    for problem in plan.problems:
        about = f"{clean(problem.path)}: " if problem.path else ""
        message = clean(problem.message)
        about = "" if message.startswith(about) else about
        lines.append(f"problem ({problem.kind}): {about}{message}")
    return lines


def verify_lines(report: VerifyReport) -> list[str]:
    """Return one line per file that was not right, then the summary."""
    lines = [_verified(file) for file in report.files if file.status != "ok"]
    good = sum(1 for file in report.files if file.status == "ok")
    parts = [f"{good:,} ok"]
    for status in ("repaired", "bad", "missing"):
        number = sum(1 for file in report.files if file.status == status)
        if number:
            parts.append(f"{number:,} {status}")
    took = duration(report.duration_seconds)
    fetched = f", {size(report.bytes_fetched)} fetched" if report.bytes_fetched else ""
    checked = f"{count(len(report.files), 'file')}, {size(report.bytes_checked)} read{fetched}"
    lines.append(f"{clean(report.repo_id)}: {', '.join(parts)} ({checked} in {took})")
    return lines


def _verified(file: VerifiedFile) -> str:
    text = f"{file.status}: {clean(file.path)}"
    if file.status != "bad" or file.expected is None:
        return text
    if file.found is None:
        return f"{text} (its size is not the {file.size_bytes:,} bytes expected)"
    expected, found = (clean(digest.hex)[:DIGITS] for digest in (file.expected, file.found))
    return f"{text} ({file.expected.algorithm} {found}... instead of {expected}...)"


def status_lines(report: Mapping[str, object], base: str) -> list[str]:
    """Return what is under a folder; *report* is the JSON form of `hfdl status`."""
    folders = cast("Sequence[Mapping[str, Any]]", report["folders"])
    if not folders:
        return [f"nothing of hfdl's under {clean(base)}"]
    return [line for folder in folders for line in _folder(folder)]


def _folder(folder: Mapping[str, Any]) -> Iterable[str]:
    revision = f"@{clean(str(folder['revision']))}" if folder["revision"] else ""
    commit = f" ({clean(str(folder['commit'])[:10])})" if folder["commit"] else ""
    yield clean(str(folder["path"]))
    if folder["repo_id"]:
        yield f"  {folder['repo_type']} {clean(str(folder['repo_id']))}{revision}{commit}"
    else:
        yield "  of an unknown repo: its state does not say"
    complete = folder["complete"]
    yield f"  complete: {count(complete['files'], 'file')}, {size(complete['bytes'])}"
    for part in folder["unfinished"]:
        have, whole = part["have_bytes"], part["size_bytes"]
        share = f"{percent(have, whole)}, {size_of(have, whole)}"
        yield f"  resumable: {clean(str(part['path']))}: {share}"
    if holder := folder["holder"]:
        who = f"process {holder['pid']} on {clean(str(holder['host']))}"
        yield f"  in progress: {who}, since {clean(str(holder['since']))}"
