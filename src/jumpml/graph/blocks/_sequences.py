"""What is a sequence of vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor


def check_sequence(block: str, values: Tensor, mask: Tensor | None = None) -> None:
    """Refuse what is no sequence of vectors, or a mask that does not go with it.

    Raises:
        ValueError: It is none.
    """
    if mask is not None and (values.ndim != 3 or mask.shape != values.shape[:2] or mask.dtype != torch.bool):
        raise ValueError(
            f"{block} reads values [batch, length, channels] and a mask [batch, length] of bool; got "
            f"{_said(values)} and {_said(mask)}."
        )
    if values.ndim != 3 or not values.is_floating_point():
        raise ValueError(f"{block} reads vectors [batch, length, channels]; got {_said(values)}.")


def _said(values: Tensor) -> str:
    return f"{list(values.shape)} {str(values.dtype).removeprefix('torch.')}"
