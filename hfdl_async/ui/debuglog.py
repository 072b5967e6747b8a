"""What `--verbose` shows: the log of the library, on standard error."""

from __future__ import annotations

import logging
import sys

from hfdl_async.display.text import clean

LINE_LIMIT = 2000


class _Harmless(logging.Formatter):
    """A log line whose text from outside cannot drive the terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(clean(line, LINE_LIMIT) for line in super().format(record).splitlines())


def log_to_stderr() -> None:
    """Show what the library logs: the one place that configures logging."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Harmless("%(asctime)s %(name)s %(levelname)s %(message)s"))
    logger = logging.getLogger("hfdl_async")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
