"""More layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import torch
from torch import Tensor, nn

from jumpml.core import GraphError
from jumpml.graph._node import class_name
from jumpml.graph._random import own_draws
from jumpml.graph.blocks._residual import Residual
from jumpml.graph.growth._places import replace
from jumpml.graph.growth._surgery import Entry, Moved, Surgery
from jumpml.graph.growth._survey import rows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.graph._model import Model


@final
@dataclass(frozen=True)
class Deepen(Surgery):
    """Give a node more layers behind those that it has; each adds something to its input, at first zero.

    A block of JumpML's that is made of layers in a row gets more of its own: a transformer, a residual network. Any
    other module gets a small network behind it, ``x + W2 relu(W1 x)``, of convolutions where its output is a picture.

    Attributes:
        node: A node whose output is one tensor, or a module inside one.
        layers: How many, 1 or more.

    Raises:
        GraphError: As it is made, the number of layers is below 1.
    """

    kind: ClassVar[str] = "deepen"
    node: str
    layers: int = 1

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise GraphError(f"deepen: expected 1 layer or more, got {self.layers}.")

    def resolve(self, model: Model, seed: int) -> Entry:
        """How many layers of which kind."""
        module = model.node(self.node)
        text = f"deepened {self.node} by {self.layers} layer{'s' if self.layers > 1 else ''}"
        told = {"layers": self.layers} if hasattr(module, "deepen") else {"layers": self.layers, **self._sizes(model)}
        return {"kind": self.kind, "text": text, "at": {self.node: told}, "seed": seed}

    def _sizes(self, model: Model) -> dict[str, int]:
        """The width of what comes out of the module, and its axes of space."""
        module, given = model.node(self.node), []
        handle = module.register_forward_hook(lambda _module, _values, output: given.append(output))
        try:
            rows_of(model)
        finally:
            handle.remove()
        if len(given) != 1 or not isinstance(given[0], Tensor) or given[0].ndim < 2:
            what = "is not called once in a pass" if len(given) != 1 else "gives no single tensor"
            raise GraphError(
                f"{self.node!r} ({class_name(type(module))}) {what}, so that no layer fits behind it. Name a module "
                "inside it."
            )
        space = max(given[0].ndim - 2, 0) if _convolves(module) else 0
        return {"width": given[0].shape[1 if space else -1], "space": space}

    @staticmethod
    def operate(model: Model, entry: Entry) -> Mapping[Tensor, Moved]:
        """Put the layers behind."""
        for name, told in entry["at"].items():
            module: Any = model.node(name)
            like = next(module.parameters(), torch.zeros(()))
            known = set(module.modules())
            with own_draws(entry["seed"], "grow", name):
                if "width" not in told:
                    for _ in range(told["layers"]):
                        module.deepen()
                else:
                    added = [Residual(told["width"], told["space"]) for _ in range(told["layers"])]
                    if isinstance(module, nn.Sequential):
                        module.extend(added)
                    else:
                        replace(model, module, nn.Sequential(module, *added).train(module.training))
                        known = {module, *known}
                        module = model.node(name)
            for inner in set(module.modules()) - known:
                inner.to(device=like.device, dtype=like.dtype if like.is_floating_point() else None)
                inner.training = module.training
        return {}


def _convolves(module: nn.Module) -> bool:
    """Whether channels come first in what a module gives: the last layer of it that can tell is a convolution's."""
    told = (nn.modules.conv._ConvNd, nn.modules.batchnorm._BatchNorm, nn.Linear, nn.LayerNorm, nn.RNNBase, nn.Embedding)
    last = [inner for inner in module.modules() if isinstance(inner, told)]
    return bool(last) and isinstance(last[-1], told[:2])
