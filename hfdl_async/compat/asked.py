"""What both functions are told alike, in the words of the engine and of the cache."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import huggingface_hub as library
from huggingface_hub import DryRunFileInfo, constants
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined] # lazy export

from hfdl_async.core.hubcache import repo_folder_name
from hfdl_async.core.model import Action, Plan, PlannedFile, RepoType
from hfdl_async.core.options import DownloadOptions

PathLike = str | Path


@dataclass(frozen=True, slots=True)
class Asked:
    """What both functions are told alike, checked."""

    repo_id: str
    repo_type: RepoType
    revision: str
    cache_dir: str
    local_dir: str | None
    force: bool

    @classmethod
    def checked(
        cls,
        repo_id: str,
        repo_type: str | None,
        revision: str | None,
        cache_dir: PathLike | None,
        local_dir: PathLike | None,
        force: bool,
    ) -> Asked:
        """Return the arguments as they will be used.

        Raises:
            ValueError: one that cannot be.
        """
        validate_repo_id(repo_id)
        kind = repo_type or constants.REPO_TYPE_MODEL
        if kind not in ("model", "dataset", "space"):
            accepted = "model, dataset and space"
            raise ValueError(f"Invalid repo type: {kind}. Accepted repo types here are {accepted}.")
        resolved: str | None = getattr(revision, "resolved", revision)  # of a ResolvedRevision
        return cls(
            repo_id,
            cast("RepoType", kind),
            resolved or constants.DEFAULT_REVISION,
            _resolved(cache_dir or constants.HF_HUB_CACHE),
            None if local_dir is None else _resolved(local_dir),
            force,
        )

    @property
    def name(self) -> str:
        """The repo as the engine reads it: the type in front leaves no other reading."""
        return f"{self.repo_type}s/{self.repo_id}"

    @property
    def stored(self) -> str:
        """The repo's folder in the cache."""
        return os.path.join(self.cache_dir, repo_folder_name(self.repo_id, self.repo_type))

    def options(
        self, token: bool | str | None, endpoint: str | None, cache_dir: PathLike | None
    ) -> DownloadOptions:
        """Return the options of the engine; *cache_dir* is what the caller said."""
        options = DownloadOptions(
            revision=self.revision, token=token, endpoint=endpoint, force=self.force
        )
        if self.local_dir is None:
            options["cache_dir"] = self.cache_dir
            return options
        options["local_dir"] = self.local_dir
        if cache_dir is not None and os.path.isdir(self.stored):
            options["reuse_from"] = [self.stored]
        return options

    def has_snapshot(self) -> bool:
        """Return whether the library may have an answer without the Hub: a folder."""
        if self.local_dir is not None:
            return os.path.isdir(self.local_dir)
        places = (("snapshots", self.revision), ("refs", self.revision))
        return any(os.path.exists(os.path.join(self.stored, *place)) for place in places)

    def has_file(self, path: str) -> bool:
        """Return whether the library may have an answer without the Hub: this file."""
        if self.local_dir is not None:
            return os.path.isfile(os.path.join(self.local_dir, path))
        known = library.try_to_load_from_cache(
            self.repo_id,
            path,
            cache_dir=self.cache_dir,
            revision=self.revision,
            repo_type=self.repo_type,
        )
        return isinstance(known, str)

    def previews(self, plan: Plan) -> list[DryRunFileInfo]:
        """Return *plan* in the library's form."""
        folder = self.local_dir or str(plan.path)
        return [self._preview(item, plan.commit, folder) for item in plan.files]

    def _preview(self, item: PlannedFile, commit: str, folder: str) -> DryRunFileInfo:
        place = os.path.join(folder, *item.file.path.split("/"))
        here = item.action is not Action.FETCH and os.path.isabs(item.copy_of or os.sep)
        in_the_way = self.local_dir is not None and os.path.isfile(place)
        return DryRunFileInfo(
            commit_hash=commit,
            file_size=item.file.size_bytes,
            filename=item.file.path,
            local_path=place,
            is_cached=here or in_the_way,
            will_download=self.force or not here,
        )


def _resolved(path: PathLike) -> str:
    return str(Path(path).expanduser().resolve())
