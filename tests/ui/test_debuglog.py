from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from hfdl_async.ui.debuglog import log_to_stderr


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("hfdl_async")
    handlers, level = list(logger.handlers), logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def test_the_log_is_shown_and_cannot_drive_the_terminal(
    logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    log_to_stderr()
    logging.getLogger("hfdl_async.net").debug("the host said %s", "\x1b[2J\u202ehello")
    shown = capsys.readouterr().err
    assert "hfdl_async.net DEBUG the host said \\x1b[2J\\u202ehello" in shown
    assert "\x1b" not in shown
