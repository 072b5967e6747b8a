from __future__ import annotations

import io
import threading
from collections.abc import Callable

import pytest

from hfdl_async.core import events
from hfdl_async.display import Display
from hfdl_async.display.plain import PlainDisplay
from hfdl_async.display.screen import Screen
from hfdl_async.display.terminal import TerminalDisplay
from tests.display.samples import report, snapshot


def plain(stream: io.StringIO) -> Display:
    return PlainDisplay(stream)


def terminal(stream: io.StringIO) -> Display:
    return TerminalDisplay(Screen(file=stream, width=80, height=24, force_terminal=True))


KINDS = [plain, terminal]


@pytest.mark.parametrize("make", KINDS)
def test_a_display_can_be_opened_again_after_its_end(
    make: Callable[[io.StringIO], Display],
) -> None:
    stream = io.StringIO()
    display = make(stream)
    for _ in range(2):
        display.open("org/model")
        display.draw(snapshot(), [])
        display.close(snapshot("done"), [events.Finished(0.0, report())])
    assert stream.getvalue().count("1 file, 600 MB in 6.0 s") == 2


@pytest.mark.parametrize("make", KINDS)
def test_a_frame_that_was_abandoned_does_not_spoil_the_end(
    make: Callable[[io.StringIO], Display],
) -> None:
    display = make(io.StringIO())
    display.open("org/model")
    late = [threading.Thread(target=display.draw, args=(snapshot(), [])) for _ in range(8)]
    for thread in late:
        thread.start()
    display.close(snapshot("done"), [events.Finished(0.0, report())])
    for thread in late:
        thread.join()
    display.draw(snapshot(), [])
