"""Feature steps: what stands between a decoded field and a model, fitted on train rows and deployed with the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar, Self, final

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from jumpml.core import FieldInfo

ROWS_AT_A_TIME = 4096  # float64 copies of a whole column of pictures could be several times the column


class Feature(nn.Module, ABC):
    """One deterministic step on a batch of one field. What it learned from the train rows are its buffers.

    Attributes:
        name: What files call it.
        reads: ``numbers`` or ``codes``: what may come in.
        writes: ``numbers`` or ``indices``: what goes out.
    """

    name: ClassVar[str]
    reads: ClassVar[str]
    writes: ClassVar[str]

    @classmethod
    @abstractmethod
    def fit(cls, values: Tensor, field: FieldInfo) -> Self:
        """Learn from the train rows.

        Args:
            values: ``[rows, ...]``, what comes in.
            field: What the field is.
        """

    @abstractmethod
    def forward(self, values: Tensor) -> Tensor:
        """What a model reads, ``[batch, ...]``."""

    @abstractmethod
    def inverse(self, values: Tensor) -> Tensor:
        """What came in, as far as it can be told."""


@final
class Standardize(Feature):
    """Subtract the mean and divide by the standard deviation of the train rows; what is missing becomes 0, the mean.

    Args:
        mean: Broadcasts against one row.
        std: Of the same shape, above 0.

    Example:
        >>> Standardize(torch.tensor([2.0]), torch.tensor([4.0]))(torch.tensor([[6.0], [float("nan")]]))
        tensor([[1.],
                [0.]])
    """

    name = "standardize"
    reads = "numbers"
    writes = "numbers"
    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    @classmethod
    def fit(cls, values: Tensor, field: FieldInfo) -> Self:
        """One mean and deviation a channel of an image, else one an element; a constant element keeps its scale."""
        dims = (0, 2, 3) if field.kind == "image" else (0,)
        count = (~values.isnan()).sum(dims, keepdim=True)

        def mean_of(f: Callable[[Tensor], Tensor]) -> Tensor:
            parts = [f(part.double()).nansum(dims, keepdim=True) for part in values.split(ROWS_AT_A_TIME)]
            return torch.stack(parts).sum(dim=0) / count

        mean = mean_of(lambda part: part)
        std = mean_of(lambda part: (part - mean).square()).sqrt()
        # Rounding leaves a constant a deviation of 1e-16 of its mean; float32 values that differ have more than 1e-12.
        varies = (std > 1e-12 * mean.abs()) & (std >= torch.finfo(torch.float32).tiny)
        return cls(mean[0].float(), std.where(varies, 1.0)[0].float())

    def forward(self, values: Tensor) -> Tensor:
        """Float32 of the same shape."""
        scaled = (values - self.mean) / self.std
        return torch.where(torch.isnan(scaled), 0.0, scaled)

    def inverse(self, values: Tensor) -> Tensor:
        """The raw numbers."""
        return values * self.std + self.mean


@final
class OneHot(Feature):
    """A category as zeros with a one; all zeros where it is missing or no train row has it.

    Args:
        codes: int64 ``[classes]``: each class's code, or -2 where no train row has it.

    Example:
        >>> OneHot(torch.tensor([0, -2, 2]))(torch.tensor([2, 1, -1]))
        tensor([[0., 0., 1.],
                [0., 0., 0.],
                [0., 0., 0.]])
    """

    name = "one_hot"
    reads = "codes"
    writes = "numbers"
    codes: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)

    @classmethod
    def fit(cls, values: Tensor, field: FieldInfo) -> Self:
        """Note which classes the train rows have."""
        return cls(torch.where(_seen(values, field), torch.arange(len(field.classes), device=values.device), -2))

    def forward(self, values: Tensor) -> Tensor:
        """Float32 ``[batch, classes]`` of codes ``[batch]``."""
        return (values.unsqueeze(-1) == self.codes).to(torch.float32)

    def inverse(self, values: Tensor) -> Tensor:
        """The code of the largest element; -1 where no element is above 0."""
        return torch.where(values.amax(dim=-1) > 0, values.argmax(dim=-1), -1)


@final
class Index(Feature):
    """A category as a whole number for an embedding of ``classes + 1`` rows.

    0 stands for what is missing or no train row has, ``code + 1`` for the classes.

    Args:
        indices: int64 ``[classes + 1]``: by code + 1, the index.

    Example:
        >>> Index(torch.tensor([0, 1, 0, 3]))(torch.tensor([2, 1, -1]))
        tensor([3, 0, 0])
    """

    name = "index"
    reads = "codes"
    writes = "indices"
    indices: Tensor

    def __init__(self, indices: Tensor) -> None:
        super().__init__()
        self.register_buffer("indices", indices)

    @classmethod
    def fit(cls, values: Tensor, field: FieldInfo) -> Self:
        """Note which classes the train rows have."""
        seen = torch.cat([torch.zeros(1, dtype=torch.bool, device=values.device), _seen(values, field)])
        return cls(torch.where(seen, torch.arange(len(seen), device=values.device), 0))

    def forward(self, values: Tensor) -> Tensor:
        """Int64 ``[batch]`` of codes ``[batch]``."""
        return self.indices[values + 1]

    def inverse(self, values: Tensor) -> Tensor:
        """The code; -1 for 0."""
        return values - 1


def _seen(codes: Tensor, field: FieldInfo) -> Tensor:
    return torch.bincount(codes + 1, minlength=len(field.classes) + 1)[1:] > 0
