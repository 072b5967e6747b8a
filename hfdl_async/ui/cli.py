"""The typer app, built from the table of flags, and the way from arguments to an exit code."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from difflib import get_close_matches
from typing import Any

import typer
from typer.core import TyperCommand

from hfdl_async import __version__
from hfdl_async.display.text import clean
from hfdl_async.errors import HfdlError, UsageError
from hfdl_async.ui import out
from hfdl_async.ui.argv import rewrite
from hfdl_async.ui.failure import bug_lines, error_lines, lost_folder, traceback_text
from hfdl_async.ui.flags import LATER, Flag, flags_of
from hfdl_async.ui.help import show_help
from hfdl_async.ui.interrupts import Interrupts
from hfdl_async.ui.settings import Settings, settle, wants_details

# How long a thread that wants the interpreter waits before it is handed over. Threads here sleep in
# the kernel, hash or write most of the time, and have little to do in between: with Python's 5 ms
# they wait for the loop's thread as long as a write takes: a seventh of the time of 8 x 512 MiB.
HAND_OVER_SECONDS = 0.0005

_LIKENESS = 0.8  # `--dirctory`, `--conections`; not `--proxy` for `--repo-type`

# Some versions of typer come with a click of their own; the class it raises for arguments that do
# not parse is reachable by this way in all of them.
_BadArguments: type[Exception] = typer.BadParameter.__mro__[1]


def main(arguments: Sequence[str], interrupts: Interrupts) -> int:
    """Run the command and return its exit code; never raises, never prints a bare traceback."""
    details = wants_details(list(arguments))
    if not arguments:
        out.say("error: name a repo to download\nhint: hfdl org/name; or see hfdl --help")
        return UsageError.exit_code
    try:
        command, *rest = rewrite(arguments)
        code = build_app(command, interrupts)(rest, standalone_mode=False, prog_name=command)
    except _BadArguments as error:
        out.say("\n".join(error_lines(_usage(error))))
        return UsageError.exit_code
    except HfdlError as error:
        if details:
            out.say(traceback_text(error))
        out.say("\n".join(error_lines(error)))
        return error.exit_code
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug of ours
        if details:
            out.say(traceback_text(error))
        lost = lost_folder(error)
        out.say("\n".join(error_lines(lost) if lost else bug_lines(error)))
        return lost.exit_code if lost else 1
    return int(code or 0)


def _usage(error: Exception) -> UsageError:
    """Translate what typer says about arguments."""
    option: str | None = getattr(error, "option_name", None)
    if hasattr(error, "possibilities") and option:
        context = getattr(error, "ctx", None)
        return _unknown_option(option, getattr(context, "info_name", None) or "download")
    formatted: Callable[[], str] = getattr(error, "format_message", lambda: str(error))
    message = " ".join(formatted().split()).rstrip(".")
    message = message[:1].lower() + message[1:]
    return UsageError(message)


def _unknown_option(name: str, command: str) -> UsageError:
    if name in LATER:
        return UsageError(f"{name} is not in this version")
    known = [item for flag in flags_of(command) for item in flag.spellings if len(item) > 2]
    near = get_close_matches(name, known, n=1, cutoff=_LIKENESS)
    meant = f"; did you mean {near[0]}?" if near else ""
    return UsageError(f"no such option: {clean(name)}{meant}")


def build_app(command: str, interrupts: Interrupts) -> typer.Typer:
    """Return the app of one *command*; building the options of all of them takes its time."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

    def add(name: str, run: Callable[..., int], *arguments: inspect.Parameter) -> None:
        if name == command:
            add_command(app, name, run, *arguments)

    def loop(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
        import gc

        from hfdl_async import loops

        gc.freeze()  # what was imported stays
        gc.enable()
        sys.setswitchinterval(HAND_OVER_SECONDS)
        with interrupts.at_work():
            return loops.run(work())

    def download(settings: Settings, repo: str, files: list[str] | None) -> int:
        from hfdl_async.ui import runs

        if settings.extra.get("dry_run"):
            return loop(lambda: runs.plan(repo, files or [], settings, interrupts))
        return loop(lambda: runs.download(repo, files or [], settings, interrupts))

    def plan(settings: Settings, repo: str, files: list[str] | None) -> int:
        from hfdl_async.ui import runs

        return loop(lambda: runs.plan(repo, files or [], settings, interrupts))

    def verify(settings: Settings, target: str) -> int:
        from hfdl_async.ui import runs

        return loop(lambda: runs.verify(target, settings, interrupts))

    def status(settings: Settings, directory: str) -> int:
        from hfdl_async.ui import runs

        return runs.status(directory or None, settings)

    def demo(settings: Settings) -> int:
        from hfdl_async.ui.demo import demo

        return loop(lambda: demo(settings, interrupts))

    add(
        "download", download, _argument("repo", "REPO"), _argument("files", "[FILES]...", many=True)
    )
    add("plan", plan, _argument("repo", "REPO"), _argument("files", "[FILES]...", many=True))
    add("verify", verify, _argument("target", "TARGET"))
    add("status", status, _argument("directory", "[DIR]", default=""))
    add("demo", demo)
    return app


class _TextCommand(TyperCommand):
    """A command whose values stay the text that was typed; `core.options` parses it.

    To make a string of a string, typer loads pydantic: a fifth of the time to the first request.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - typer's own
        given, rest, _ = self.make_parser(ctx).parse_args(args=args)
        parameters = self.get_params(ctx)
        for parameter in parameters:
            if parameter.is_eager and given.get(parameter.name):
                parameter.process_value(ctx, True)  # prints something and ends
        for parameter in parameters:
            if parameter.required and given[parameter.name] is None:
                ctx.fail(f"missing argument {parameter.metavar!r}")
        if rest:
            ctx.fail(f"got unexpected extra argument(s) ({clean(' '.join(rest))})")
        ctx.params.update(given)
        return []


def add_command(
    app: typer.Typer, command: str, run: Callable[..., int], *arguments: inspect.Parameter
) -> None:
    """Add *run* to *app*, with a signature that typer reads the options of *command* from."""
    names = [argument.name for argument in arguments]

    def call(**values: Any) -> int:  # noqa: ANN401 - typer decides, the table says what
        positional = {name: values.pop(name) for name in names}
        given = {flag.name: values.get(flag.name) for flag in flags_of(command)}
        settings = settle(command, given, os.environ)
        for note in settings.notes:
            out.say(note)
        if settings.verbose:
            from hfdl_async.ui.debuglog import log_to_stderr

            log_to_stderr()
        return run(settings, **positional)

    options = [_option(flag) for flag in flags_of(command)]
    parameters = [*arguments, *options, *_eager(command)]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {item.name: item.annotation for item in parameters}
    call.__doc__ = command
    app.command(command, cls=_TextCommand, add_help_option=False)(call)


def _argument(
    name: str, metavar: str, *, many: bool = False, default: object = None
) -> inspect.Parameter:
    required = not many and default is None
    info = typer.Argument(... if required else default, metavar=metavar)
    kind: Any = list[str] | None if many else str
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=kind)


def _option(flag: Flag) -> inspect.Parameter:
    default: Any = False if flag.kind == "switch" else None
    kinds: dict[str, Any] = {"text": str | None, "many": list[str] | None, "switch": bool}
    info = typer.Option(default, *flag.spellings, help=flag.help, metavar=flag.metavar or None)
    return inspect.Parameter(
        flag.name, inspect.Parameter.KEYWORD_ONLY, default=info, annotation=kinds[flag.kind]
    )


def _eager(command: str) -> list[inspect.Parameter]:
    """Return the options that print something and end."""

    def version(value: bool) -> None:
        if value:
            out.result(f"hfdl {clean(__version__)}")
            raise typer.Exit

    def some(value: bool) -> None:
        if value:
            show_help(command, everything=False)
            raise typer.Exit

    def everything(value: bool) -> None:
        if value:
            show_help(command, everything=True)
            raise typer.Exit

    rows: tuple[tuple[str, tuple[str, ...], Callable[[bool], None]], ...] = (
        ("version", ("--version", "-v"), version),
        ("help", ("--help", "-h"), some),
        ("help_all", ("--help-all",), everything),
    )
    return [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=typer.Option(False, *spellings, is_eager=True, callback=callback),
            annotation=bool,
        )
        for name, spellings, callback in rows
    ]
