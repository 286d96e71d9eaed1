"""Losses whose small differences half precision would lose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

HALF = {torch.float16, torch.bfloat16}


def in_full_precision(compute: Callable[..., Tensor], *values: Tensor) -> Tensor:
    """Compute a loss outside autocast, of half precision's values as float32.

    Args:
        compute: Makes the loss of the values.
        values: What it is made of, on one device.

    Example:
        >>> half = torch.ones(2, 3, dtype=torch.bfloat16)
        >>> in_full_precision(lambda x: (x @ x.T).sum(), half).dtype
        torch.float32
    """
    device = values[0].device.type
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        return compute(*map(in_single, values))
    with torch.autocast(device, enabled=False):
        return compute(*map(in_single, values))


def in_single(x: Tensor) -> Tensor:
    """Numbers of half precision, as autocast makes them, in float32; others as they are."""
    return x.float() if x.dtype in HALF else x
