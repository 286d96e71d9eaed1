"""Modules by name, and others in their place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

    from jumpml.graph._model import Model


def modules_in(model: Model, name: str) -> dict[str, nn.Module]:
    """A node, or a module inside one, and all that is in it, by the names that `Model.node` knows them by.

    Args:
        model: The model.
        name: The node's or the module's.

    Raises:
        GraphError: There is no such node.
    """
    return {f"{name}.{path}" if path else name: module for path, module in model.node(name).named_modules()}


def replace(model: Model, old: nn.Module, new: nn.Module) -> None:
    """Put a module in the place of another, wherever the model holds that."""
    for module in [*model.modules()]:
        for name, inner in [*module._modules.items()]:
            if inner is old:
                module._modules[name] = new
