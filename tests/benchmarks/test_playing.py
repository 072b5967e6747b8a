"""What runs, what does not, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.playing import Setting, pages_of, play, tools_of
from benchmarks.scenarios import BY_NAME
from benchmarks.tools import TOOLS


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(tmp_path, tmp_path, TOOLS, 1, with_nginx=False, checkout=tmp_path)


def test_only_tools_that_were_asked_for_run(setting: Setting) -> None:
    tools, _ = tools_of(BY_NAME["A"], replace(setting, tools=("hfdl",)))
    assert tools == ["hfdl"]


def test_a_tool_that_is_not_installed_is_told(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    tools, notes = tools_of(BY_NAME["A"], setting)
    assert "aria2c" not in tools
    assert "aria2c is not installed" in notes


def test_a_baseline_takes_part_in_every_scenario(setting: Setting) -> None:
    tools, _ = tools_of(BY_NAME["G"], replace(setting, baseline=Path("/elsewhere")))
    assert tools == ["hfdl", "hfdl-base"]


def test_folders_are_entries_of_pages_too() -> None:
    assert pages_of(BY_NAME["A"]) == 1
    assert pages_of(BY_NAME["D"]) == 6  # 5,000 files, 50 folders
    assert pages_of(BY_NAME["G"]) == 101


@pytest.mark.parametrize("name", ["B", "F"])
def test_what_the_embedded_hub_cannot_do_is_skipped_with_a_reason(
    name: str, setting: Setting
) -> None:
    result = play(BY_NAME[name].quick(), setting)
    assert result.runs == ()
    assert result.notes[0].startswith("skipped: the embedded hub has neither TLS")


def test_memory_is_no_disk(setting: Setting) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir():
        pytest.skip("this system has no /dev/shm")
    (note,) = play(BY_NAME["H1"].quick(), replace(setting, disk=memory)).notes
    assert note == "skipped: /dev/shm is a tmpfs, no disk; name one with --disk DIR"
