"""A node's module with the example on which it is checked."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Outputs = dict[str, Tensor]
Inputs = Tensor | Sequence[Tensor] | Mapping[str, Tensor]
TOLERANCE = 1e-4  # of the largest output, at least of 1: float32 kernels add up in another order


@dataclass(frozen=True)
class Case:
    """What is checked, and on what.

    Attributes:
        module: In evaluation mode, its lazy parts made real.
        make: Gives another one.
        names: Of the inputs: of `forward`'s arguments, or their places.
        values: The inputs, ``[batch, ...]`` each.
        named: Whether they are passed by name.
    """

    module: nn.Module
    make: Callable[[], nn.Module]
    names: tuple[str, ...]
    values: tuple[Tensor, ...]
    named: bool

    @property
    def rows(self) -> int:
        """How many the example has."""
        return self.values[0].shape[0]

    def first(self, count: int) -> tuple[Tensor, ...]:
        """The example's first rows."""
        return tuple(value[:count] for value in self.values)

    def run(self, values: Sequence[Tensor], module: nn.Module | None = None) -> Outputs:
        """The outputs by part, without gradient; a single tensor is the part ``output``."""
        with torch.no_grad():
            return self.call(values, module)

    def call(self, values: Sequence[Tensor], module: Callable[..., Any] | None = None) -> Outputs:
        """The same with gradient."""
        called = self.module if module is None else module
        given = called(**dict(zip(self.names, values, strict=True))) if self.named else called(*values)
        return parts_of(given)

    def copy(self) -> nn.Module:
        """A copy of the module."""
        return copy.deepcopy(self.module)

    def masks(self) -> list[tuple[int, list[int]]]:
        """The places of masks, bool ``[batch, length]``, and of the values ``[batch, length, ...]`` that each is of."""
        places = [place for place, value in enumerate(self.values) if value.dtype == torch.bool and value.ndim == 2]
        return [(mask, found) for mask in places if (found := self._masked_by(mask))]

    def _masked_by(self, mask: int) -> list[int]:
        shape = self.values[mask].shape
        others = (place for place, value in enumerate(self.values) if place != mask and value.dtype != torch.bool)
        return [place for place in others if self.values[place].shape[:2] == shape]


def parts_of(given: Any) -> Outputs:
    """A module's answer by part.

    Raises:
        TypeError: It holds no tensor.
    """
    if isinstance(given, Tensor):
        return {"output": given}
    found = {}
    if isinstance(given, (tuple, list)):
        found = {str(place): value for place, value in enumerate(given) if isinstance(value, Tensor)}
    elif isinstance(given, Mapping):
        found = {str(key): value for key, value in given.items() if isinstance(value, Tensor)}
    if not found:
        raise TypeError(f"expected a tensor, or a tuple or dict of them, got a {type(given).__name__}")
    return found


def apart(expected: Outputs, got: Outputs) -> str:
    """How two answers differ, by more than rounding explains; empty where they do not."""
    if expected.keys() != got.keys():
        return f"expected the parts {', '.join(expected)}, got {', '.join(got)}."
    for name, value in expected.items():
        other = got[name]
        if value.shape != other.shape or value.dtype != other.dtype:
            return f"expected {name} {said(value)}, got {said(other)}."
        if not value.numel():
            continue
        left, right = value.detach().double(), other.detach().double()
        allowed = TOLERANCE * max(1.0, float(left.nan_to_num().abs().max()))
        same = (left == right) | (left.isnan() & right.isnan())
        difference = float(torch.where(same, 0.0, left - right).abs().nan_to_num(torch.inf).max())
        if difference > allowed:
            return f"{name} differs by {difference:.3g}, where rounding explains {allowed:.3g}."
    return ""


def said(value: Tensor) -> str:
    """A tensor's shape and type.

    Example:
        >>> said(torch.zeros(2, 3))
        '[2, 3] float32'
    """
    return f"{list(value.shape)} {str(value.dtype).removeprefix('torch.')}"
