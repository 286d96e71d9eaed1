"""Rows drawn by weights that move: as often as their shares say, in the places of the other order's groups."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from jumpml.data import Balanced, Bucketed, Mixture, Paced, Preferred, Shuffled, Weighted


@given(weights=st.lists(st.floats(0, 9), min_size=1, max_size=40), seed=st.integers(0, 5))
def test_a_row_comes_as_often_as_its_share_says_to_within_one(weights: list[float], seed: int) -> None:
    told = torch.tensor(weights, dtype=torch.float64)
    order = Mixture({"a": Shuffled(torch.arange(len(told)))})
    found = Preferred(order, lambda: told).epoch(seed, 0, 4)
    share = told / told.sum() if told.sum() > 0 else torch.full_like(told, 1 / len(told))
    counts = torch.bincount(found.positions, minlength=len(told))
    assert ((counts - share * len(told)).abs() < 1 + 1e-6).all()
    assert found.sizes == order.epoch(seed, 0, 4).sizes


def test_data_sets_and_balanced_classes_keep_their_places() -> None:
    pools = {"a": Balanced([torch.arange(30), torch.arange(30, 40)]), "b": Shuffled(torch.arange(40, 60))}
    order = Mixture(pools, {"a": 1, "b": 2})
    weights = torch.rand(60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    plain, found = order.epoch(0, 0, 8).positions, Preferred(order, lambda: weights).epoch(0, 0, 8).positions
    for begin, end in ((0, 30), (30, 40), (40, 60)):
        inside = (plain >= begin) & (plain < end)
        assert torch.equal(inside, (found >= begin) & (found < end))
        counts = torch.bincount(found[inside], minlength=60)[begin:end]
        share = weights[begin:end] / weights[begin:end].sum()
        assert ((counts - share * int(inside.sum())).abs() < 1 + 1e-6).all()
    assert not torch.equal(plain, found)


def test_how_often_rows_come_is_told_beside_the_other_order() -> None:
    said, weights = torch.tensor([1.0, 3.0, 0.0]), torch.tensor([2.0, 1.0, 5.0], dtype=torch.float64)
    order = Preferred(Mixture({"a": Weighted(torch.arange(3), said)}), lambda: weights)
    (group,) = order.groups
    assert group.weights is not None
    assert group.weights.tolist() == [2.0, 3.0, 0.0]
    assert torch.allclose(order.often(), torch.tensor([0.4 / 0.25, 0.6 / 0.75, 1.0], dtype=torch.float64))
    even = Preferred(Mixture({"a": Shuffled(torch.arange(3))}), lambda: weights)
    assert torch.allclose(even.often(), weights * 3 / 8)


def test_epochs_differ_and_are_functions_of_their_number() -> None:
    weights = torch.ones(50, dtype=torch.float64)
    order = Preferred(Mixture({"a": Shuffled(torch.arange(50))}), lambda: weights)
    first, second = order.epoch(0, 0, 8).positions, order.epoch(0, 1, 8).positions
    assert torch.equal(first, order.epoch(0, 0, 8).positions)
    assert not torch.equal(first, second)
    assert (order.batches(8), order.datasets, order.anywhere) == (7, ("a",), True)


def test_weights_are_asked_anew() -> None:
    told = [torch.tensor([1.0, 0.0], dtype=torch.float64)]
    order = Preferred(Mixture({"a": Shuffled(torch.arange(2))}), lambda: told[0])
    assert order.epoch(0, 0, 2).positions.tolist() == [0, 0]
    told[0] = torch.tensor([0.0, 1.0], dtype=torch.float64)
    assert order.epoch(0, 0, 2).positions.tolist() == [1, 1]


def test_it_goes_with_parts_of_the_rows_buckets_and_pacing() -> None:
    weights = torch.arange(40, dtype=torch.float64)
    order = Mixture({"a": Shuffled(torch.arange(30)), "b": Shuffled(torch.arange(30, 40))})
    one = Preferred(order, lambda: weights)
    assert one.only(["b"]).epoch(0, 0, 8).positions.min() >= 30
    some = one.within(torch.arange(40) < 10)
    assert some is not None
    assert some.epoch(0, 0, 8).positions.max() < 10
    assert one.within(torch.zeros(40, dtype=torch.bool)) is None
    bucketed = Bucketed(order, torch.arange(40)).rearranged(lambda inner, _: Preferred(inner, lambda: weights))
    assert isinstance(bucketed, Bucketed)
    assert 0 not in bucketed.epoch(0, 0, 8).positions

    def half(epoch: int, batches: torch.Tensor) -> torch.Tensor:
        return torch.full((len(batches),), 0.5, dtype=torch.float64)

    ranked = torch.arange(40)
    positions = torch.cat([Paced(one, lambda: ranked, half).epoch(0, epoch, 8).positions for epoch in range(500)])
    assert set(positions.unique().tolist()) == {*range(1, 15), *range(30, 35)}
    counts = torch.bincount(positions, minlength=40)[:15].double()
    share = weights[:15] / weights[:15].sum()
    assert ((counts / counts.sum() - share).abs() < 5 * (share * (1 - share) / counts.sum()).sqrt() + 1e-9).all()
