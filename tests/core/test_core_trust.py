"""What a name in a file may lead to."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from jumpml.core import UntrustedNameError, resolve_class

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

OUTSIDE = "which is outside the trusted packages (torch.nn, jumpml)."


def refusal(name: str, base: type = nn.Module, trust: tuple[str, ...] = ()) -> str:
    with pytest.raises(UntrustedNameError) as caught:
        resolve_class(name, base, trust)
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("torch.nn.Linear", nn.Linear),
        ("torch.nn.LazyLinear", nn.LazyLinear),
        ("torch.nn.modules.linear.Linear", nn.Linear),
        ("torch.nn.utils.parametrize.ParametrizationList", nn.utils.parametrize.ParametrizationList),
    ],
)
def test_classes_of_torch_nn_are_found(name: str, found: type) -> None:
    assert resolve_class(name, nn.Module) is found


def test_blocks_are_found_though_they_are_defined_elsewhere_in_jumpml() -> None:
    found = resolve_class("jumpml.blocks.ConvEncoder", nn.Module)
    assert found.__name__ == "ConvEncoder"
    assert found.__module__ != "jumpml.blocks"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("torch.nn.Linea", "'torch.nn' has no 'Linea'. Did you mean 'Linear' or "),
        ("torch.nn.modules.os", "'torch.nn.modules' has no 'os'."),
        ("torch.nn.", "'torch.nn' has no ''."),
        ("torch.nn..Linear", "'torch.nn' has no ''."),
        ("torch.nn.modules", "'torch.nn.modules' is a module; expected a class that derives from Module."),
        (
            "torch.nn.functional.relu",
            "'torch.nn.functional.relu' is a function; expected a class that derives from Module.",
        ),
        ("torch.nn.Linear.forward", "'torch.nn.Linear.forward' is a function; expected a class"),
        (
            "torch.nn.Parameter",
            "'torch.nn.Parameter' is the class Parameter; expected a class that derives from Module.",
        ),
        ("torch.nn.modules.module.OrderedDict", "is the class OrderedDict; expected a class that derives from Module."),
        ("jumpml.core._files.os", f"'jumpml.core._files.os' leads to the module os, {OUTSIDE}"),
        ("jumpml.core._files.os.system", f"'jumpml.core._files.os.system' leads to the module os, {OUTSIDE}"),
        ("torch.nn.functional.torch.hub.load", f"leads to the module torch, {OUTSIDE}"),
        ("torch.nn.quantized.Linear", f"leads to torch.ao.nn.quantized.modules.linear.Linear, {OUTSIDE}"),
        ("torch.nn.Module.__init__", "'torch.nn.Module.__init__': names that begin with two underscores are refused."),
        ("jumpml.__main__.run", "names that begin with two underscores are refused."),
        ("jumpml.no_such.Thing", "'jumpml' has no 'no_such'."),
    ],
)
def test_what_lies_inside_but_is_no_module_class_is_refused(name: str, told: str) -> None:
    assert told in refusal(name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Linear", "Did you mean 'torch.nn.Linear'?"),
        ("nn.Linear", "Did you mean 'torch.nn.Linear'?"),
        ("torch.Linear", "Did you mean 'torch.nn.Linear'?"),
        ("ConvEncoder", "Did you mean 'jumpml.blocks.ConvEncoder'?"),
        ("Linea", "Write the whole name, such as torch.nn.Linear."),
        ("", "Write the whole name, such as torch.nn.Linear."),
        ("../a.b", "Write the whole name, such as torch.nn.Linear."),
        (
            "timm.models.VisionTransformer",
            "If you trust the package that defines it, say so: trust=['timm'] in Python, --trust timm in a shell.",
        ),
        ("torch.hub.load", "It is a function; expected a class that derives from Module."),
        ("torch.optim.SGD", "It is the class SGD; expected a class that derives from Module."),
        ("torchvision.models.VGG", "trust=['torchvision'] in Python, --trust torchvision in a shell."),
        ("torch.nnx.Tanhshrinkage", "trust=['torch'] in Python"),
        ("os.system", "Python's own library has no class that derives from Module."),
        ("subprocess.Popen", "Python's own library has no class that derives from Module."),
    ],
)
def test_what_lies_outside_is_refused_with_a_way_in(name: str, told: str) -> None:
    head, tail = refusal(name).split("). ", maxsplit=1)
    assert head == f"{name!r} is outside the trusted packages (torch.nn, jumpml"
    assert told in tail


def test_a_refused_package_is_not_imported() -> None:
    sys.modules.pop("antigravity", None)
    refusal("antigravity.Flight")
    assert "antigravity" not in sys.modules


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "my_parts"
    folder.mkdir()
    (folder / "__init__.py").write_text(
        "import json\nfrom torch import nn\nfrom torch.optim import SGD\nclass Mine(nn.Module):\n    pass\n"
    )
    (folder / "broken.py").write_text("1 / 0\n")
    (folder / "needs.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_parts"]:
        del sys.modules[name]


def test_a_package_is_trusted_by_name(package: Path) -> None:
    trust = ("my_parts",)
    assert refusal("my_parts.Mine").startswith("'my_parts.Mine' is outside the trusted packages (torch.nn, jumpml).")
    assert resolve_class("my_parts.Mine", nn.Module, trust).__name__ == "Mine"
    outside = "which is outside the trusted packages (torch.nn, jumpml, my_parts)."
    assert refusal("my_parts.json.JSONDecoder", object, trust) == (
        f"'my_parts.json.JSONDecoder' leads to the module json, {outside}"
    )
    assert (
        refusal("my_parts.SGD", torch.optim.Optimizer, trust)
        == f"'my_parts.SGD' leads to torch.optim.sgd.SGD, {outside}"
    )
    assert refusal("my_parts.Mien", trust=trust) == "'my_parts' has no 'Mien'. Did you mean 'Mine'?"


def test_a_trusted_package_that_fails_is_named(package: Path) -> None:
    trust = ("my_parts", "no_such_package")
    assert refusal("my_parts.broken.X", trust=trust) == (
        "importing 'my_parts.broken' failed: ZeroDivisionError: division by zero."
    )
    assert refusal("my_parts.needs.X", trust=trust) == (
        "importing 'my_parts.needs' failed: No module named 'no_such_package'."
    )
    assert refusal("no_such_package.X", trust=trust) == (
        "'no_such_package.X': there is no package 'no_such_package'; is it installed?"
    )
