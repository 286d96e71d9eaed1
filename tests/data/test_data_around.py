"""Orders around another: what they make of some of its rows is what they would make of an order of these."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from jumpml.data import Bucketed, Mixture, Order, Paced, Preferred, Shuffled
from jumpml.data._first_batches import FirstBatches

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def halves(_: int, batches: Tensor) -> Tensor:
    return torch.full(batches.shape, 0.5, dtype=torch.float64)


RANKED = torch.randperm(60, generator=torch.Generator().manual_seed(1))
WEIGHTS = torch.rand(60, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
AROUND: dict[str, Callable[[Order], Order]] = {
    "first batches": lambda order: FirstBatches(order, 2),
    "bucketed": lambda order: Bucketed(order, RANKED),
    "preferred": lambda order: Preferred(order, lambda: WEIGHTS),
    "paced": lambda order: Paced(order, lambda: RANKED, halves),
}


def plain() -> Order:
    return Mixture({"a": Shuffled(torch.arange(40)), "b": Shuffled(torch.arange(40, 60))})


def served(order: Order | None) -> list[list[int]]:
    if order is None:
        return []
    return [part.tolist() for epoch in range(2) for part in order.epoch(3, epoch, 7).positions.split(7)]


@pytest.mark.parametrize("name", AROUND)
def test_some_rows_are_those_of_the_order_within(name: str) -> None:
    way, mask = AROUND[name], torch.arange(60) % 3 == 0
    order = way(plain())
    assert order.datasets == ("a", "b")
    assert served(order.only(["b"])) == served(way(plain().only(["b"]))) != served(order)
    inner = plain().within(mask)
    assert inner is not None
    assert served(order.within(mask)) == served(way(inner)) != served(order)
    assert order.within(torch.zeros(60, dtype=torch.bool)) is None


@pytest.mark.parametrize("name", AROUND)
def test_as_many_batches_as_it_serves(name: str) -> None:
    order = AROUND[name](plain())
    assert order.batches(7) == len(order.epoch(0, 0, 7).sizes)
    assert len(order.groups) == 2
