"""Draw `docs/progress.svg`: frames of a real download from the embedded hub, exported by rich.

Run from the root of the project: `python docs/progress_picture.py`.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio
from rich.text import Text

from hfdl_async.api import Downloader
from hfdl_async.core.events import Event, Finished
from hfdl_async.core.progress import Snapshot
from hfdl_async.display.frame import Look, frame, line
from hfdl_async.display.narrator import Line, Narrator
from hfdl_async.display.screen import Screen
from hfdl_async.display.summary import summary
from hfdl_async.serving.process import serve_in_process

REPO = "loopback/demo-model"
HUB = ["--generate", REPO, "--size", "600MB", "--rate", "150MB"]
TARGET = Path(__file__).with_name("progress.svg")
LOOK = Look(width=88, height=24)
FIRST_SHARE, SECOND_SHARE = 0.35, 0.62  # when the first run is stopped, when the picture is taken


class Album:
    """A display that keeps what a terminal would show: facts so far, and the frame now."""

    beat_seconds = 0.05

    def __init__(self) -> None:
        self.told: list[Line] = []
        self.frames: list[tuple[float, list[Text], int]] = []
        self.end: list[Line] = []
        self._title = ""
        self._narrator = Narrator()

    def open(self, title: str) -> None:
        """Remember the title."""
        self._title = title

    def draw(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        """Keep the frame."""
        self.told += self._narrator.tell(facts)
        if snapshot.bytes_total and snapshot.phase == "downloading":
            share = snapshot.bytes_done / snapshot.bytes_total
            self.frames.append((share, frame(self._title, snapshot, LOOK), len(self.told)))

    def close(self, snapshot: Snapshot, facts: Sequence[Event]) -> None:
        """Keep the summary."""
        self.told += self._narrator.tell(facts)
        for fact in facts:
            if isinstance(fact, Finished):
                self.end = summary(fact.report)


def far_enough(seen: Snapshot) -> bool:
    """Return whether the first run has got as far as it should."""
    return seen.bytes_total > 0 and seen.bytes_done >= FIRST_SHARE * seen.bytes_total


async def two_runs() -> Album:
    """Stop a download, start it again, and return what the second one showed."""
    with serve_in_process(HUB) as served, tempfile.TemporaryDirectory() as folder:
        async with Downloader(endpoint=served.endpoint, local_dir=folder, token=False) as loader:
            async with loader.start(REPO) as job:
                while not far_enough(job.snapshot()):  # noqa: ASYNC110 - a snapshot wakes nobody
                    await anyio.sleep(0.02)
            album = Album()
            await loader.download(REPO, display=album)
            return album


def export(album: Album) -> None:
    """Write the picture: the command, the second run in the middle, and its end."""
    screen = Screen(
        file=io.StringIO(), record=True, width=LOOK.width + 1, force_terminal=True,
        color_system="truecolor", highlight=False,
    )  # fmt: skip
    _, picture, told = min(album.frames, key=lambda item: abs(item[0] - SECOND_SHARE))
    screen.print(Text(f"$ hfdl {REPO}", style="bold"))
    for item in album.told[:told]:
        screen.print(line(item, LOOK))
    for row in picture:
        screen.print(row)
    screen.print(Text("\n… and at the end:\n", style="dim italic"))
    for item in album.end:
        screen.print(line(item, LOOK))
    screen.save_svg(str(TARGET), title="hfdl")


if __name__ == "__main__":
    export(anyio.run(two_runs))
