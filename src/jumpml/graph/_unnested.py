"""Models as nodes of a model: their nodes become its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jumpml.core import GraphError, Problem, did_you_mean, field_of, refusal
from jumpml.graph._node import Node, renamed

if TYPE_CHECKING:
    from collections.abc import Callable


def unnested(nodes: Mapping[str, Node]) -> dict[str, Node]:
    """The same graph with the nodes of each model in the place of the model, as ``outer.inner``.

    Args:
        nodes: Some of their modules may be a `Model`. What that reads is bound by the node's inputs, by name, or to
            what bears the same name; one name is enough where it has one input. Its tasks and objectives stay behind.

    Raises:
        GraphError: A node binds what its model does not read.
    """
    flat: dict[str, Node] = {}
    for name, node in nodes.items():
        if isinstance(node, Node) and hasattr(node.module, "node_names") and hasattr(node.module, "written"):
            model: Any = node.module
            rename = _renaming(name, node, model)
            for inner in model.given:
                flat[f"{name}.{inner}"] = Node(model.node(inner), renamed(model.written(inner), rename))
        else:
            flat[name] = node
    return flat


def _renaming(name: str, node: Node, model: Any) -> Callable[[str], str]:
    free = tuple(dict.fromkeys(field_of(field) for field in model.inputs))
    bound: Mapping[str, str] = node.inputs if isinstance(node.inputs, Mapping) else {}
    path = ("nodes", name, "inputs")
    unknown = [key for key in bound if key not in free]
    if unknown:
        text = f"its model reads no {unknown[0]!r}."
        raise refusal(GraphError, [Problem((*path, unknown[0]), text, did_you_mean(unknown[0], free))])
    if node.inputs and not isinstance(node.inputs, Mapping):
        given = (node.inputs,) if isinstance(node.inputs, str) else tuple(node.inputs)
        if len(free) != 1 or len(given) != 1:
            fix = "Say which is which, as in {its name: the name here}."
            raise refusal(GraphError, [Problem(path, f"its model reads {', '.join(free)}.", fix)])
        bound = dict(zip(free, given, strict=True))

    def rename(reference: str) -> str:
        if model.node_of(reference) is not None:
            return f"{name}.{reference}"
        field = field_of(reference)
        return bound.get(field, field) + reference.removeprefix(field)

    return rename
