"""Every example in a docstring is true."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path
from types import ModuleType

import pytest

SOURCE = Path(__file__).parents[1] / "src"


def with_examples(root: Path) -> list[str]:
    """The dotted names of the modules below a folder that hold examples."""
    files = [path for path in sorted(root.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
    names = [".".join(path.relative_to(root).with_suffix("").parts) for path in files]
    return [name.removesuffix(".__init__") for name in names]


def failures(module: ModuleType) -> tuple[int, str]:
    """How many examples of a module were run, and what went wrong with them."""
    told: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    runs = [runner.run(case, out=told.append) for case in doctest.DocTestFinder().find(module)]
    return sum(run.attempted for run in runs), "".join(told)


@pytest.mark.parametrize("name", with_examples(SOURCE))
def test_the_examples_of_a_module_are_true(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # an example may write files
    attempted, told = failures(importlib.import_module(name))
    assert not told, told
    assert attempted, f"{name} holds examples where doctest does not look: in a comment or a nested function"


def test_a_wrong_example_is_found() -> None:
    module = ModuleType("wrong", doc=">>> 1 + 1\n3\n")
    attempted, told = failures(module)
    assert attempted == 1
    assert "Expected:\n    3\nGot:\n    2" in told


def test_modules_with_examples_are_found() -> None:
    assert {"jumpml.core._load_spec", "jumpml.core._errors"} <= set(with_examples(SOURCE))
