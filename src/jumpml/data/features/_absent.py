"""Which rows have a value, and zeros in the place of those that have none."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from jumpml.data.features._feature import Feature
from jumpml.data.kinds import KINDS

if TYPE_CHECKING:
    from jumpml.core import FieldInfo


@final
class Presence(Feature):
    """Which rows have a value. Every field has it under the name ``<field>.present``; no file asks for it.

    Args:
        kind: The field's.

    Example:
        >>> Presence("category")(torch.tensor([0, -1]))
        tensor([ True, False])
    """

    name = "present"
    fills = True
    reads = ()

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def forward(self, values: Tensor) -> Tensor:
        """Bool ``[batch]`` of decoded values ``[batch, ...]``."""
        return KINDS[self.kind].present(values)


@final
class Zeros(Feature):
    """Zeros for what is missing, as the last step of a field that some data sets do not have; no file asks for it.

    Nothing that is computed of them counts: they only keep NaN, and codes that no embedding has, away from nodes.

    Args:
        field: What is known of it.

    Example:
        >>> from jumpml.data import Column
        >>> Zeros(Column(torch.zeros(1, 2), "tensor").info("t"))(torch.tensor([[1.0, float("nan")]]))
        tensor([[1., 0.]])
    """

    name = "zeros"
    fills = True
    reads = ()

    def __init__(self, field: FieldInfo) -> None:
        super().__init__()
        self.absent = KINDS[field.kind].absent

    def forward(self, values: Tensor) -> Tensor:
        """``[batch, ...]``, with 0 for NaN and for the code of what is missing."""
        missing = values.isnan() if values.is_floating_point() else values == self.absent
        return torch.where(missing, torch.zeros((), dtype=values.dtype, device=values.device), values)

    def inverse(self, values: Tensor) -> Tensor:
        """The same: a value that is there has not been changed."""
        return values
