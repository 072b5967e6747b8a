"""The entry point of the command, light on purpose: signals and streams first, then the rest."""

from __future__ import annotations

import gc
import sys

from hfdl_async import __version__
from hfdl_async.errors import StorageError
from hfdl_async.ui.interrupts import Interrupts
from hfdl_async.ui.out import accept_any_text, finish, plug_closed_streams, result, say


def main() -> None:
    """Run the command and end the process with its exit code."""
    # Little of what starting makes is ever garbage; looking for it takes a tenth of the start. A
    # run turns the collector on again.
    gc.disable()
    arguments = sys.argv[1:]
    interrupts = Interrupts(arguments)
    interrupts.install()
    plug_closed_streams()
    accept_any_text()
    if arguments in (["--version"], ["-v"]):
        code = _show_version()
    else:
        from hfdl_async.ui.cli import main as run_command

        code = run_command(arguments, interrupts)
    finish()
    sys.exit(code)


def _show_version() -> int:
    try:
        result(f"hfdl {__version__}")
    except StorageError as error:
        say(f"error: {error.message}\nhint: {error.hint}")
        return error.exit_code
    return 0


if __name__ == "__main__":
    main()
