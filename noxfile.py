"""A contributor's day: `nox` runs lint, typing and tests; every other session is asked for by name.

Nothing here needs more than pip and the Python that runs nox. Words after `--` go to the tool of
the session: `nox -s tests -- -k resume`.
"""

from __future__ import annotations

import re
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.sessions = ["lint", "typing", "tests"]
nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"  # the project itself is built and installed anew every time

PROJECT = nox.project.load_toml(Path(__file__).with_name("pyproject.toml"))
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
CODE = ("hfdl_async", "tests", "benchmarks", "docs", "noxfile.py")


def _group(name: str) -> tuple[str, ...]:
    return nox.project.dependency_groups(PROJECT, name)


def _lowest_versions() -> list[str]:
    """Return each dependency pinned to the lowest version that pyproject.toml declares."""
    pins = []
    for requirement in PROJECT["project"]["dependencies"]:
        bounds = re.fullmatch(r"([\w-]+)>=([\d.]+),<[\d.]+(;.+)?", requirement)
        if bounds is None:
            raise ValueError(f"pyproject.toml: {requirement!r} is not of the form name>=low,<high")
        pins.append(f"{bounds[1]}=={bounds[2]}{bounds[3] or ''}")
    return pins


def _run_tests(session: nox.Session, *pins: str) -> None:
    session.install(".", *pins, *_group("test"))
    session.run("pytest", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, form, the layer rule and spelling."""
    # import-linter follows imports into the installed dependencies, so they must be there.
    session.install(".", *_group("lint"))
    session.run("ruff", "check", *CODE)
    session.run("ruff", "format", "--check", *CODE)
    session.run("lint-imports")
    session.run("codespell")


@nox.session
def typing(session: nox.Session) -> None:
    """Check types, strictly, in the product, its tests and its tools."""
    session.install(".", *_group("typing"))
    session.run("mypy")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the everyday suite on the Python that runs nox."""
    _run_tests(session)


def _tests_on_one_python(session: nox.Session) -> None:
    """Run the everyday suite on one Python of those we claim."""
    _run_tests(session)


for _python in PYTHONS:
    # One session each instead of `python=PYTHONS`: so `nox -s tests` stays the quick one.
    nox.session(name=f"tests-{_python}", python=_python, tags=["matrix"])(_tests_on_one_python)


@nox.session(python=PYTHONS[0])
def minimums(session: nox.Session) -> None:
    """Run the everyday suite with the lowest version of every dependency."""
    _run_tests(session, *_lowest_versions())


@nox.session
def deep(session: nox.Session) -> None:
    """Run the long sweeps (minutes to hours); `nox -s deep -- short` for a sample of each."""
    words = list(session.posargs)
    short = "short" in words
    if short:
        words.remove("short")
    session.install(".", *_group("test"))
    session.run("pytest", "-m", "deep", *words, env={"SWEEP": "short" if short else ""})


@nox.session
def readers(session: nox.Session) -> None:
    """Load a real model by name from the cache with transformers; installs torch for it."""
    session.install(".", *_group("test"))
    session.run("pytest", "-m", "readers", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against other tools; `nox -s bench -- A D` for some scenarios, see benchmarks/."""
    session.install(".", *_group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)
