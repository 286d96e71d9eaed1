"""Noise on numbers of any shape, and values of other rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.data.augment._augmentation import Augmentation, only_for, uniform

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from jumpml.core import FieldInfo


@final
class Noise(Augmentation):
    """Add Gaussian noise to every element.

    Args:
        std: Its standard deviation, in the decoded field's units.
        relative: `std` is a share of the standard deviation that each row's own values have, so that a quiet recording
            gets less noise than a loud one.

    Example:
        >>> Noise(0.1)(torch.zeros(2, 3), torch.Generator().manual_seed(0)).shape
        torch.Size([2, 3])
    """

    def __init__(self, std: float, relative: bool = False) -> None:
        self.std, self.relative = std, relative

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change float32 ``[batch, ...]``."""
        noise = torch.randn(values.shape, generator=generator, device=values.device, dtype=values.dtype)
        if self.relative:
            noise = noise * _deviation(values)
        return values + self.std * noise

    def problem(self, field: FieldInfo) -> str:
        """Needs numbers; relative noise needs several a row."""
        if field.kind not in {"number", "image", "tensor", "audio", "series"}:
            if field.kind == "table":
                return "noise is for numbers, and a table may hold codes of categories; take swap_noise."
            return only_for("noise", "numbers", field)
        if self.relative and field.kind == "number":
            return "relative noise needs several values a row; this field is a number. Leave `relative` out."
        return ""


@final
class SwapNoise(Augmentation):
    """Give values of other rows of the batch to each row (Yoon et al. 2020).

    Each value is replaced with the given probability by the same column's value in another row, so that it stays one
    that occurs. A missing value stays missing, and is not handed on.

    Args:
        probability: The share of values that are replaced.

    Example:
        >>> SwapNoise(1.0)(torch.tensor([1, 2]), torch.Generator().manual_seed(0))
        tensor([2, 1])
    """

    def __init__(self, probability: float) -> None:
        self.probability = probability

    def __call__(self, values: Tensor, generator: Generator) -> Tensor:
        """Change float32 ``[batch, ...]`` or codes ``[batch]``."""
        rows = len(values)
        if rows < 2:
            return values
        chosen = uniform(tuple(values.shape), generator, values) < self.probability
        step = torch.randint(1, rows, values.shape, generator=generator, device=values.device)
        flat = values.reshape(rows, -1)
        row = (torch.arange(rows, device=values.device).unsqueeze(1) + step.view(rows, -1)) % rows
        other = flat.gather(0, row).view_as(values)
        return torch.where(chosen & _there(values) & _there(other), other, values)

    def problem(self, field: FieldInfo) -> str:
        """Needs columns: values that mean the same in every row."""
        columns = {"number", "category", "table", "tensor"}
        return "" if field.kind in columns else only_for("swap_noise", "numbers, categories and tables", field)


def _there(values: Tensor) -> Tensor:
    return ~values.isnan() if values.is_floating_point() else values >= 0


def _deviation(values: Tensor) -> Tensor:
    """The standard deviation of each row's values, missing ones aside, as ``[batch, 1, ...]``."""
    inner = tuple(range(1, values.dim()))
    return (values - values.nanmean(inner, keepdim=True)).square().nanmean(inner, keepdim=True).sqrt()
