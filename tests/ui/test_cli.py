from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from hfdl_async.core.options import Options
from hfdl_async.serving.process import serve_in_process
from hfdl_async.ui.cli import add_command, main
from hfdl_async.ui.interrupts import Interrupts
from hfdl_async.ui.settings import Settings

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    arguments = ["--generate", "org/model", "--size", "3MB", "--lfs-threshold", "100000"]
    with serve_in_process(arguments) as served:
        yield served.endpoint


@pytest.fixture
def run(
    endpoint: str,
    tmp_path: Path,
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    monkeypatch.setenv("HFDL_ENDPOINT", endpoint)
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(arguments, Interrupts(arguments))
        output, errors = capfdbinary.readouterr()
        return code, output.decode(), errors.decode()

    return call


def parsed(*arguments: str) -> Settings:
    """Return what typer and the settings make of the arguments of `hfdl download`."""
    seen: list[Settings] = []

    def keep(settings: Settings, **_: object) -> int:
        seen.append(settings)
        return 0

    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    add_command(app, "download", keep)
    app(list(arguments), standalone_mode=False)
    return seen[0]


# Every row of the contract's table of options that this release has.
ROWS: list[tuple[str, str, Any]] = [
    ("-r dataset", "repo_type", "dataset"),
    ("--repo-type dataset", "repo_type", "dataset"),
    ("--repo_type space", "repo_type", "space"),
    ("--type model", "repo_type", "model"),
    ("--revision refs/pr/1", "revision", "refs/pr/1"),
    ("--include *.json --include a/*", "include", ("*.json", "a/*")),
    ("--exclude *.bin", "exclude", ("*.bin",)),
    ("-d x", "directory", Path("x")),
    ("--directory x", "directory", Path("x")),
    ("--local-dir x", "local_dir", Path("x")),
    ("--reuse-from x --reuse-from y", "reuse_from", (Path("x"), Path("y"))),
    ("--link hard", "link", "hard"),
    ("-t 4", "connections", 4),
    ("--connections auto", "connections", None),
    ("--threads 0", "connections", None),
    ("--max-workers 32", "connections", 32),
    ("--chunk-size 1MiB", "chunk_size_bytes", 2**20),
    ("--chunk-size 65536", "chunk_size_bytes", 65536),
    ("--file-size-threshold 100", "file_size_threshold_bytes", 100_000_000),
    ("--size-threshold 1MiB", "file_size_threshold_bytes", 2**20),
    ("--min-speed-percentage 10", "min_speed_percentage", 10.0),
    ("--speed-check-interval 2", "speed_check_seconds", 2.0),
    ("--min-free-space 5000", "min_free_space_bytes", 5_000_000_000),
    ("--min-free-space auto", "min_free_space_bytes", None),
    ("--verify", "verify", True),
    ("--fix-broken", "fix_broken", True),
    ("--force", "force", True),
    ("--force-download", "force", True),
    ("--no-resume", "no_resume", True),
    ("--max-retries 0", "max_retries", 0),
    ("--give-up-after never", "give_up_after_seconds", None),
    ("--give-up-after 10", "give_up_after_seconds", 10.0),
    ("--connect-timeout 3", "connect_timeout_seconds", 3.0),
    ("--read-timeout 3.5", "read_timeout_seconds", 3.5),
    ("--wait 0", "wait_seconds", 0.0),
    ("--endpoint http://127.0.0.1:1", "endpoint", "http://127.0.0.1:1"),
    ("--token hf_x", "token", "hf_x"),
    ("--allow http-token --allow symlinks", "allow", frozenset({"http-token", "symlinks"})),
    ("--safe-only", "safe_only", True),
]


@pytest.mark.parametrize(("typed", "name", "value"), ROWS)
def test_every_option_reaches_the_options(typed: str, name: str, value: object) -> None:
    assert getattr(Options.parse(parsed(*typed.split()).options), name) == value


@pytest.mark.parametrize(
    ("typed", "name"),
    [("--json", "json"), ("-q", "quiet"), ("--quiet", "quiet"), ("--verbose", "verbose")],
)
def test_output_flags_reach_the_settings(typed: str, name: str) -> None:
    assert getattr(parsed(typed), name) is True
    assert getattr(parsed(), name) is False


def test_a_human_run_ends_with_the_path_of_the_folder(run: Run, tmp_path: Path) -> None:
    code, output, errors = run("org/model")
    folder = tmp_path / "downloads" / "model"
    assert (code, output) == (0, f"{folder}\n")
    assert (folder / "config.json").exists()
    assert "org/model: " in errors
    assert "\x1b" not in errors


def test_one_named_file_gives_its_path(run: Run, tmp_path: Path) -> None:
    code, output, _ = run("-q", "org/model", "config.json", "--local-dir", "here")
    assert (code, output) == (0, f"{tmp_path}/here/config.json\n")
    _, output, _ = run("-q", "org/model", "original/", "--local-dir", "here")
    assert output == f"{tmp_path}/here\n"


def test_quiet_says_nothing_else(run: Run) -> None:
    code, output, errors = run("-q", "org/model")
    assert (code, len(output.splitlines()), errors) == (0, 1, "")


def test_json_is_the_report_and_nothing_else(run: Run) -> None:
    code, output, _ = run("org/model", "--json")
    report = json.loads(output)
    assert (code, report["status"], report["exit_code"]) == (0, "ok", 0)


@pytest.mark.parametrize("arguments", [("plan", "org/model"), ("org/model", "--dry-run")])
def test_a_plan_writes_nothing(run: Run, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    code, output, _ = run(*arguments)
    assert code == 0
    assert "to fetch  2.98 MB" in output
    assert output.splitlines()[-1] == str(tmp_path / "downloads" / "model")
    code, output, _ = run(*arguments, "--json")
    assert json.loads(output)["status"] == "planned"
    assert list(tmp_path.iterdir()) == []


def test_verify_finds_what_is_bad_and_repair_heals_it(run: Run, tmp_path: Path) -> None:
    run("-q", "org/model")
    folder = tmp_path / "downloads" / "model"
    code, output, _ = run("verify", str(folder))
    assert (code, output.splitlines()[-1]) == (0, str(folder))
    (folder / "config.json").write_bytes(b"{}")
    (folder / "README.md").unlink()
    code, output, _ = run("verify", str(folder))
    assert code == 6
    assert "missing: README.md" in output
    assert "bad: config.json (its size is not the" in output
    code, output, _ = run("verify", "--json", str(folder))
    assert (code, json.loads(output)["status"]) == (6, "bad")
    code, output, _ = run("verify", "--repair", str(folder))
    assert code == 0, output
    assert "2 repaired" in output


def test_warnings_of_a_repair_are_shown(run: Run, tmp_path: Path) -> None:
    run("-q", "org/model")
    folder = tmp_path / "downloads" / "model"
    weights = max(folder.glob("*.safetensors"), key=lambda path: path.stat().st_size)
    before = weights.stat()
    weights.write_bytes(bytes(before.st_size))
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    code, _, errors = run("verify", "--repair", str(folder))
    assert code == 0
    assert "1 warning" in errors
    assert f"warning: {weights.name}: " in errors


def test_status_says_what_is_here(run: Run, tmp_path: Path) -> None:
    code, output, _ = run("status")
    assert code == 0
    run("-q", "org/model")
    code, output, _ = run("status")
    assert code == 0
    assert "model org/model@main" in output
    _, output, _ = run("status", "--json")
    [folder] = json.loads(output)["folders"]
    assert folder["path"] == str(tmp_path / "downloads" / "model")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["org/model", "--connections", "many"], 2),
        (["org/model", "--nonsense"], 2),
        (["org/model", "--bandwidth", "fast"], 2),
        (["org/model", "-d", "a", "--local-dir", "b"], 2),
        (["verfy"], 2),
        (["sync"], 2),
        (["verify"], 2),
        (["verify", "a", "b"], 2),
        (["org/model", "-t"], 2),
        ([], 2),
        (["../evil"], 2),
        (["org/nothing"], 4),
        (["org/model", "nothing.bin"], 4),
        (["org/model", "--include", "*.nothing"], 4),
        (["org/model@nothing"], 4),
        (["verify", "nothing-here"], 4),
        (["status", "nothing-here"], 4),
        (["verify", "--repair", "--offline", "x"], 2),
        (["org/model", "--endpoint", "http://127.0.0.1:1", "--max-retries", "0"], 5),
    ],
)
def test_failures_are_two_lines_and_a_code(run: Run, arguments: list[str], code: int) -> None:
    quiet = code > 2 and arguments[0] != "status"
    seen, output, errors = run(*arguments, *(["--no-progress"] if quiet else []))
    lines = [line for line in errors.splitlines() if not line.startswith("org/")]
    assert (seen, output) == (code, ""), errors
    assert lines[0].startswith("error: "), errors
    assert len(lines) <= 2, errors
    assert all(line.startswith("hint: ") for line in lines[1:])


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--proxy=x", "error: --proxy is not in this version"),
        ("--dirctory=x", "error: no such option: --dirctory; did you mean --directory?"),
        ("--nonsense", "error: no such option: --nonsense"),
    ],
)
def test_unknown_options_get_a_near_suggestion_or_none(run: Run, option: str, said: str) -> None:
    code, _, errors = run("org/model", option)
    assert (code, errors.splitlines()[0]) == (2, said)


def test_a_deleted_folder_is_no_bug(run: Run, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    for command in (["org/model", "--no-progress"], ["status"]):
        code, _, errors = run(*command)
        assert (code, errors) == (
            7, "error: the current folder no longer exists\nhint: cd to one that exists\n"
        )  # fmt: skip


def test_a_failure_with_json_prints_a_report_but_a_usage_error_does_not(run: Run) -> None:
    code, output, errors = run("org/nothing", "--json")
    report = json.loads(output)
    assert (code, report["exit_code"], report["status"]) == (4, 4, "failed")
    assert report["commit"] is None
    assert report["endpoint"].startswith("http://127.0.0.1:")
    assert report["path"].endswith("nothing")
    assert report["requests"]["api"] >= 1
    told = report["error"]
    assert told["class"] == "not-found"
    assert errors.splitlines() == [f"error: {told['message']}", f"hint: {told['hint']}"]
    code, output, _ = run("org/model", "--json", "--connections", "many")
    assert (code, output) == (2, "")


def test_files_that_are_not_ours_are_refused_and_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "README.md").write_text("mine")
    code, _, errors = run("org/model", "--local-dir", "x")
    assert code == 8
    assert "README.md" in errors
    assert (tmp_path / "x" / "README.md").read_text() == "mine"


def test_a_bug_is_called_one(capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(Interrupts):
        def at_work(self) -> Any:
            raise KeyError("x")

    assert main(["org/model"], Broken([])) == 1
    assert "this is a bug of hfdl" in capsys.readouterr().err
    assert main(["org/model", "--verbose"], Broken([])) == 1
    assert "Traceback" in capsys.readouterr().err


def test_old_switches_are_accepted(run: Run) -> None:
    code, _, errors = run("org/model", "--enhanced", "--optimize-download")
    assert code == 0
    assert errors.count("no effect") == 1


@pytest.mark.parametrize(
    "arguments", [["--help"], ["-h"], ["verify", "--help-all"], ["verify", "a", "b", "--help"]]
)
def test_help_goes_to_standard_output(run: Run, arguments: list[str]) -> None:
    code, output, errors = run(*arguments)
    assert (code, errors) == (0, "")
    assert output.startswith("Usage: hfdl")


@pytest.mark.parametrize("arguments", [["--version"], ["-v"], ["-v", "--json"]])
def test_the_version_is_one_line(run: Run, arguments: list[str]) -> None:
    code, output, _ = run(*arguments)
    assert code == 0
    assert output.startswith("hfdl ")
