"""The house's one law: imports point up the list in docs/architecture.md, never down and never sideways."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE = Path(__file__).parents[1] / "src" / "jumpml"
TOP = (  # with the cli, the only ones that know every room
    *("__init__", "_verbs", "_check", "_dry_run", "_project"),
    *("_project_files", "_run_record", "_stages"),
    *("_removable", "_ablate", "_resume", "_together", "__main__"),
    *("_search", "_tune_record", "_study", "_tune"),
)
ROOMS = (
    *("core", "drawing", "pretrained", "data", "graph", "objectives", "balance", "curriculum"),
    *("evaluate", "diagnose", "learn", "deploy", "report", "testing", "cli"),
)
ALLOWED: dict[str, tuple[str, ...]] = {
    "core": (),
    "drawing": ("core",),
    "pretrained": ("core",),
    "data": ("core", "pretrained"),
    "graph": ("core", "drawing", "pretrained"),
    "objectives": ("core", "data", "graph"),
    "evaluate": ("core", "data", "graph", "objectives"),
    "balance": ("core", "data", "graph", "objectives"),
    "curriculum": ("core", "data", "graph", "objectives"),
    "diagnose": ("core", "data", "graph", "objectives", "evaluate"),
    "learn": ("core", "drawing", "data", "graph", "objectives", "evaluate", "balance", "curriculum"),
    "deploy": ("core", "pretrained", "data", "graph", "objectives", "evaluate", "diagnose"),
    "report": ("core", "drawing"),
    "testing": (*(room for room in ROOMS if room not in {"testing", "cli"}), "blocks"),
    "cli": (*ROOMS, *TOP),
    "blocks": ("graph",),
    **dict.fromkeys(TOP, (*ROOMS, *TOP, "blocks")),
}
WITHOUT_TORCH = ("core", "drawing", "report", "cli")  # `jumpml --help` answers before torch is loaded


When = Literal["import", "call", "typing"]  # run with the module, run by a function, or only for the type checker


@dataclass(frozen=True)
class Import:
    """One import statement's target, as a dotted name: ``jumpml.data._loader`` or ``torch.nn``."""

    target: str
    line: int
    when: When


@dataclass(frozen=True)
class Module:
    """One file of the house."""

    name: str  # from the house's root: ``data._loader``, ``data.__init__``
    room: str
    imports: tuple[Import, ...]


def read_house(root: Path) -> list[Module]:
    """Every module below a folder that stands for ``src/jumpml``."""
    modules = []
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        package = ["jumpml", *parts[:-1]]
        found = tuple(_imports(ast.parse(path.read_text(encoding="utf-8")), package))
        modules.append(Module(name=".".join(parts), room=parts[0], imports=found))
    return modules


def _imports(tree: ast.AST, package: list[str], when: When = "import") -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        inner = when
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            inner = "typing"
        elif when == "import" and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            inner = "call"
        yield from (Import(target, getattr(node, "lineno", 0), inner) for target in _targets(node, package))
        yield from _imports(node, package, inner)


def _targets(node: ast.AST, package: list[str]) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else []
        origin = ".".join([*base, *([node.module] if node.module else [])])
        return [f"{origin}.{alias.name}" for alias in node.names]
    if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
        return [a.value for a in node.args[:1] if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    return []


def _inside(target: str) -> list[str] | None:
    """A target's parts below ``jumpml``; None for other packages."""
    head, *parts = target.split(".")
    return parts if head == "jumpml" else None


def _room(parts: list[str]) -> str:
    return parts[0] if parts and parts[0] in ALLOWED else "__init__"


def table_violations(modules: list[Module]) -> list[str]:
    """Imports of rooms that the table does not allow, and of rooms that the table does not know."""
    found = [
        f"{module.name}: the table has no room {module.room!r}" for module in modules if module.room not in ALLOWED
    ]
    for module in modules:
        for each in module.imports:
            parts = _inside(each.target)
            if parts is None or _room(parts) == module.room:
                continue
            if _room(parts) not in ALLOWED.get(module.room, ()):
                found.append(f"{module.name}, line {each.line}: {module.room} must not import {each.target}")
    return found


def private_violations(modules: list[Module]) -> list[str]:
    """Imports of another room's private modules or names."""
    found = []
    for module in modules:
        for each in module.imports:
            parts = _inside(each.target)
            if parts and parts[0] in ROOMS and parts[0] != module.room and any(p.startswith("_") for p in parts[1:]):
                found.append(f"{module.name}, line {each.line}: {each.target} is private to {parts[0]}")
    return found


def cycles(modules: list[Module]) -> list[str]:
    """A cycle of imports between modules, where there is one; a type alone may look back at its maker."""
    names = {module.name for module in modules}
    try:
        TopologicalSorter({module.name: _neighbours(module, names) for module in modules}).prepare()
    except CycleError as error:
        return [" <- ".join(error.args[1])]
    return []


def _neighbours(module: Module, names: set[str]) -> set[str]:
    """The modules that a module imports: the longest part of each target that is a file."""
    found = set()
    for each in module.imports:
        parts = (_inside(each.target) or []) if each.when != "typing" else []
        for length in range(len(parts), 0, -1):
            candidates = {".".join(parts[:length]), ".".join([*parts[:length], "__init__"])} & names
            if candidates:
                found |= candidates - {module.name}
                break
    return found


def torch_violations(modules: list[Module]) -> list[str]:
    """Imports of torch that run when the module is imported, where none may."""
    return [
        f"{module.name}, line {each.line}: {module.room} must import torch inside functions"
        for module in modules
        for each in module.imports
        if module.room in WITHOUT_TORCH and each.target.partition(".")[0] == "torch" and each.when == "import"
    ]


CHECKS = (table_violations, private_violations, cycles, torch_violations)


@pytest.fixture(scope="module")
def house() -> list[Module]:
    modules = read_house(SOURCE)
    assert {"core.__init__", "data.__init__", "__init__", "blocks"} <= {module.name for module in modules}
    return modules


@pytest.mark.parametrize("check", CHECKS)
def test_the_house_keeps_the_law(check: Callable[[list[Module]], list[str]], house: list[Module]) -> None:
    assert check(house) == []


def test_every_room_of_the_table_exists(house: list[Module]) -> None:
    assert {module.room for module in house} == set(ALLOWED)


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("core/_a.py", "import jumpml.data", "core._a, line 1: core must not import jumpml.data"),
        ("core/_a.py", "\nfrom jumpml import graph", "core._a, line 2: core must not import jumpml.graph"),
        ("core/_a.py", "import jumpml", "core._a, line 1: core must not import jumpml"),
        ("data/_a.py", "from jumpml.graph import Model", "data._a, line 1: data must not import jumpml.graph.Model"),
        ("data/_a.py", "from ..graph import Model", "data._a, line 1: data must not import jumpml.graph.Model"),
        ("graph/b/_a.py", "from ...data import x", "graph.b._a, line 1: graph must not import jumpml.data.x"),
        ("learn/_a.py", "def f():\n    from jumpml.diagnose import x", "learn must not import jumpml.diagnose.x"),
        ("deploy/_a.py", "if TYPE_CHECKING:\n    from jumpml.learn import L", "deploy must not import jumpml.learn.L"),
        ("report/_a.py", "importlib.import_module('jumpml.evaluate')", "report must not import jumpml.evaluate"),
        ("evaluate/_a.py", "from jumpml._verbs import load_model", "evaluate must not import jumpml._verbs.load_model"),
        ("evaluate/_a.py", "from jumpml import eval_model", "evaluate must not import jumpml.eval_model"),
        ("attic/_a.py", "", "attic._a: the table has no room 'attic'"),
    ],
)
def test_an_import_that_the_table_forbids_is_found(tmp_path: Path, file: str, text: str, told: str) -> None:
    (found,) = table_violations(_house(tmp_path, {file: text}))
    assert told in found


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("graph/_a.py", "from jumpml.core._yaml import x", "graph._a, line 1: jumpml.core._yaml.x is private to core"),
        ("graph/_a.py", "import jumpml.core._yaml", "graph._a, line 1: jumpml.core._yaml is private to core"),
        ("graph/_a.py", "from jumpml.core import _yaml", "graph._a, line 1: jumpml.core._yaml is private to core"),
        ("_verbs.py", "from jumpml.graph.b._c import x", "_verbs, line 1: jumpml.graph.b._c.x is private to graph"),
    ],
)
def test_an_import_of_something_private_is_found(tmp_path: Path, file: str, text: str, told: str) -> None:
    assert private_violations(_house(tmp_path, {file: text})) == [told]


@pytest.mark.parametrize(
    "files",
    [
        {"data/_a.py": "from jumpml.data._b import x", "data/_b.py": "from jumpml.data import _a"},
        {"data/_a.py": "from jumpml.data._b import x", "data/_b.py": "def f():\n    from jumpml.data._a import y"},
        {"data/__init__.py": "from jumpml.data._b import x", "data/_b.py": "from jumpml.data import x"},
        {"data/_a.py": "from ._b import x", "data/_b.py": "from ._c import y", "data/_c.py": "from . import _a"},
    ],
)
def test_a_cycle_is_found(tmp_path: Path, files: dict[str, str]) -> None:
    (found,) = cycles(_house(tmp_path, files))
    assert set(found.split(" <- ")) == {name.removesuffix(".py").replace("/", ".") for name in files}


def test_torch_at_module_level_is_found_where_it_is_forbidden(tmp_path: Path) -> None:
    late = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\ndef f():\n    import torch\n"
    assert torch_violations(_house(tmp_path, {"core/_a.py": late, "data/_a.py": "import torch"})) == []
    assert torch_violations(_house(tmp_path, {"cli/_a.py": "from torch import nn"})) == [
        "cli._a, line 1: cli must import torch inside functions"
    ]


def test_what_is_allowed_is_not_found(tmp_path: Path) -> None:
    files = {
        "data/__init__.py": "from jumpml.data._a import x",
        "data/_a.py": "import torch\nfrom jumpml.core import SpecError\nfrom jumpml.data._b import y",
        "data/_b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from jumpml.data._a import x",
        "cli/_a.py": "def f():\n    from jumpml._project import run\n    from jumpml.learn import Learner",
        "__init__.py": "from jumpml._verbs import eval_model",
    }
    assert [found for check in CHECKS for found in check(_house(tmp_path, files))] == []


def _house(root: Path, files: dict[str, str]) -> list[Module]:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return read_house(root)


@pytest.mark.parametrize("name", ["jumpml", "jumpml.core", "jumpml.report", "jumpml.cli"])
def test_importing_does_not_import_torch(name: str) -> None:
    heavy = ("torch", "numpy", "matplotlib", "sklearn", "pyarrow")
    code = f"import sys, {name}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_learning_does_not_import_what_only_some_of_it_use() -> None:
    code = "import sys, jumpml.learn; print([m for m in ('scipy', 'sklearn', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
