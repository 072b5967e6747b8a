from __future__ import annotations

import pytest

from hfdl_async import errors
from hfdl_async.core.model import FileReport, RepoRef, Report
from hfdl_async.ui.failure import bug_lines, error_lines, traceback_text, without_secrets

CLASSES = (
    errors.UsageError, errors.AccessError, errors.GatedError, errors.NotFoundError,
    errors.NetworkError, errors.IntegrityError, errors.StorageError, errors.UnsafeError,
    errors.BusyError, errors.DownloadError,
)  # fmt: skip


@pytest.mark.parametrize("kind", CLASSES)
def test_every_class_of_failure_is_two_lines(kind: type[errors.HfdlError]) -> None:
    error = kind("config.json of org/model: the Hub refused access", hint="run `hf auth login`")
    assert error_lines(error) == [
        "error: config.json of org/model: the Hub refused access",
        "hint: run `hf auth login`",
    ]


def test_text_of_a_server_cannot_drive_the_terminal() -> None:
    line, _ = error_lines(errors.NetworkError("the server said \x1b[2J\nerror: gotcha \u202e"))
    assert line == "error: the server said \\x1b[2J\\nerror: gotcha \\u202e"


def test_failed_files_are_listed_by_class_and_not_without_end() -> None:
    gone = [
        FileReport(f"{n}.bin", 1, "failed", None, errors.NetworkError(f"{n}.bin: gone"))
        for n in range(12)
    ]
    bad = FileReport("x.bin", 1, "failed", None, errors.IntegrityError("digest differs"))
    report = Report(RepoRef("org/model"), "failed", 10, files=(*gone, bad))
    lines = error_lines(errors.DownloadError("13 files failed", hint="again"), report)
    assert lines[0] == "error: 13 files failed"
    assert lines[1] == "  network: 0.bin: gone"
    assert lines[6] == "  network: and 7 more files (all of them with --json)"
    assert lines[7] == "  integrity: x.bin: digest differs"
    assert lines[8] == "hint: again"


def test_refusals_of_several_kinds_are_a_line_per_file_and_a_hint_per_kind() -> None:
    unsafe = errors.UnsafeError("/x: 2 refused: a: is yours; b: is yours", hint="--force")
    broken = errors.IntegrityError(f"/x: 1 refused: c: sha256 {'0' * 64}", hint="--fix-broken")
    both = errors.DownloadError("/x: all of it", errors=(unsafe, broken))
    assert error_lines(both) == [
        "error: /x: refused for different reasons (integrity, unsafe)",
        "  unsafe: a: is yours",
        "  unsafe: b: is yours",
        "  integrity: c: sha256 000000000000...",
        "hint: --force",
        "hint: --fix-broken",
    ]
    assert error_lines(unsafe) == [
        "error: /x: 2 refused:", "  a: is yours", "  b: is yours", "hint: --force"
    ]  # fmt: skip


def test_a_failure_that_the_headline_tells_is_not_listed_again() -> None:
    failed = [
        FileReport(name, 1, "failed", None, errors.IntegrityError(f"{name}: differs"))
        for name in ("a.bin", "b.bin")
    ]
    report = Report(RepoRef("org/model"), "failed", 6, files=tuple(failed))
    error = errors.IntegrityError("a.bin: differs (and 1 more files)")
    assert error_lines(error, report)[1:] == ["  integrity: b.bin: differs"]


def test_a_bug_says_that_it_is_one() -> None:
    error, hint = bug_lines(KeyError("x"))
    assert error == "error: KeyError: 'x': this is a bug of hfdl"
    assert "--verbose" in hint


def test_signatures_and_tokens_are_never_shown() -> None:
    text = "GET https://cdn.example/x?Signature=abc&Key=1: 403 with hf_abcDEF123"
    assert without_secrets(text) == "GET https://cdn.example/x?... 403 with hf_..."
    try:
        raise ValueError(text)
    except ValueError as error:
        shown = traceback_text(error) + "\n".join(bug_lines(error))
    assert "abc" not in shown
    assert "Traceback" in shown
