"""The house's rules that neither ruff nor mypy hold: layers, a core without a world, words for what is public, size."""

import ast
import importlib
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "flatbook"

CORE = ("domain", "kernels", "market", "ledger", "valuation", "decide", "risk", "execution", "engine", "report")
"""Packages to which clock, chance, network and disk are arguments."""

WORLD = {
    "asyncio", "ctypes", "getpass", "glob", "http", "httpx", "importlib", "io", "logging", "multiprocessing", "os",
    "pathlib", "pkgutil", "platform", "random", "requests", "secrets", "select", "shutil", "signal", "socket",
    "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "uuid", "websockets",
}  # fmt: skip
"""Modules through which a program meets the world."""

WORLDLY_FUNCTIONS = {"breakpoint", "input", "open", "print"}
WORLDLY_METHODS = {"now", "open", "read_bytes", "read_text", "today", "utcnow", "write_bytes", "write_text"}
"""Functions and methods that do."""

EXCUSED = {
    "kernels/jit.py": {
        "pathlib": "finds the sources that a kernel was compiled from",
        "read_bytes": "reads them, to stamp numba's cache with their digest",
    },
    "report/assets.py": {
        "importlib": "finds the files that are packaged beside the code",
        "read_text": "reads them",
    },
}

LONGEST_FUNCTION = 50
LONGEST_FILE = 330
LONGER_FILES = {
    "kernels/surface_joint.py": 520,
    "kernels/svi_search.py": 600,
    "valuation/contracts.py": 580,
}
"""Files that may be longer, and how long: it may fall, and not rise."""


def modules(*packages: str) -> list[Path]:
    """The source files of some packages, or of all."""
    folders = [SOURCE / package for package in packages] or [SOURCE]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def tree_of(path: Path) -> ast.Module:
    """A source file, parsed."""
    return ast.parse(path.read_text(encoding="utf-8"))


def place(path: Path) -> str:
    """A source file by its path in the package."""
    return path.relative_to(SOURCE).as_posix()


def test_imports_point_down() -> None:
    # In a process of its own: called here, it would silence the loggers of every test after it.
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    linted = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout + linted.stderr


def _world(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What a module imports and what might be a way out of the program, with its line.

    `np.random.Generator` is the type of chance that comes as an argument: naming it is no way out.
    """
    types = {node.value for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "Generator"}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute() if node in types:
                continue
            case ast.Import(names=names):
                yield from ((node.lineno, name.name.split(".")[0]) for name in names)
                yield from ((node.lineno, "random") for name in names if name.name.endswith(".random"))
            case ast.ImportFrom(module=str(module), names=names):
                yield node.lineno, module.split(".")[0]
                words = {*module.split(".")[1:], *(name.name for name in names)}
                yield from ((node.lineno, word) for word in words & {"random"})
            case ast.Call(func=ast.Attribute(attr=name)) if name in WORLDLY_METHODS:
                yield node.lineno, name
            case ast.Attribute(attr="random"):
                yield node.lineno, "random"
            case ast.Name(id=name) if name in WORLDLY_FUNCTIONS:
                yield node.lineno, name


def _worldly(tree: ast.Module) -> set[tuple[int, str]]:
    return {(line, word) for line, word in _world(tree) if word in WORLD | WORLDLY_FUNCTIONS | WORLDLY_METHODS}


@pytest.mark.parametrize("path", modules(*CORE), ids=place)
def test_the_core_touches_no_clock_no_chance_no_network_and_no_disk(path: Path) -> None:
    met = _worldly(tree_of(path))
    excused = EXCUSED.get(place(path), {}).keys()
    assert not {f"line {line}: {word}" for line, word in met if word not in excused}
    assert not excused - {word for _, word in met}, "an excuse that is needed no more"


@pytest.mark.parametrize(
    "line",
    [
        "import time",
        "from os import environ",
        "import numpy.random",
        "from numpy import random",
        "from numpy.random import default_rng",
        "x = np.random.default_rng(1)",
        "text = path.read_text()",
        "with open('f') as f: pass",
        "now = datetime.now(UTC)",
    ],
)
def test_the_check_on_the_core_sees(line: str) -> None:
    assert _worldly(ast.parse(line))


def test_a_generator_may_be_an_argument() -> None:
    assert not _worldly(ast.parse("def f(rng: np.random.Generator) -> float: return rng.normal()"))


def _definitions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]]:
    """Classes, functions and methods by dotted name; what is inside a function is its own affair."""
    waiting: list[tuple[str, ast.Module | ast.ClassDef]] = [("", tree)]
    while waiting:
        prefix, holder = waiting.pop()
        for node in holder.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield prefix + node.name, node
            elif isinstance(node, ast.ClassDef):
                yield prefix + node.name, node
                waiting.append((f"{prefix}{node.name}.", node))


@pytest.mark.parametrize("path", modules(), ids=place)
def test_what_is_public_has_a_docstring(path: Path) -> None:
    tree = tree_of(path)
    public = {
        name: node for name, node in _definitions(tree) if not any(part.startswith("_") for part in name.split("."))
    }
    assert ast.get_docstring(tree), "the module says nothing of itself"
    assert not [name for name, node in public.items() if not ast.get_docstring(node)]


@pytest.mark.parametrize("path", modules(), ids=place)
def test_files_and_functions_stay_small(path: Path) -> None:
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= LONGER_FILES.get(place(path), LONGEST_FILE)
    for name, node in _definitions(tree_of(path)):
        if not isinstance(node, ast.ClassDef):
            first = node.body[1 if ast.get_docstring(node) and len(node.body) > 1 else 0]
            lines = (node.end_lineno or 0) - first.lineno + 1
            assert lines <= LONGEST_FUNCTION, f"{name} has {lines} lines"


def test_parts_of_pnl_and_stages_of_loss_have_one_name_each() -> None:
    from flatbook.report.tables import PARTS, STAGES
    from flatbook.risk.loss_stop import Stage
    from flatbook.valuation.explain import PNL_PARTS

    assert PARTS == PNL_PARTS
    assert tuple(stage.name.lower() for stage in Stage) == STAGES


def test_every_kernel_is_bound_to_its_plain_twin_by_a_test() -> None:
    from flatbook import kernels
    from flatbook.kernels import jit

    if not jit.HAVE_NUMBA:
        pytest.skip("no numba here: the plain twins are all there is")
    for found in pkgutil.iter_modules(kernels.__path__):
        importlib.import_module(f"{kernels.__name__}.{found.name}")
    tests = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py")))
    parts = [entry.name.split(".")[-2:] for entry in jit.registered()]
    assert not [name for module, name in parts if f"{name}_plain" not in tests and f"{module}_plain" not in tests]
