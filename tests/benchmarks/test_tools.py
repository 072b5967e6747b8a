"""Every tool is told the same: what, from where, to where, whom to trust."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.tools import TOOLS, Job, Tool, command, environment, version_words


@pytest.fixture
def job(tmp_path: Path) -> Job:
    paths = ("a/1.json", "b c.bin")
    return Job("http://127.0.0.1:9", "bench/x", paths, tmp_path / "target", tmp_path / "home")


URLS = [f"http://127.0.0.1:9/bench/x/resolve/main/{path}" for path in ("a/1.json", "b%20c.bin")]


def test_the_lists_name_each_address_and_its_file(job: Job) -> None:
    files = job.home / "files.txt"
    assert f"--input-file={files}" in command("aria2c", job)
    assert files.read_text() == f"{URLS[0]}\n out=a/1.json\n{URLS[1]}\n out=b c.bin\n"
    command("curl", job)
    first, second, *_ = files.read_text().splitlines()
    assert [first, second] == [f'url = "{URLS[0]}"', f'output = "{job.target}/a/1.json"']
    words = command("wget", job)
    assert files.read_text().split() == URLS
    assert "--cut-dirs=4" in words  # owner/name/resolve/main


@pytest.mark.parametrize("tool", TOOLS)
def test_each_tool_is_told_where_to_put_the_files(tool: Tool, job: Job) -> None:
    words = command(tool, job)
    if tool == "curl":  # which has it in its list
        words = [(job.home / "files.txt").read_text()]
    assert str(job.target) in " ".join(words)


@pytest.mark.parametrize("tool", TOOLS)
def test_each_tool_is_told_whom_to_trust(tool: Tool, job: Job, tmp_path: Path) -> None:
    trusting = replace(job, ca=tmp_path / "ca.pem")
    told = [*command(tool, trusting), *environment(trusting).values()]
    assert any(str(tmp_path / "ca.pem") in word for word in told)
    assert "SSL_CERT_FILE" not in environment(job)


def test_options_are_for_hfdl_alone(job: Job) -> None:
    with_options = replace(job, options=("--threads", "32"))
    assert "--threads" in command("hfdl", with_options)
    assert [tool for tool in TOOLS[1:] if "--threads" in command(tool, with_options)] == []


def test_a_plan_fetches_nothing(job: Job) -> None:
    plan = replace(job, verb="plan")
    assert command("hfdl", plan)[3] == "plan"
    assert "--dry-run" in command("hf", plan)


def test_no_login_no_proxy_and_no_setting_of_the_caller_gets_through(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HF_TOKEN", "HFDL_THREADS", "https_proxy", "PYTHONDONTWRITEBYTECODE"):
        monkeypatch.setenv(name, "1")
    env = environment(job)
    assert env.keys().isdisjoint({"HF_TOKEN", "HFDL_THREADS", "https_proxy"})
    assert "PYTHONDONTWRITEBYTECODE" not in env
    assert env["HF_ENDPOINT"] == "http://127.0.0.1:9"
    assert env["HF_HOME"] == str(job.home)


def test_each_tool_has_words_for_its_version() -> None:
    assert [version_words(tool)[-1].strip("-") for tool in TOOLS] == ["version"] * len(TOOLS)
