"""The end of a run in a few lines."""

from __future__ import annotations

from hfdl_async.core.model import Report
from hfdl_async.display.narrator import Line, Tone
from hfdl_async.display.text import clean, count, duration, rate, size, size_of


def summary(report: Report) -> list[Line]:
    """Return the lines that say what *report* achieved; none where nothing was begun."""
    if report.status == "planned" or (report.status == "failed" and not report.files):
        return []
    repo = clean(report.repo.repo_id)
    statuses = report.statuses()
    failed = statuses.get("failed", 0)
    good = len(report.files) - failed
    took = duration(report.duration_seconds)
    tone: Tone = "good"
    if report.status == "interrupted":
        tone = "waiting"
        first = f"{repo}: stopped after {took}"
        if report.bytes.selected:
            first += f", {size_of(bytes_here(report), report.bytes.selected)} here"
    elif failed or report.status in ("partial", "failed"):
        tone = "failed"
        first = f"{repo}: {failed:,} of {count(len(report.files), 'file')} failed, {took}"
    elif report.bytes.downloaded == 0 and statuses.get("reused", 0) == good:
        every = "" if good == 1 else "all "
        first = f"{repo}: {every}{count(good, 'file')} here already, {size(report.bytes.selected)}"
    else:
        first = f"{repo}: {count(good, 'file')}, {size(report.bytes.selected)} in {took}"
        if report.bytes.downloaded:
            first += f" ({rate(report.mean_rate_bytes_per_second)})"
    lines = [Line(tone, first)]
    if details := _details(report):
        lines.append(Line("plan", details))
    return lines


def bytes_here(report: Report) -> int:
    """Return how much of the selection is on disk, finished or not."""
    counts = report.bytes
    return min(counts.selected, counts.downloaded + counts.reused + counts.resumed)


def _details(report: Report) -> str:
    counts, requests = report.bytes, report.requests
    parts = []
    if counts.downloaded:
        parts.append(f"downloaded {size(counts.downloaded)}")
    if counts.resumed:
        parts.append(f"resumed {size(counts.resumed)}")
    if counts.reused:
        parts.append(f"reused {size(counts.reused)}")
    total = requests.api + requests.resolve + requests.data
    if total:
        again = f" ({requests.retried:,} repeated)" if requests.retried else ""
        parts.append(count(total, "request") + again)
    if report.peak_connections:
        parts.append(f"up to {count(report.peak_connections, 'connection')}")
    if report.warnings:
        parts.append(count(len(report.warnings), "warning"))
    return ", ".join(parts)
