from __future__ import annotations

import io

import pytest

from hfdl_async.core import events
from hfdl_async.display.narrator import BIG_FILE_BYTES
from hfdl_async.display.screen import Screen
from hfdl_async.display.terminal import TerminalDisplay, can_move
from tests.display.samples import HOSTILE, report, snapshot


class Glass(io.StringIO):
    """A terminal that can be closed in the middle."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__()
        self._encoding = encoding
        self.gone = False

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.gone:
            raise BrokenPipeError
        text.encode(self._encoding)
        return super().write(text)


def terminal(screen: Glass, width: int = 80) -> TerminalDisplay:
    console = Screen(file=screen, width=width, height=24, force_terminal=True, color_system=None)
    return TerminalDisplay(console)


def play(display: TerminalDisplay, title: str = "org/model", path: str = "a.bin") -> None:
    display.open(title)
    display.draw(snapshot(), [events.FilePublished(0.0, path, BIG_FILE_BYTES)])
    display.draw(snapshot(note=path), [])
    display.close(snapshot("done"), [events.Finished(0.0, report())])


def test_shows_bars_then_facts_above_and_a_summary_at_the_end() -> None:
    screen = Glass()
    play(terminal(screen))
    text = screen.getvalue()
    assert "61 %" in text
    assert "✓ a.bin  33.6 MB, verified" in text
    assert text.index("61 %") < text.index("org/model: 1 file, 600 MB in 6.0 s (100 MB/s)")


def test_the_summary_is_whole_on_a_narrow_terminal() -> None:
    screen = Glass()
    play(terminal(screen, width=40))
    assert "org/model: 1 file, 600 MB in 6.0 s (100 MB/s)" in screen.getvalue()


def test_the_cursor_is_back_at_the_end() -> None:
    screen = Glass()
    play(terminal(screen))
    text = screen.getvalue()
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


def test_a_terminal_that_is_not_utf8_gets_ascii_only() -> None:
    screen = Glass("ascii")
    play(terminal(screen), path="模型.bin")  # write() would raise
    assert "#" in screen.getvalue()
    assert "\\u6a21\\u578b.bin" in screen.getvalue()


def test_outside_text_adds_no_control_character_of_its_own() -> None:
    tame, hostile = Glass(), Glass()
    play(terminal(tame), title="a", path="a")
    play(terminal(hostile), title=HOSTILE, path=HOSTILE)
    assert hostile.getvalue().count("\x1b") == tame.getvalue().count("\x1b")
    assert "\x07" not in hostile.getvalue()
    assert "\u202e" not in hostile.getvalue()


@pytest.mark.parametrize("step", [0, 1, 2, 3])
def test_a_terminal_that_goes_away_raises_nothing(step: int) -> None:
    screen = Glass()
    display = terminal(screen)
    for number in range(4):
        screen.gone = screen.gone or number == step
        if number == 0:
            display.open("org/model")
        elif number < 3:
            display.draw(snapshot(), [events.FilePublished(0.0, "a", BIG_FILE_BYTES)])
        else:
            display.close(snapshot(), [events.Finished(0.0, report())])


def test_only_terminals_with_a_movable_cursor_get_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert can_move(Glass())
    assert not can_move(io.StringIO())
    assert not can_move(None)
    monkeypatch.setenv("TERM", "dumb")
    assert not can_move(Glass())
