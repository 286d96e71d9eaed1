"""Copies of a model that an objective keeps: they compute, and nothing trains them."""

from __future__ import annotations

from typing import Any


def frozen(model: Any) -> Any:
    """The same with buffers in place of parameters: nothing trains them, and an average of weights takes them as is."""
    for module in model.modules():
        for name, parameter in [*module._parameters.items()]:
            if parameter is not None:
                del module._parameters[name]
                module.register_buffer(name, parameter.detach())
    return model
