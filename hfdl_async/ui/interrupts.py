"""What Ctrl-C, SIGTERM and SIGHUP do, from the first instruction of the process to its last.

Theory of operation. One handler, set with `signal.signal`, so that it is the same on Windows and
works while no loop runs. While nothing is at stake (starting up, printing the end) the first
signal ends the process at once. While a run is at work it only leaves a mark, which the run looks
at twenty times a second; a second signal, or `SAVING_SECONDS` without an end, leaves at once:
state on disk is valid at every moment, leaving early costs only bytes that were not claimed yet.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import NoReturn

SAVING_SECONDS = 2.8  # a person waits three seconds for Ctrl-C, not longer
ECHO_SECONDS = (
    0.05  # wrappers pass on a Ctrl-C that the terminal delivers, too: one press, two signals
)
SHOW_CURSOR = b"\x1b[?25h"

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # the last two: Unix only, Windows only


def exit_code(signum: int) -> int:
    """Return 130 for Ctrl-C, 143 for everything else that asks a process to end."""
    return 130 if signum == signal.SIGINT else 143


class Interrupts:
    """Remembers the first signal and acts on the second.

    `leave` is what to do, and then to say, instead of `message`, when there is no time to end well.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        self.signum: int | None = None
        self.leave: Callable[[], str] | None = None
        self._arguments = list(arguments)
        self._at_work = self._worked = self._told = False
        self._since = 0.0

    def install(self) -> None:
        """Take over the signals, except those the parent process told us to ignore (`nohup`)."""
        for name in _NAMES:
            signum = getattr(signal, name, None)
            if signum is not None and signal.getsignal(signum) != signal.SIG_IGN:
                signal.signal(signum, self._arrived)
                # The interpreter takes handlers away before it ends; a signal after that would
                # kill the process and its exit code.
                atexit.register(signal.signal, signum, signal.SIG_IGN)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Say that there is something to save as long as the block runs."""
        self._at_work = self._worked = True
        try:
            yield
        finally:
            self._at_work = False

    def message(self, *, arrived: bool = True) -> str:
        """Return what to tell a person who stopped a run: how to go on."""
        self._told = True
        command = again(self._arguments)
        if not arrived:
            return f"interrupted before anything arrived\nhint: to start again, run: {command}"
        return f"interrupted: what arrived is saved\nhint: to continue, run: {command}"

    def _arrived(self, signum: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self._at_work:
            self._leave(signum)
        if self.signum is None:
            self.signum, self._since = signum, now
            deadline = threading.Timer(SAVING_SECONDS, self._leave, (signum,))
            deadline.daemon = True
            deadline.start()
        elif signum != self.signum or now - self._since > ECHO_SECONDS:
            self._leave(self.signum)

    def _leave(self, signum: int) -> NoReturn:
        # In a thread of its own: a terminal stopped with Ctrl-S blocks a write for ever.
        writer = threading.Thread(target=self._say_goodbye, daemon=True)
        writer.start()
        writer.join(0.2)
        os._exit(exit_code(signum))

    def _say_goodbye(self) -> None:
        if self._told:
            return
        with contextlib.suppress(OSError, ValueError):
            text = self.leave() if self.leave else self.message(arrived=self._worked)
            if os.isatty(2):
                os.write(2, SHOW_CURSOR + b"\r\n")
            os.write(2, text.encode("utf-8", "backslashreplace") + b"\n")


def again(arguments: Sequence[str]) -> str:
    """Return the complete command that continues, without secrets and without `--no-resume`."""
    import shlex

    kept: list[str] = []
    secret_follows = False
    for argument in arguments:
        if secret_follows:
            kept.append(argument if argument == "-" else "TOKEN")
            secret_follows = False
        elif argument.startswith("--token="):
            kept.append("--token=TOKEN")
        elif argument != "--no-resume":  # it would forget what was just saved
            kept.append(argument)
            secret_follows = argument == "--token"
    if sys.platform == "win32":
        import subprocess

        shown = subprocess.list2cmdline(["hfdl", *kept])
    else:
        shown = shlex.join(["hfdl", *kept])
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in shown)
