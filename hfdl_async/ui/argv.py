"""The short form: `hfdl org/name` becomes `hfdl download org/name` before typer sees it."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from hfdl_async.errors import UsageError
from hfdl_async.ui.flags import COMMANDS, RESERVED, takes_value

_LIKENESS = 0.72  # `verfy`, `paln`, `downlaod` are near enough; `gpt2`, `clip`, `llama` are not
_ASKING_FOR_HELP = {"help": "hfdl --help", "version": "hfdl --version"}


def rewrite(arguments: Sequence[str]) -> list[str]:
    """Return *arguments* with the command first.

    The first argument that is no option, and no option's value, is the command or a repo.

    Raises:
        UsageError: a word kept for later, or one that is nearly a command.
    """
    position = _first_word(arguments)
    if position is None:
        return ["download", *arguments]
    word = arguments[position]
    if position > 0 and arguments[position - 1] == "--":
        return ["download", *arguments]  # what follows is a repo, whatever it is called
    if word in COMMANDS:
        return [word, *arguments[:position], *arguments[position + 1 :]]
    _refuse_near_misses(word)
    return ["download", *arguments]


def _first_word(arguments: Sequence[str]) -> int | None:
    skip = False
    for position, argument in enumerate(arguments):
        if skip:
            skip = False
        elif argument == "--":
            return position + 1 if position + 1 < len(arguments) else None
        elif argument.startswith("-") and argument != "-":
            skip = takes_value(argument)
        else:
            return position
    return None


def _refuse_near_misses(word: str) -> None:
    repo = f"for a repo of that name: hfdl download {word}"
    if word in RESERVED:
        raise UsageError(f"`hfdl {word}` does not exist yet", hint=repo)
    if not word.isascii() or not word.isalpha():
        return  # a slash, a digit, a colon: no slip of the finger makes these of a command
    if word.lower() in _ASKING_FOR_HELP:
        meant = _ASKING_FOR_HELP[word.lower()]
        raise UsageError(f"there is no command {word!r}", hint=f"did you mean `{meant}`? {repo}")
    near = get_close_matches(word.lower(), COMMANDS, n=1, cutoff=_LIKENESS)
    if near:
        raise UsageError(
            f"there is no command {word!r}", hint=f"did you mean `hfdl {near[0]}`? {repo}"
        )
