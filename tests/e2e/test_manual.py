"""The page about the shared cache: what its manifest says works."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from hfdl_async.core.model import MIB
from tests.e2e.cachestage import Library, call, check_snapshot, snapshot_of
from tests.e2e.conftest import OpenShell, Serve
from tests.e2e.stage import model, small_disk

pytestmark = pytest.mark.e2e

PAGE = Path(__file__).resolve().parents[2] / "docs" / "shared-cache.md"


def manifest() -> str:
    [found] = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text("utf-8"), re.M | re.S)
    return str(found)


def test_the_init_container_fills_what_the_container_reads(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    [line] = re.findall(r"^ *command: (\[.*\])$", manifest(), re.M)
    program, *words = json.loads(line)
    assert program == "hfdl"
    variables = dict(re.findall(r"\{name: (HF_\w+), value: \"?([^\"}]+)\"?\}", manifest()))
    assert variables == {"HF_HUB_CACHE": "/cache", "HF_HUB_OFFLINE": "1"}
    repo, cache = model(MIB), place / "cache"
    hub = serve(repo)
    here = [str(cache) if word == "/cache" else word for word in words]
    shell(hub).run(*here).check()
    check_snapshot(cache, repo)
    hub.log.clear()
    reader = Library.at(hub, place, **{**variables, "HF_HUB_CACHE": str(cache)})
    assert reader.calls(call("snapshot_download", "org/model")) == [str(snapshot_of(cache, repo))]
    assert len(hub.log) == 0


def test_a_pinned_pod_that_starts_again_asks_nobody(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = model(MIB)
    hub = serve(repo)
    assert repo.head is not None
    words = (f"org/model@{repo.head.oid}", "--cache-dir", place / "cache", "--no-progress")
    shell(hub).run(*words).check()
    hub.log.clear()
    shell(hub).run(*words).check()
    assert len(hub.log) == 0


def test_where_all_is_there_a_read_only_mount_will_do(
    serve: Serve, shell: OpenShell, place: Path
) -> None:
    repo = model(MIB)
    hub = serve(repo)
    with small_disk(place / "volume") as volume:
        words = ("org/model", "--cache-dir", volume / "cache", "--json")
        shell(hub).run(*words).check()
        subprocess.run(["mount", "-o", "remount,ro", str(volume)], check=True)
        report = shell(hub).run(*words).check().report
        assert {file["status"] for file in report["files"]} == {"reused"}
        repo.commit({"config.json": b"{}"})
        ended = shell(hub).run(*words[:3]).check(7)
        assert "read-only" in " ".join(ended.errors).lower()
