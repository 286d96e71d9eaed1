"""How two nodes, or the features of one, stand to each other over the rows of a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight

TINY = 1e-12  # beside a variance that may be 0


@final
class CKA(ObjectiveModule):
    """One minus the centred kernel alignment of two nodes: 0 where their rows lie alike but for turning and scale.

    The linear kernel's (Kornblith et al. 2019, https://arxiv.org/abs/1905.00414); the two may have any widths. For
    vectors of one width that are to be alike number by number take `Cosine`.

    Args:
        inputs: Two nodes, or a node and a field; each row as one vector.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Example:
        >>> first = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]])
        >>> round(float(CKA(("early", "late"))(first, first @ torch.tensor([[0.0, 3.0], [-3.0, 0.0]])).value), 6)
        0.0
    """

    roles = ("first", "second")
    per_example = False

    def __init__(
        self, inputs: Sequence[str], *, weight: Weight = 1.0, when: str | Sequence[str] = ("supervised",)
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for numbers."""
        super().connect(values, parameters)
        for position, value in enumerate(values):
            if value and value.dtype != "float32":
                raise self.wrong_shape(position, "float32", value, "Take the node that embeds it.")

    def forward(self, first: Tensor, second: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of the whole batch.

        Args:
            first: ``[batch, *]``.
            second: ``[batch, *]``, of any other shape.
            present: bool ``[batch]``, the rows that count; None where all do. A table's rows of which single numbers
                are missing do not count.
        """
        present = self.whole_rows(present, first, second)
        # products of rows with rows: their number is the batch's, whatever the widths are. The size of numbers does not
        # count, and is taken out before: fourth powers of large or small ones are beyond float32
        one, other = (_sized(x) @ _sized(x).T for x in (_centred(first, present), _centred(second, present)))
        scale = (one.square().sum() * other.square().sum() + TINY).sqrt()
        return Loss(1 - (one * other).sum() / scale)


@final
class Decorrelation(ObjectiveModule):
    """Features that tell nothing of each other: the mean square of their correlations over the batch.

    Of one node, those of each feature with the others (as Cogswell et al. 2016, https://arxiv.org/abs/1511.06068, but
    of correlations, which cannot be made small by making features small); of two nodes, those of each feature of the
    one with each of the other.

    Args:
        inputs: One node or two, ``[batch, width]``.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Example:
        >>> Decorrelation("code")(torch.tensor([[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]])).value
        tensor(1.0000)
    """

    roles = ("first", "second")
    optional = 1
    per_example = False

    def __init__(
        self, inputs: str | Sequence[str], *, weight: Weight = 1.0, when: str | Sequence[str] = ("supervised",)
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one vector a row, and for two features or more of a single node."""
        super().connect(values, parameters)
        least = 2 if len(values) == 1 else 1
        for position, value in enumerate(values):
            if value and (len(value.shape) != 1 or value.shape[0] < least or value.dtype != "float32"):
                fix = "Flatten or pool it in a node first, such as torch.nn.Flatten."
                raise self.wrong_shape(position, f"[batch, width] float32, {least} wide or more", value, fix)

    def forward(self, first: Tensor, second: Tensor | None = None, present: Tensor | None = None) -> Loss:
        """The loss of the whole batch.

        Args:
            first: ``[batch, width]``.
            second: ``[batch, another width]``; None where the first's features are compared with each other.
            present: bool ``[batch]``, the rows that count; None where all do. A table's rows of which single numbers
                are missing do not count.
        """
        present = self.whole_rows(present, first, *(() if second is None else (second,)))
        one = _unit(_centred(first, present))
        if second is not None:
            return Loss((one.T @ _unit(_centred(second, present))).square().mean())
        products = (one.T @ one).square()
        width = len(products)
        return Loss((products.sum() - products.diagonal().sum()) / (width * (width - 1)))


def _centred(x: Tensor, present: Tensor | None) -> Tensor:
    """Rows as vectors around their mean, ``[batch, width]``; nothing in those that are absent."""
    x = x.flatten(1)
    if present is None:
        return x - x.mean(0)
    x = torch.where(present[:, None], x, 0.0)
    return torch.where(present[:, None], x - x.sum(0) / present.sum().clamp(min=1), 0.0)


def _sized(x: Tensor) -> Tensor:
    """All numbers together of length 1, where they are not 0."""
    return x / (x.norm() + TINY)


def _unit(x: Tensor) -> Tensor:
    """Columns of length 1; one that does not vary correlates with nothing."""
    return x / (x.square().sum(0) + TINY).sqrt()
