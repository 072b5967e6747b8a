"""Writing to standard output and standard error, whatever they are and whether they still exist.

A reader that went away (`hfdl ... | head -c1`) costs the run nothing: the files are the result, so
the exit code stays that of the run and no message is printed about it. A result that its reader
waits for and that could not be stored (a full disk) is an error.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TextIO

from hfdl_async.errors import StorageError

ROWS_AT_ONCE = 500
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", -1)}


def plug_closed_streams() -> None:
    """Open the null device where standard streams are closed.

    Else the first file that the run opens would get the number 1 or 2, and be written to.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number: this one
    if sys.stdout is None:
        sys.stdout = _null()
    if sys.stderr is None:
        sys.stderr = _null()


def _null() -> TextIO:
    return open(os.devnull, "w", encoding="utf-8")


def accept_any_text() -> None:
    """Make both streams escape what their encoding cannot show instead of raising."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def result(text: str) -> None:
    """Write *text* and a newline to standard output.

    Raises:
        StorageError: where standard output leads to, there is no room for it.
    """
    with results():
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def result_path(path: str) -> None:
    """Write a path to standard output, byte for byte as the system has it.

    Raises:
        StorageError: where standard output leads to, there is no room for it.
    """
    raw = getattr(sys.stdout, "buffer", None)
    if raw is None or os.name == "nt":
        result(path)
        return
    with results():
        sys.stdout.flush()
        raw.write(os.fsencode(path) + b"\n")
        raw.flush()


def result_json(value: Mapping[str, object]) -> None:
    """Write *value* as JSON, in ASCII: it survives every encoding between here and its reader.

    What it has under `files` is written a few at a time, each on a line of its own, and may be an
    iterator: of a million files nobody wants the whole text in memory.
    """
    with results():
        sys.stdout.writelines(_report_text(value))
        sys.stdout.flush()


def _report_text(value: Mapping[str, object]) -> Iterator[str]:
    separator = "{\n  "
    for name, item in value.items():
        yield f"{separator}{json.dumps(name)}: "
        separator = ",\n  "
        if name == "files" and isinstance(item, Iterable):
            yield from _rows_text(iter(item))
        else:
            yield json.dumps(item, indent=2).replace("\n", "\n  ")
    yield "\n}\n"


def _rows_text(rows: Iterator[object]) -> Iterator[str]:
    before, after = "[", "]"
    while some := list(islice(rows, ROWS_AT_ONCE)):
        # Many in one call of the encoder, which is what it is fast at. Inside of a text a quotation
        # mark has a backslash before it, so these are the borders between rows and nothing else.
        text = json.dumps(some)[1:-1].replace('}, {"path": ', '},\n    {"path": ')
        yield f"{before}\n    {text}"
        before, after = ",", "\n  ]"
    yield before + after if before == "[" else after


def say(text: str) -> None:
    """Write *text* and a newline to standard error."""
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):
        _silence(sys.stderr)


def finish() -> None:
    """Write what is still buffered, so that nothing is left to fail when the process ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _silence(stream)


@contextlib.contextmanager
def results() -> Iterator[None]:
    """Go quiet when writing to standard output fails inside the block.

    Raises:
        StorageError: where standard output leads to, there is no room for it.
    """
    try:
        yield
    except ValueError:  # closed
        _silence(sys.stdout)
    except OSError as error:
        lost = error.errno in _NO_ROOM
        lost = lost or (error.errno == errno.EIO and not _is_device(sys.stdout))
        _silence(sys.stdout)
        if lost:
            raise StorageError(
                f"standard output: {error.strerror}",
                hint="the result could not be written; lead it to where there is room, "
                "and run again",
            ) from error


def _is_device(stream: TextIO) -> bool:
    """Return whether *stream* may be a terminal, which answers EIO when it has been closed."""
    try:
        return stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _silence(stream: TextIO) -> None:
    """Lead *stream* nowhere: the interpreter flushes it once more at its end."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
