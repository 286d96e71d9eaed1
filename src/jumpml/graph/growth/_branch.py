"""A branch beside a node; where it reads a field that nothing read before, a modality."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch
from torch import nn

from jumpml.core import GraphError, JumpMLError, ValueInfo, resolve_class
from jumpml.graph._node import Node
from jumpml.graph._random import own_draws
from jumpml.graph.blocks._lazy import lazy_layers_are_meant
from jumpml.graph.growth._gate import BRANCH, GatedSum
from jumpml.graph.growth._places import replace
from jumpml.graph.growth._surgery import Entry, Moved, Surgery

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.graph._model import Model


@final
@dataclass(frozen=True)
class Branch(Surgery):
    """Add a new node's output to a node's, times a gate that is zero at first.

    The new node may read what the model reads already, or fields that nothing has read before: a new modality.

    Attributes:
        node: The node that it is added to.
        name: The new node's name.
        module: The dotted name of its class, of ``torch.nn`` or ``jumpml``, so that a lineage can make it again. Its
            output has the shape of the node's; in an ``MLP`` the last width is what counts.
        inputs: What it reads, as in a model file.
        args: The class's arguments.
        fields: Shape and type, after features, of fields that it reads and that the model does not know yet, such as
            ``{"sound": loaders.info("sound")}``.

    Example:
        >>> from torch import nn
        >>> from jumpml.graph import Model
        >>> nodes = {"body": Node(nn.Linear(4, 6), "x"), "out": Node(nn.Linear(6, 2), "body")}
        >>> model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, outputs=["out"])
        >>> sound = Branch("body", "ear", "torch.nn.LazyLinear", "sound", {"out_features": 6},
        ...     fields={"sound": ValueInfo(shape=(9,))})
        >>> print(model.grow(sound).text, model.node_names)
        added ear, which reads sound, to body ('ear', 'body', 'out')
    """

    kind: ClassVar[str] = "branch"
    node: str
    name: str
    module: str
    inputs: str | Sequence[str]
    args: Mapping[str, Any] = field(default_factory=dict)
    fields: Mapping[str, ValueInfo] = field(default_factory=dict)

    def resolve(self, model: Model, seed: int) -> Entry:
        """The node, in plain values."""
        if self.node not in model.node_names:
            model.node(self.node)
            raise GraphError(f"a branch is added to a node, and {self.node!r} is a module inside one.")
        shared = [name for name in model.node_names if model.node(name) is model.node(self.node)]
        if len(shared) > 1:
            raise GraphError(f"nodes {', '.join(shared)} share one module: a branch would be added to all of them.")
        reads = [self.inputs] if isinstance(self.inputs, str) else [*self.inputs]
        told = {
            "name": self.name,
            "module": self.module,
            "inputs": reads,
            "args": dict(self.args),
            "fields": {name: [list(info.shape), info.dtype] for name, info in self.fields.items()},
        }
        text = f"added {self.name}, which reads {', '.join(reads)}, to {self.node}"
        return {"kind": self.kind, "text": text, "at": {self.node: told}, "seed": seed}

    @staticmethod
    def operate(model: Model, entry: Entry) -> Mapping[Tensor, Moved]:
        """Put the node and the gate in."""
        for node, told in entry["at"].items():
            try:
                cls = resolve_class(told["module"], nn.Module)
                with own_draws(entry["seed"], "grow", told["name"]), lazy_layers_are_meant():
                    made = cls(**told["args"])
            except (JumpMLError, TypeError, ValueError) as error:
                raise GraphError(f"branch {told['name']!r} cannot be made: {error}") from error
            like = next((p for p in model.parameters() if p.is_floating_point()), torch.zeros(()))
            made.to(device=like.device, dtype=like.dtype).train(model.training)
            inner = model.node(node)
            replace(model, inner, GatedSum(inner))
            reads = model.written(node)
            if isinstance(reads, Mapping):
                reads = {**reads, BRANCH: told["name"]}
            else:
                reads = [*([reads] if isinstance(reads, str) else reads), told["name"]]
            fields = {
                name: ValueInfo(shape=tuple(shape), dtype=dtype) for name, (shape, dtype) in told["fields"].items()
            }
            model.insert({told["name"]: Node(made, tuple(told["inputs"]))}, inputs=fields, rewired={node: reads})
        return {}
