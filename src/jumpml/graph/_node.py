"""A node: a module and what it reads."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

Inputs = str | Sequence[str] | Mapping[str, str]
Key = tuple[str | int, ...]


@dataclass(frozen=True)
class Node:
    """A named step of a model: a module and what it reads.

    Attributes:
        module: Any ``nn.Module``; a lazy one takes its sizes from the graph.
        inputs: One name, a sequence of names (positional arguments) or a mapping (by argument name). A name is that of
            an input, of a node, or ``node.part``: an element of a tuple (``lstm.0``) or of a dict (``bert.logits``).
            A dot in a node's own name stands between a nested graph and its nodes: ``outer.inner``. A name that ends
            in ``?`` is optional: the module gets None where the batch does not have it.

    Example:
        >>> from torch import nn
        >>> Node(nn.Bilinear(4, 4, 2), ["left", "right"]).inputs
        ['left', 'right']
    """

    module: nn.Module
    inputs: Inputs


OPTIONAL = "?"  # behind a name that is read as None where the batch does not have it


def references(inputs: Inputs) -> list[tuple[Key, str]]:
    """Each name that is read, with the place where it stands below ``inputs``."""
    return [(key, name.removesuffix(OPTIONAL)) for key, name in _written(inputs)]


def optional(inputs: Inputs) -> frozenset[str]:
    """The names that are read as None where the batch does not have them."""
    return frozenset(name.removesuffix(OPTIONAL) for _, name in _written(inputs) if name.endswith(OPTIONAL))


def _written(inputs: Inputs) -> list[tuple[Key, str]]:
    if isinstance(inputs, str):
        return [((), inputs)]
    if isinstance(inputs, Mapping):
        return [((argument,), name) for argument, name in inputs.items()]
    return [((position,), name) for position, name in enumerate(inputs)]


def renamed(inputs: Inputs, rename: Callable[[str], str]) -> Inputs:
    """The same inputs by other names; what was optional remains so."""

    def other(name: str) -> str:
        new = rename(name.removesuffix(OPTIONAL))
        return new.removesuffix(OPTIONAL) + OPTIONAL if name.endswith(OPTIONAL) else new

    if isinstance(inputs, str):
        return other(inputs)
    if isinstance(inputs, Mapping):
        return {argument: other(name) for argument, name in inputs.items()}
    return tuple(map(other, inputs))


def class_name(cls: type) -> str:
    """A class as people write it: ``torch.nn.Linear``, ``jumpml.blocks.MLP``."""
    module = cls.__module__
    for private, public in (("torch.nn.modules", "torch.nn"), ("jumpml.graph.blocks", "jumpml.blocks")):
        if module.startswith(f"{private}."):
            module = public
    return f"{module}.{cls.__qualname__}"


def signature_text(function: Callable[..., object]) -> str:
    """A function's arguments with their defaults, without types: ``(widths, dropout=0.0)``."""
    parameters = inspect.signature(function).parameters.values()
    return f"({', '.join(str(parameter.replace(annotation=parameter.empty)) for parameter in parameters)})"
