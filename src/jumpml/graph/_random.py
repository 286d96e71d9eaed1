"""Draws from torch's generator that do not show outside."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from jumpml.core import derive_seed

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def own_draws(seed: int | None, *purpose: str) -> Iterator[None]:
    """Inside, torch's global CPU generator follows ``(seed, *purpose)``; afterwards it is as it was before.

    Without a seed it is torch's generator as always. Only the CPU's is touched: parameters are made there.
    """
    if seed is None:
        yield
        return
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(derive_seed(seed, *purpose))
    try:
        yield
    finally:
        torch.set_rng_state(state)
