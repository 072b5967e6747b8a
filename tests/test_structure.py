"""The shape of the project: what style and layers promise, held by a test that can fail."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import hfdl_async
import hfdl_async.errors
import hfdl_async.events

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "hfdl_async"
TESTS = ROOT / "tests"

WITHOUT_A_MIRROR = {
    "__main__.py": "two lines around ui/cli.py; every end-to-end test runs it",
    "engine/ports.py": "protocols only; the conformance suites are their test",
    "events.py": "names of core/events.py again, for the public",
}
TESTS_OF_MORE_THAN_ONE_MODULE = {
    "test_structure.py": "this one",
    "display/test_choose.py": "what display/__init__.py chooses from",
    "serving/test_oracle.py": "the reference client as a whole against the embedded hub",
}
EMPTY_WORDS = {"handler", "handlers", "helper", "helpers", "manager", "managers", "util", "utils"}
EMPTY_MODULE_NAMES = EMPTY_WORDS | {"common", "data", "info", "misc"}
USED_WHERE_THEY_FIT = (
    "aiofiles", "aiohappyeyeballs", "aiohttp", "anyio", "blake3", "filelock", "h11",
    "huggingface_hub", "rich", "typer",
)  # fmt: skip

VIOLATIONS = {
    "the core uses the network layer": ("core/ledger.py", "import hfdl_async.net"),
    "the engine uses the disk layer": ("engine/ports.py", "import hfdl_async.disk"),
    "the network layer uses the disk layer": ("net/__init__.py", "import hfdl_async.disk"),
    "the disk layer uses the surface": ("disk/__init__.py", "import hfdl_async.ui"),
    "the core reads the clock": ("core/retry.py", "import time"),
    "the core rolls dice": ("core/retry.py", "import random"),
    "the engine knows HTTP": ("engine/ports.py", "import aiohttp"),
    "the disk layer knows the Hub": ("disk/__init__.py", "import huggingface_hub"),
    "the product uses the embedded server": ("net/__init__.py", "import hfdl_async.serving"),
    "the product uses its test tools": ("engine/ports.py", "import hfdl_async.testing"),
}


def modules() -> list[str]:
    """Return the product's modules, relative to the package, without package markers."""
    paths = (path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
    return sorted(path.as_posix() for path in paths if path.name != "__init__.py")


def existing_tests() -> list[str]:
    """Return the test modules, relative to tests/."""
    return sorted(path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py"))


def mirror(module: str) -> str:
    """Return where the test of *module* belongs: `net/hub.py` -> `net/test_hub.py`."""
    folder, slash, name = module.rpartition("/")
    return f"{folder}{slash}test_{name}"


def pyproject() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def classes() -> Iterator[tuple[str, ast.ClassDef]]:
    for module in modules():
        tree = ast.parse((PACKAGE / module).read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                yield module, node


def walk_what_runs(node: ast.AST) -> Iterator[ast.AST]:
    """Yield *node* and all below it, without blocks that only a type checker reads."""
    yield node
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            for other in child.orelse:
                yield from walk_what_runs(other)
        else:
            yield from walk_what_runs(child)


def imported_packages() -> set[str]:
    """Return the top-level packages that some module of the product imports when it runs."""
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in walk_what_runs(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found


def test_every_module_has_its_mirror_among_the_tests() -> None:
    present = set(existing_tests())
    wanted = {mirror(module) for module in modules() if module not in WITHOUT_A_MIRROR}
    assert sorted(wanted - present) == []


def test_every_test_module_mirrors_a_module_or_is_end_to_end() -> None:
    known = {mirror(module) for module in modules()} | TESTS_OF_MORE_THAN_ONE_MODULE.keys()
    known |= {f"benchmarks/test_{path.name}" for path in (ROOT / "benchmarks").glob("*.py")}
    strays = [
        name for name in existing_tests() if name not in known and not name.startswith("e2e/")
    ]
    assert strays == []


def test_the_exceptions_of_the_mirror_rule_are_still_needed() -> None:
    present = set(existing_tests())
    assert [name for name in WITHOUT_A_MIRROR if not (PACKAGE / name).is_file()] == []
    assert [name for name in WITHOUT_A_MIRROR if mirror(name) in present] == []


def test_no_module_has_a_name_that_says_nothing() -> None:
    places = [*PACKAGE.rglob("*.py"), *TESTS.rglob("*.py")]
    empty = [path for path in places if EMPTY_MODULE_NAMES & set(path.stem.lower().split("_"))]
    assert empty == []


def test_no_class_has_a_name_that_says_nothing() -> None:
    empty = [
        f"{module}: {node.name}"
        for module, node in classes()
        if EMPTY_WORDS & {word.lower() for word in re.findall(r"[A-Z][a-z]*", node.name)}
    ]
    assert empty == []


@pytest.mark.parametrize("module", [hfdl_async, hfdl_async.errors, hfdl_async.events])
def test_every_public_name_exists_and_says_what_it_is(module: object) -> None:
    undocumented = []
    for name in module.__all__:  # type: ignore[attr-defined]
        thing = getattr(module, name)
        documented = type(thing) is str or (
            # A dataclass without a docstring gets its signature as one.
            bool(thing.__doc__) and not thing.__doc__.startswith(f"{name}(")
            if hasattr(thing, "__module__")
            else False
        )
        if not documented:
            undocumented.append(name)
    assert undocumented == []


def test_every_dependency_is_bounded_from_both_sides() -> None:
    project = pyproject()["project"]
    assert isinstance(project, dict)
    dependencies = project["dependencies"]
    loose = [one for one in dependencies if not re.fullmatch(r"[\w-]+>=[\d.]+,<[\d.]+(;.+)?", one)]
    assert dependencies
    assert loose == []


@pytest.mark.parametrize("package", USED_WHERE_THEY_FIT)
def test_each_package_we_depend_on_is_used(package: str) -> None:
    assert package in imported_packages()


def test_every_part_of_the_product_has_its_layer() -> None:
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or path.is_dir()}
    beside = {"__init__", "__main__", "__pycache__", "events", "serving", "testing"}
    first, *_, last = pyproject()["tool"]["importlinter"]["contracts"]  # type: ignore[index]
    layers = " | ".join(first["layers"]).split(" | ")
    assert {f"hfdl_async.{part}" for part in parts - beside} == set(layers)
    # The surface alone may start the embedded server: for `hfdl demo`.
    assert set(layers) - set(last["source_modules"]) == {"hfdl_async.ui"}


def test_nothing_is_imported_that_is_not_declared() -> None:
    project = pyproject()["project"]
    assert isinstance(project, dict)
    declared = {re.split(r"[>=<]", one)[0].replace("-", "_") for one in project["dependencies"]}
    # Where they are missing they are not needed: a notebook brings IPython along.
    optional = {"IPython", "ipykernel", "uvloop"}
    known = sys.stdlib_module_names | declared | optional | {"hfdl_async"}
    assert sorted(imported_packages() - known) == []


def check_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter in *folder* with the project's contracts."""
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", program, "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy_of_the_package(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(PACKAGE, tmp_path / "hfdl_async", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_the_layers_hold(copy_of_the_package: Path) -> None:
    result = check_imports(copy_of_the_package)
    assert result.returncode == 0, result.stdout + result.stderr
    assert re.search(r"[1-9]\d* kept, 0 broken", result.stdout)


@pytest.mark.parametrize("case", VIOLATIONS)
def test_the_contracts_break_when(case: str, copy_of_the_package: Path) -> None:
    module, statement = VIOLATIONS[case]
    path = copy_of_the_package / "hfdl_async" / module
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{statement}\n", encoding="utf-8")
    result = check_imports(copy_of_the_package)
    source = "hfdl_async." + module.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    target = statement.removeprefix("import ")
    assert result.returncode != 0
    assert f"{source} -> {target} " in " ".join(result.stdout.split()), (
        result.stdout + result.stderr
    )
