"""The README tells the truth: its examples run, its commands are those that CI runs."""

from __future__ import annotations

import os
import random
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hfdl_async.errors
from hfdl_async.core.options import option_names
from hfdl_async.errors import HfdlError
from hfdl_async.serving.process import serve_in_process

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "docs/architecture.md",
    "docs/shared-cache.md",
]
MARKER = "<!-- the line that .ci/run runs -->"

REPOS = {
    "openai-community/gpt2": ["README.md", "config.json", "model.safetensors"],
    "datasets/stanfordnlp/imdb": ["README.md", "plain_text/train.parquet"],
    "sentence-transformers/all-MiniLM-L6-v2": ["config.json", "1_Pooling/config.json"],
}

# A notebook awaits at the top level; a script that has a loop of its own is plain code.
RUN_LIKE_A_CELL = """
import ast, asyncio, inspect, sys
code = compile(sys.stdin.read(), "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
if code.co_flags & inspect.CO_COROUTINE:
    asyncio.run(eval(code))
else:
    exec(code)
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    return [line for line in lines if line.startswith("hfdl ")]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make small repos under the names that the README uses."""
    folder = tmp_path_factory.mktemp("repos")
    dice = random.Random(0)
    for repo, paths in REPOS.items():
        for path in paths:
            target = folder / repo / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(dice.randbytes(dice.randint(1, 300_000)))
    return folder


@pytest.fixture(scope="module")
def endpoint(originals: Path) -> Iterator[str]:
    arguments = [f"--repo={repo}={originals / repo}" for repo in REPOS]
    with serve_in_process(arguments) as hub:
        yield hub.endpoint


def run(arguments: list[str], folder: Path, endpoint: str, code: str = "") -> str:
    """Run Python with *arguments* in *folder*; return what it wrote to standard output."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "HF_ENDPOINT": endpoint, "PYTHONPATH": str(ROOT)},
        input=code,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    return done.stdout


def check_downloads(folder: Path, originals: Path) -> int:
    """Compare what lies in *folder* with the originals; return how many files there are."""
    names = {repo.rpartition("/")[2]: repo for repo in REPOS}
    count = 0
    for path in folder.rglob("*"):
        relative = path.relative_to(folder)
        if path.is_file() and not {".download_state", ".cache"} & set(relative.parts):
            original = originals / names[relative.parts[0]] / Path(*relative.parts[1:])
            assert path.read_bytes() == original.read_bytes()
            count += 1
    return count


def check_cached(repo: str, originals: Path) -> int:
    """Compare what the shared cache has of *repo* with the originals; return how many it has."""
    home = Path(os.environ["HF_HOME"]) / "hub" / f"models--{repo.replace('/', '--')}"
    [snapshot] = (home / "snapshots").iterdir()
    files = [path for path in snapshot.rglob("*") if path.is_file()]
    for path in files:
        original = originals / repo / path.relative_to(snapshot)
        assert path.read_bytes() == original.read_bytes()
    return len(files)


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_an_example_in_python_runs(
    number: int, endpoint: str, originals: Path, tmp_path: Path
) -> None:
    code = blocks("python")[number]
    output = run(["-c", RUN_LIKE_A_CELL], tmp_path, endpoint, code)
    if "no-such-file" in code:
        assert output.startswith("not found: ")
        return
    if "compat" in code:
        assert check_cached("openai-community/gpt2", originals) == 2
        return
    target = "custom_dir" if "custom_dir" in code else "downloads"
    assert check_downloads(tmp_path / target, originals) >= 1


def test_the_commands_run_one_after_the_other(
    endpoint: str, originals: Path, tmp_path: Path
) -> None:
    assert commands()
    for command in commands():
        run(["-m", "hfdl_async", *shlex.split(command)[1:]], tmp_path, endpoint)
    assert check_downloads(tmp_path / "downloads", originals) == len(REPOS["openai-community/gpt2"])


def test_the_first_two_commands_are_one_line_each() -> None:
    first, second = (block.splitlines() for block in blocks("bash")[:2])
    assert len(first) == len(second) == 1
    assert first[0].startswith("python3 -m venv ")
    assert first[0].endswith("hfdl demo")
    assert second[0].startswith("python3 -m venv ")
    assert second[0].endswith("/nox")


def test_ci_runs_the_second_command_word_for_word() -> None:
    before, marker, after = README.partition(MARKER)
    assert marker not in before + after
    assert after.lstrip().splitlines()[:2] == ["```bash", blocks("bash")[1].strip()]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    found = re.search(r"^command=\"\$\((.*?)\)\"$", script, re.MULTILINE | re.DOTALL)
    assert found
    extracted = subprocess.run(
        ["bash", "-c", found[1]], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert extracted.stdout.strip() == blocks("bash")[1].strip()


@pytest.mark.parametrize("name", option_names())
def test_every_option_is_in_the_readme(name: str) -> None:
    assert f"--{name.replace('_', '-')}" in README


def test_every_exit_code_is_in_the_table() -> None:
    table = README.partition("### Exit codes")[2].partition("###")[0]
    documented = {int(code) for code in re.findall(r"\| (\d+) \|", table)}
    errors = (getattr(hfdl_async.errors, name) for name in hfdl_async.errors.__all__)
    codes = {error.exit_code for error in errors if issubclass(error, HfdlError)}
    assert documented == codes | {0, 130, 143}


@pytest.mark.parametrize("page", PAGES)
def test_no_link_leads_nowhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    local = [link for link in links if not link.startswith("https://")]
    assert [link for link in local if not (path.parent / link).exists()] == []
