from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from hfdl_async.display import text


@given(st.text())
def test_nothing_that_drives_a_terminal_is_left(outside: str) -> None:
    shown = text.clean(outside)
    kinds = {unicodedata.category(char) for char in shown}
    assert not kinds & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("outside", "shown"),
    [
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("naïve 模型 🙂", "naïve 模型 🙂"),
        ("bad\udcff", "bad\\udcff"),
    ],
)
def test_harmful_characters_are_spelled_out_and_others_are_kept(outside: str, shown: str) -> None:
    assert text.clean(outside) == shown


def test_digests_and_commits_are_cut_and_words_are_not() -> None:
    assert text.short_digests(f"{'a' * 40} {'b' * 64}") == f"{'a' * 12}... {'b' * 12}..."
    assert text.short_digests("deadbeef model.bin") == "deadbeef model.bin"


def test_text_from_outside_is_cut_at_five_hundred_characters() -> None:
    assert len(text.clean("x" * 10_000)) == text.OUTSIDE_TEXT_LIMIT


@given(st.text(), st.integers(0, 60))
def test_shortened_text_fits(outside: str, width: int) -> None:
    clean = text.clean(outside)
    assert cell_len(text.shorten(clean, width)) <= width
    assert cell_len(text.cut(clean, width)) <= width


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"), (999, "999 B"), (1000, "1.00 kB"), (9_994, "9.99 kB"), (9_996, "10.0 kB"),
        (99_960, "100 kB"), (999_600, "1.00 MB"), (16_400_000_000, "16.4 GB"), (10**18, "1000 PB"),
    ],
)  # fmt: skip
def test_sizes_have_three_digits(count: int, shown: str) -> None:
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0.0 s"), (4.23, "4.2 s"), (9.96, "10 s"), (59.6, "1:00"), (141, "2:21"),
     (3723, "1:02:03"), (183_600, "2 d 3 h")],
)  # fmt: skip
def test_durations_read_like_a_clock(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


def test_a_hundred_percent_means_that_nothing_is_missing() -> None:
    assert text.percent(999_999, 1_000_000) == "99 %"
    assert text.percent(1_000_000, 1_000_000) == "100 %"
    assert text.size_of(5 * 10**8, 10**9) == "0.50 of 1.00 GB"
    assert text.size_of(10**9, 10**9) == "1.00 GB"
