"""Modules that want to know more of what they read than its shape."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from torch import nn

from jumpml.core import Connectable, GraphError, Problem, ValueInfo, refusal
from jumpml.graph._node import class_name
from jumpml.graph._random import own_draws

if TYPE_CHECKING:
    from collections.abc import Sequence


def connect_node(
    name: str, module: nn.Module, values: Sequence[ValueInfo], arguments: Sequence[str] | None, seed: int | None
) -> None:
    """Tell a node's module what is known of the values that it reads, if it asks.

    Of a ``torch.nn.Sequential`` the first module is told: it is the one that reads them.

    Args:
        name: The node's.
        module: Its module.
        values: Of each value that it reads, in order.
        arguments: The names under which it reads them, or None for positional ones.
        seed: Of what it makes then, together with the node's name.

    Raises:
        GraphError: The values are not such as the module reads.
    """
    while isinstance(module, nn.Sequential) and len(module) > 0:
        module = module[0]
    if not isinstance(module, Connectable):
        return
    given = values if arguments is None else ()
    named = {} if arguments is None else dict(zip(arguments, values, strict=True))
    try:
        inspect.signature(module.connect).bind(*given, **named)
    except TypeError:
        return  # the pass of two rows tells what its forward takes
    try:
        with own_draws(seed, "connect", name):
            module.connect(*given, **named)
    except ValueError as error:
        text = f"{class_name(type(module))} cannot read {', '.join(map(str, values))}. {error}"
        raise refusal(GraphError, [Problem(("nodes", name), text)]) from error
