from __future__ import annotations

import io

import pytest

from hfdl_async.display import choose
from hfdl_async.display.plain import PlainDisplay
from hfdl_async.display.terminal import TerminalDisplay


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_program_shows_nothing_unless_it_asks() -> None:
    assert choose(None) is None
    assert choose(False) is None


def test_a_pipe_gets_lines_and_a_terminal_gets_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert isinstance(choose(True), PlainDisplay)
    monkeypatch.setattr("sys.stderr", Terminal())
    assert isinstance(choose(True), TerminalDisplay)
    assert isinstance(choose(True, plain=True), PlainDisplay)
