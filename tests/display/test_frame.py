from __future__ import annotations

from dataclasses import replace

import pytest
from rich.cells import cell_len

from hfdl_async.core.progress import ActiveFile, ConnectionView, Phase, Snapshot
from hfdl_async.display.frame import Look, frame, line
from hfdl_async.display.narrator import Line
from tests.display.samples import HOSTILE, RAW, snapshot

PHASES: tuple[Phase, ...] = (
    "listing", "checking", "waiting", "downloading", "finishing", "done",
)  # fmt: skip


def shown(view: Snapshot, width: int, *, height: int = 24, unicode: bool = True) -> list[str]:
    return [text.plain for text in frame("org/model", view, Look(width, height, unicode))]


@pytest.mark.parametrize("width", [1, 5, 12, 20, 30, 50, 79, 120, 300])
@pytest.mark.parametrize("phase", PHASES)
def test_every_line_fits_every_width(width: int, phase: Phase) -> None:
    view = snapshot(phase, note="waiting 38 s for the Hub's limit", active=12)
    for text in shown(view, width):
        assert cell_len(text) <= width
        assert "\n" not in text


def test_eighty_columns_show_what_matters() -> None:
    title, total, first, *_ = shown(snapshot(), 79)
    assert title == "org/model" + " " * 59 + "11/17 files"
    assert total == (
        "━━━━━━━━━──────   61 %  10.1 of 16.4 GB   118 MB/s  53 s left   8/8 connections"
    )
    assert first == (
        "  model-00001-of-00005.safetensors  ━───────   17 %  0.70 of 4.00 GB  4 conn."
    )


@pytest.mark.parametrize("width", [30, 39, 50])
def test_a_narrow_terminal_keeps_rate_and_time_and_the_numbers_of_shards(width: int) -> None:
    _, total, first, *_ = shown(snapshot(), width)
    assert "61 %" in total
    assert "118 MB/s  53 s left" in total
    assert "━" not in total
    assert "model-00001" in first


def test_a_final_line_is_left_to_the_terminal_to_wrap() -> None:
    told = Line("good", "x" * 100)
    assert line(told, Look(40, 24)).plain.endswith("…")
    assert line(told, Look(40, 24), whole=True).plain.endswith("x" * 100)


@pytest.mark.parametrize("height", [2, 5, 8, 24])
def test_the_picture_is_never_higher_than_the_terminal(height: int) -> None:
    assert len(shown(snapshot(active=40), 79, height=height)) < height


def test_many_active_files_are_counted_instead_of_shown() -> None:
    lines = shown(snapshot(active=40), 79)
    assert "33 more files" in lines[-1]


def test_terminals_without_unicode_get_bars_they_can_show() -> None:
    for phase in PHASES:
        view = snapshot(phase, note="für später", active=12)
        assert all(text.isascii() for text in shown(view, 60, unicode=False))
    assert line(Line("good", "模型.bin"), Look(60, 24, unicode=False)).plain.isascii()


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (Snapshot("listing"), "asking the Hub"),
        (Snapshot("listing", listed_files=12_000), "listing files: 12,000 so far"),
        (Snapshot("checking", listed_files=3, files_total=17), "checking what is here: 3 of 17"),
        (Snapshot("waiting", "waiting for process 42"), "waiting for process 42"),
        (Snapshot("finishing"), "verifying and publishing"),
    ],
)
def test_what_the_run_is_doing_is_said(view: Snapshot, said: str) -> None:
    assert shown(view, 79)[1].endswith(said)


def test_a_file_whose_bytes_are_all_here_is_being_verified() -> None:
    whole = replace(snapshot(active=0), active=(ActiveFile("a.bin", 10, 10, 5, 0),))
    assert shown(whole, 79)[-1].endswith("verifying")


def test_hostile_names_and_notes_are_harmless() -> None:
    view = replace(snapshot(note=HOSTILE), active=(ActiveFile(HOSTILE, 10, 1, 0, 1),))
    lines = [text.plain for text in frame(HOSTILE, view, Look(79, 24))]
    assert not any(raw in text for text in lines for raw in RAW)
    assert "[red]" in lines[0]  # shown, not taken for markup


def test_connections_may_be_shown_instead_of_files() -> None:
    flows = tuple(
        ConnectionView("model-00001.safetensors", n << 24, (n + 1) << 24, 8.7e6, 12.0, "receiving")
        for n in range(30)
    )
    look = Look(79, 24)
    view = replace(snapshot(), flows=flows)
    _, _, heading, first, *rest = (
        text.plain for text in frame("org/model", view, look, connections=True)
    )
    assert heading.split() == ["file", "range", "rate", "age", "state"]
    assert first.split()[:2] == ["model-00001.safetensors", "0-16"]
    assert len(rest) == 17
    assert rest[-1] == "  … and 13 more connections"


def test_files_are_shown_while_there_is_no_connection() -> None:
    look = Look(79, 24)
    with_table = frame("org/model", snapshot(), look, connections=True)
    assert [text.plain for text in with_table] == shown(snapshot(), 79)
