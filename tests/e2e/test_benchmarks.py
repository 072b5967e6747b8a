"""The benchmark still runs and still counts; how fast anything is, no test says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not hasattr(os, "wait4"), reason="the benchmark needs wait4(2)"),
]


def test_a_small_benchmark_runs_and_its_requests_are_as_few_as_promised(tmp_path: Path) -> None:
    words = ["A", "D", "--quick", "--rounds=1", "--tools=hfdl,hf", "--hub=embedded"]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words, f"--output={tmp_path}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (tmp_path / "results.json").is_file(), done.stdout + done.stderr
    large, small = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["scenarios"]
    requests = {run["tool"]: run["requests"] for run in small["runs"]}
    assert requests["hfdl"]["GET resolve"] == 250
    assert requests["hf"]["HEAD resolve"] == 250  # so a HEAD would have been seen
    about_requests = [bar for bar in large["bars"] + small["bars"] if "requests" in bar["name"]]
    assert len(about_requests) == 5
    assert [bar for bar in about_requests if not bar["holds"]] == []


def test_the_benchmark_of_verify_still_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.verify_cache", "--rounds=2", "--size=4MiB"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    assert re.search(r"^hfdl verify: .* GB/s$", done.stdout, re.MULTILINE), done.stderr
    assert "of the time of hashing alone" in done.stdout
