"""What was asked for, and what it means: whose files, from where, into which folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hfdl_async.core.model import RepoRef
from hfdl_async.core.options import Options
from hfdl_async.destination import find_cache
from hfdl_async.errors import UsageError
from hfdl_async.net import reference


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. Two equal requests may share one run."""

    repo: str
    files: tuple[str, ...]
    options: Options
    pinned: str | None = None  # a commit that is known already: it is not asked for again


@dataclass(frozen=True, slots=True)
class Target:
    """Whose files, from where, into which folder; known without asking anybody.

    Attributes:
        cache: the shared cache that is the destination instead of `folder`, or None.
        reuse_from: the folders whose content may be taken over.
        caches: the shared caches in which content may be found, whatever the destination.
    """

    repo: RepoRef
    files: tuple[str, ...]
    folder: Path
    cache: Path | None
    reuse_from: tuple[Path, ...]
    caches: tuple[Path, ...]
    options: Options

    @property
    def wants_proof(self) -> bool:
        """Whether nothing that somebody else may have written is to be believed."""
        options = self.options
        return options.verify or options.fix_broken or options.force


def named_target(repo: str, options: Options) -> reference.Target:
    """Return what the word *repo* names, and what *options* say of it. Imports the Hub's client.

    Raises:
        UsageError: it means nothing.
    """
    return reference.parse_target(
        repo,
        repo_type=options.repo_type,
        revision=options.revision,
        endpoint=options.endpoint,
    )


def find_target(request: Request) -> Target:
    """Return what *request* means. Imports the Hub's client: call it off the loop.

    Raises:
        UsageError: it means nothing.
    """
    options = request.options
    parsed = named_target(request.repo, options)
    files = request.files + ((parsed.path,) if parsed.path else ())
    base = options.local_dir or options.directory / parsed.repo.name
    cache = find_cache(options)
    caches = dict.fromkeys([cache or reference.default_cache(), reference.default_cache()])
    return Target(
        parsed.repo,
        files,
        base.expanduser().absolute(),
        cache,
        _folders_to_reuse(options),
        tuple(caches),
        options,
    )


def _folders_to_reuse(options: Options) -> tuple[Path, ...]:
    """Return the folders whose content may be taken over.

    Raises:
        UsageError: there is no such folder; a run without it would fetch what it should not.
    """
    folders = tuple(folder.expanduser().absolute() for folder in options.reuse_from)
    for folder in folders:
        if not os.path.isdir(folder):
            raise UsageError(
                f"--reuse-from: there is no folder {folder}",
                hint="name a folder whose content may be taken over, or leave the option out",
            )
    return folders
