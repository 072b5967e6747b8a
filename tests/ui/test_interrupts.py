from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from hfdl_async.ui.interrupts import Interrupts, again, exit_code

AT_WORK = """
import sys, time
from hfdl_async.ui.interrupts import Interrupts
interrupts = Interrupts(["org/name", "--token", "hf_x"])
interrupts.install()
with interrupts.at_work():
    print("ready", flush=True)
    while {forever} or interrupts.signum is None:
        time.sleep(0.01)
print("saved", interrupts.signum, flush=True)
"""
STARTING = """
import time
from hfdl_async.ui.interrupts import Interrupts
Interrupts(["org/name"]).install()
print("ready", flush=True)
time.sleep(60)
"""


def start(code: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_a_signal_while_starting_ends_at_once_and_says_how_to_go_on(
    number: signal.Signals, code: int
) -> None:
    process = start(STARTING)
    process.send_signal(number)
    _, errors = process.communicate(timeout=10)
    assert process.returncode == code
    assert "interrupted before anything arrived\nhint: to start again, run: hfdl org/name" in errors
    assert "Traceback" not in errors


def test_the_first_signal_at_work_leaves_the_run_time_to_save() -> None:
    process = start(AT_WORK.format(forever=False))
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=10)
    assert output == f"saved {int(signal.SIGTERM)}\n"
    assert errors == ""
    assert process.returncode == 0


def test_a_signal_at_the_very_end_does_not_change_the_code() -> None:
    code = AT_WORK.format(forever=False) + (
        "import os\n"
        "class Late:\n"
        "    def __del__(self, kill=os.kill, pid=os.getpid()):\n"
        "        kill(pid, 2)\n"  # the interpreter has taken its handlers away
        "late = Late()\n"
        "raise SystemExit(130)\n"
    )
    process = start(code)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130


def test_a_run_with_more_to_do_is_left_in_its_own_way() -> None:
    code = AT_WORK.format(forever=True).replace(
        "interrupts.install()", "interrupts.install(); interrupts.leave = lambda: 'all gone'"
    )
    process = start(code)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=2)
    assert (process.returncode, errors) == (130, "all gone\n")


def test_the_second_signal_ends_at_once_with_the_code_of_the_first() -> None:
    process = start(AT_WORK.format(forever=True))
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)  # two presses, not the echo of one
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=2)
    assert process.returncode == 143
    assert "hfdl org/name --token TOKEN" in errors
    assert "hf_x" not in errors


@pytest.mark.deep
def test_a_run_that_cannot_save_is_left_after_three_seconds() -> None:
    process = start(AT_WORK.format(forever=True))
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=4)
    assert process.returncode == 130


def test_signals_that_the_parent_ignores_stay_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        Interrupts([]).install()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) != handlers[signal.SIGTERM]
    finally:
        signal.signal(signal.SIGHUP, before)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["org/name", "-d", "my folder"], "hfdl org/name -d 'my folder'"),
        (["org/name", "--no-resume"], "hfdl org/name"),
        (["--token", "hf_x", "org/name"], "hfdl --token TOKEN org/name"),
        (["--token=hf_x", "org/name"], "hfdl --token=TOKEN org/name"),
        (["--token", "-", "org/name"], "hfdl --token - org/name"),
        (["a\x1bb"], "hfdl 'a\\x1bb'"),
    ],
)
def test_the_command_to_continue_is_complete_and_tells_no_secret(
    arguments: list[str], command: str
) -> None:
    assert again(arguments) == command


def test_codes_follow_the_convention() -> None:
    assert [exit_code(number) for number in (signal.SIGINT, signal.SIGTERM)] == [130, 143]
