from __future__ import annotations

import re

import pytest

from hfdl_async.ui.flags import COMMANDS, flags_of
from hfdl_async.ui.help import show_help

PANELS = ["What", "Where", "Network", "Safety", "Output"]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str]) -> str:
    show_help("download", everything=False)
    return capsys.readouterr().out


def test_the_help_has_five_panels(shown: str) -> None:
    assert re.findall(r"╭─ (\w+) ", shown) == PANELS


def test_the_help_shows_what_people_need_and_no_knobs(shown: str) -> None:
    for flag in flags_of("download"):
        assert (re.search(rf"{flag.long}\b(?!-)", shown) is None) == flag.knob, flag.long
    assert "--threads" not in shown
    assert all(re.search(rf"^  {command} ", shown, re.MULTILINE) for command in COMMANDS)


def test_everything_stands_under_help_all(capsys: pytest.CaptureFixture[str]) -> None:
    show_help("download", everything=True)
    shown = capsys.readouterr().out
    for flag in flags_of("download"):
        assert all(spelling in shown for spelling in flag.spellings), flag.spellings


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_the_help_of_every_command_fits_the_width(
    command: str,
    columns: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    show_help(command, everything=True)
    lines = capsys.readouterr().out.splitlines()
    boxed = [line for line in lines if line.startswith(("│", "╭", "╰"))]
    assert lines[0].startswith("Usage: hfdl")
    assert all(len(line) <= int(columns) for line in boxed)
