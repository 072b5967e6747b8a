from __future__ import annotations

import io

from hfdl_async.display.screen import make_screen


class Broken(io.StringIO):
    def write(self, text: str) -> int:
        raise BrokenPipeError


def test_a_broken_pipe_ends_the_output_and_not_the_process() -> None:
    screen = make_screen(Broken())
    screen.print("one")  # rich's own console raises SystemExit here
    screen.print("two")


def test_text_is_taken_as_it_is() -> None:
    stream = io.StringIO()
    make_screen(stream).print("[red]:smile: 1.5")
    assert stream.getvalue() == "[red]:smile: 1.5\n"
