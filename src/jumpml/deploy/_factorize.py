"""Each linear layer as two thin ones, by singular values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast, final

import torch
from torch import Tensor, nn

from jumpml.core import DeploymentError

if TYPE_CHECKING:
    from collections.abc import Iterable


@final
class ThinLinear(nn.Module):
    """A linear layer of limited rank: ``second(first(x))``, with ``rank * (in + out)`` weights instead of ``in * out``.

    Args:
        first: ``in`` to ``rank``, without bias.
        second: ``rank`` to ``out``.

    Example:
        >>> layer = nn.Linear(8, 8)
        >>> x = torch.ones(1, 8)
        >>> torch.allclose(ThinLinear.of(layer, rank=8)(x), layer(x), atol=1e-6)
        True
    """

    def __init__(self, first: nn.Linear, second: nn.Linear) -> None:
        super().__init__()
        self.first, self.second = first, second

    @classmethod
    def of(cls, layer: nn.Linear, rank: int) -> Self:
        """The layer of that rank whose weights are nearest (Eckart and Young 1936, https://doi.org/10.1007/BF02288367)."""
        weight = layer.weight.detach()
        left, values, right = torch.linalg.svd(weight.double(), full_matrices=False)
        root = values[:rank].sqrt()  # shared between the two, so that neither trains faster than the other
        first = nn.Linear(layer.in_features, rank, bias=False, device=weight.device, dtype=weight.dtype)
        second = nn.Linear(rank, layer.out_features, layer.bias is not None, device=weight.device, dtype=weight.dtype)
        with torch.no_grad():
            first.weight.copy_(root[:, None] * right[:rank])
            second.weight.copy_(left[:, :rank] * root)
            if layer.bias is not None:
                second.bias.copy_(layer.bias)
        return cls(first, second)

    def forward(self, values: Tensor) -> Tensor:
        """``[*, in]`` to ``[*, out]``."""
        return self.second(self.first(values))

    @property
    def weight(self) -> Tensor:
        """The product ``[out, in]``: modules such as ``nn.TransformerEncoderLayer`` look at their layers' weights."""
        return self.second.weight @ self.first.weight

    @property
    def bias(self) -> Tensor | None:
        """The bias ``[out]``."""
        return self.second.bias


@final
@dataclass(frozen=True, kw_only=True)
class Factorization:
    """What `factorize` did.

    Attributes:
        thinned: Linear layers that were replaced.
        layers: All of them.
    """

    thinned: int
    layers: int


def thin_rank(layer: nn.Linear, share: float) -> int | None:
    """How many singular values stay; None where two thin layers would have no fewer weights.

    Args:
        layer: The layer.
        share: Of its singular values, in (0, 1].
    """
    inputs, outputs = layer.in_features, layer.out_features
    rank = max(1, math.ceil(share * min(inputs, outputs)))
    return rank if rank * (inputs + outputs) < inputs * outputs else None


def thin_ranks(parts: Iterable[nn.Module], share: float) -> dict[nn.Linear, int | None]:
    """The linear layers in some modules, each with its `thin_rank`.

    Subclasses of ``nn.Linear`` are none of them: what they add would be lost.

    Raises:
        DeploymentError: No layer becomes smaller.
    """
    layers = dict.fromkeys(module for part in parts for module in part.modules() if type(module) is nn.Linear)
    ranks = {layer: thin_rank(layer, share) for layer in layers}
    if not any(ranks.values()):
        raise DeploymentError(
            f"factorize: of {len(layers)} linear layers none has fewer weights with {share:g} of its singular values. "
            "Take a smaller rank, or another change."
        )
    return ranks


def factorize(model: nn.Module, parts: Iterable[nn.Module], share: float) -> Factorization:
    """Replace every ``nn.Linear`` in some parts of a model by a `ThinLinear`, in place, where that saves weights.

    Args:
        model: What holds the parts.
        parts: Modules of it, with all that is in them.
        share: Of each layer's singular values, in (0, 1].

    Raises:
        DeploymentError: No layer becomes smaller.
    """
    ranks = thin_ranks(parts, share)
    thin = {layer: ThinLinear.of(layer, rank) for layer, rank in ranks.items() if rank}
    places = [(name, module) for name, module in model.named_modules(remove_duplicate=False) if module in thin]
    for name, layer in places:  # a layer that stands in two places still does afterwards
        parent, _, leaf = name.rpartition(".")
        model.get_submodule(parent).register_module(leaf, thin[cast("nn.Linear", layer)])
    return Factorization(thinned=len(thin), layers=len(ranks))
