"""A penalty on parameters that holds all of them alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, final, get_args

import torch

from jumpml.core import Loss, did_you_mean
from jumpml.objectives._anchored import Started

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight

AnchorKind = Literal["start", "consolidated"]


@final
class L2SP(Started):
    """Half the squared distance of parameters from those that learning started with, or from earlier ones.

    ``1/2 sum_i (p_i - a_i)^2`` (Li et al. 2018, https://arxiv.org/abs/1802.01483). After transfer from another model
    the start is that model's weights, which is what a fine-tuned one should stay near; weight decay pulls to zero.

    Args:
        parameters_of: Patterns of the nodes whose parameters are held.
        anchor: ``start``: the weights that learning starts from, and those alone; or ``consolidated``: those at the
            latest `consolidate`, before which the penalty is zero.
        weight: What the penalty is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: No pattern is given, or there is no such anchor.

    Example:
        >>> p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> objective = L2SP("all")
        >>> objective.connect([], {"p": p})
        >>> p.data += 1
        >>> objective().value
        tensor(1., grad_fn=<DivBackward0>)
    """

    def __init__(
        self,
        parameters_of: str | Sequence[str] = "all",
        *,
        anchor: AnchorKind = "start",
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(parameters_of, weight=weight, when=when)
        if anchor not in get_args(AnchorKind):
            raise self.error(f"there is no anchor {anchor!r}. {did_you_mean(anchor, get_args(AnchorKind))}")
        self.anchor = anchor

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Take hold of the parameters where they are now."""
        super().connect(values, parameters)
        self.register_buffer("active", torch.tensor(float(self.anchor == "start")))

    def forward(self, present: Tensor | None = None) -> Loss:
        """The penalty, a scalar. It reads no rows, so none can be absent."""
        terms = [(held - anchor).square().sum() for held, anchor in self.pairs()]
        return Loss(self.get_buffer("active") * torch.stack(terms).sum() / 2)

    def consolidate(self) -> None:
        """Hold the parameters where they are now, unless it is the start that holds them."""
        if self.anchor == "consolidated":
            self.move_anchors()
            self.get_buffer("active").fill_(1.0)
