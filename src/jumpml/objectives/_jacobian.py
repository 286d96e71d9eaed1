"""How much a node's output moves where what it reads moves."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, final

import torch

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import filled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


@final
class Jacobian(ObjectiveModule):
    """The squared Frobenius norm of a node's Jacobian with respect to a field or to another node, one a row.

    Of an encoder's code by its input it is the penalty of contractive auto-encoders (Rifai et al. 2011, "Contractive
    auto-encoders", ICML). It is estimated by random projections of the output (Hoffman et al. 2019,
    https://arxiv.org/abs/1908.02729), drawn from torch's global generator: without bias, and the less noisy the more.

    Each projection costs a backward pass from the output to what it is differentiated by, and in training another
    through that one. Modules between the two need second derivatives, which ReLU and linear layers have and fused
    attention has not, and a row's output must depend on its own row alone, as it does not behind a batch normalization
    in training. ``torch.compile`` has no second derivatives: there the phase's losses run outside the compiled graph.

    Args:
        inputs: The output, and what it is differentiated by: a field or a node that it depends on.
        projections: How many random directions; 0 takes every direction once, which is exact and costs a pass for each
            number of the output.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There are fewer than no projections.

    Example:
        >>> x = torch.tensor([[1.0, 2.0]], requires_grad=True)
        >>> code = (x**2).sum(1, keepdim=True)
        >>> Jacobian(("code", "x"), projections=0)(code, x).value.detach()  # (2 * 1)^2 + (2 * 2)^2
        tensor([20.])
    """

    roles = ("output", "source")
    differentiates: tuple[int, ...] = (1,)

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        projections: int = 1,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if projections < 0:
            raise self.error(f"expected 0 projections or more, got {projections}.")
        self.projections = projections

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for numbers."""
        super().connect(values, parameters)
        for position, value in enumerate(values):
            if value and value.dtype != "float32":
                raise self.wrong_shape(position, "float32", value, "Codes have no gradient: take what embeds them.")

    def forward(self, output: Tensor, source: Tensor, present: Tensor | None = None) -> Loss:
        """The penalty of each row.

        Args:
            output: ``[batch, *]``, computed of `source`.
            source: ``[batch, *]``, with a gradient.
            present: bool ``[batch]``, the rows that count; None where all do. A table's rows of which single numbers
                are missing do not count.

        Raises:
            ObjectiveError: The output does not depend on the source.
        """
        present = self.whole_rows(present, output, source)
        flat = filled(output, present).flatten(1)
        return Loss(torch.stack([self._square(part, source) for part in self._directions(flat)]).sum(0), present)

    def _directions(self, flat: Tensor) -> list[Tensor]:
        """Scalars whose squared gradients, added up, are the penalty or estimate it."""
        size = prod(flat.shape[1:])
        if not self.projections:
            return [flat[:, place].sum() for place in range(size)]
        drawn = torch.randn(self.projections, *flat.shape, dtype=flat.dtype, device=flat.device)
        drawn = drawn / drawn.norm(dim=2, keepdim=True) * (size / self.projections) ** 0.5
        return [(flat * direction).sum() for direction in drawn]

    def _square(self, part: Tensor, source: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(part, source, create_graph=True, allow_unused=True)
        if gradient is None:
            output, reads = self.inputs
            raise self.error(f"{output!r} does not depend on {reads!r}: there is no Jacobian. Name what it reads.")
        return gradient.flatten(1).square().sum(1)
