"""Rows that may come yet in the place of all: even counts, the shares of groups, in the end the plain order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpml.data import (
    Balanced,
    Bucketed,
    Group,
    InOrder,
    Mixture,
    Order,
    Paced,
    Ranking,
    Shuffled,
    Streamed,
    Weighted,
)
from jumpml.data._first_batches import FirstBatches

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor


def constant(share: float) -> Callable[[int, Tensor], Tensor]:
    return lambda epoch, batches: torch.full((len(batches),), share, dtype=torch.float64)


def by_place(epoch: int, batches: Tensor) -> Tensor:
    """From a tenth to all over two epochs of ten batches."""
    return (0.1 + (epoch * 10 + batches).double() * 0.05).clamp(max=1)


def shuffled(rows: int, seed: int = 3) -> Tensor:
    return torch.randperm(rows, generator=torch.Generator().manual_seed(seed))


def paced(order: Order, ranked: Tensor, shares: Any) -> Order:
    return order.rearranged(lambda one, steady: Paced(one, lambda: ranked, shares, steady=steady))


@given(rows=st.integers(1, 60), share=st.floats(0.01, 1), batch=st.integers(1, 9))
def test_each_row_that_may_come_comes_equally_often(rows: int, share: float, batch: int) -> None:
    order, ranked = Mixture({"a": Shuffled(torch.arange(rows))}), shuffled(rows)
    found = paced(order, ranked, constant(share)).epoch(0, 0, batch)
    most = min(rows, max(1, -int(-(share * rows - 1e-9) // 1)))
    counts = torch.bincount(found.positions, minlength=rows)
    assert found.sizes == order.epoch(0, 0, batch).sizes
    assert counts[ranked[most:]].sum() == 0
    kept = counts[ranked[:most]]
    assert kept.max() - kept.min() <= 1


def test_no_row_comes_before_it_may_and_all_come_in_the_end() -> None:
    order, ranked = Mixture({"a": Shuffled(torch.arange(100))}), shuffled(100)
    place = ranked.argsort()
    one = paced(order, ranked, by_place)
    for epoch in (0, 1):
        found = one.epoch(7, epoch, 10)
        for number, batch in enumerate(found.positions.split(found.sizes)):
            assert place[batch].max() < round(100 * min(1, 0.1 + (epoch * 10 + number) * 0.05))
    assert torch.equal(one.epoch(7, 2, 10).positions, order.epoch(7, 2, 10).positions)
    assert one.batches(10) == order.batches(10) == 10
    assert (one.datasets, len(one.groups)) == (("a",), 1)


@given(first=st.integers(0, 10), seed=st.integers(0, 3))
@settings(deadline=None)
@pytest.mark.parametrize("weighted", [False, True])
def test_an_epoch_can_be_begun_anywhere(weighted: bool, first: int, seed: int) -> None:
    rows, generator = torch.arange(97), torch.Generator().manual_seed(1)
    pool = Weighted(rows, torch.rand(97, generator=generator)) if weighted else Shuffled(rows)
    one = paced(Mixture({"a": pool}), shuffled(97), by_place)
    whole = one.epoch(seed, 1, 10)
    (left,) = one.rounds(seed, 1, 10, first)
    assert torch.equal(left.epoch.positions, whole.positions[sum(whole.sizes[:first]) :])
    assert left.epoch.sizes == whole.sizes[first:]


def test_data_sets_keep_their_shares() -> None:
    pools = {"a": Shuffled(torch.arange(60)), "b": Shuffled(torch.arange(60, 90))}
    order, ranked = Mixture(pools, {"a": 1, "b": 2}), torch.arange(90)  # all of `a` is easier than any of `b`
    plain, found = order.epoch(0, 0, 10).positions, paced(order, ranked, constant(0.2)).epoch(0, 0, 10).positions
    assert torch.equal(plain >= 60, found >= 60)
    assert {*found.tolist()} == {*range(12), *range(60, 66)}
    only = paced(order, ranked, constant(0.2)).only(["b"])
    assert {*only.epoch(0, 0, 10).positions.tolist()} == {*range(60, 66)}


def test_some_rows_are_ranked_among_themselves() -> None:
    order, ranked = Mixture({"a": Shuffled(torch.arange(90))}), torch.arange(90)
    some = paced(order, ranked, constant(0.2)).within(torch.arange(90) >= 60)
    assert some is not None
    assert some.anywhere
    assert {*some.epoch(0, 0, 10).positions.tolist()} == {*range(60, 66)}
    assert paced(order, ranked, constant(0.2)).within(torch.zeros(90, dtype=torch.bool)) is None


def test_classes_that_come_equally_often_go_on_to_do_so() -> None:
    order = Mixture({"a": Balanced([torch.arange(40), torch.arange(40, 50)])})
    plain, found = order.epoch(0, 0, 10).positions, paced(order, shuffled(50), constant(0.3)).epoch(0, 0, 10).positions
    assert torch.equal(plain >= 40, found >= 40)
    allowed = shuffled(50)
    assert {*found.tolist()} <= {*allowed[allowed < 40][:12].tolist(), *allowed[allowed >= 40][:3].tolist()}


def test_weights_decide_among_the_rows_that_may_come() -> None:
    """The counts of many draws are those of the weights of the rows that may come, within five standard errors."""
    weights = torch.tensor([5.0, 1.0, 0.0, 3.0, 2.0, 9.0, 4.0, 6.0])
    ranked = torch.tensor([3, 1, 2, 0, 7, 6, 5, 4])
    order = Mixture({"a": Weighted(torch.arange(8), weights)})
    one = paced(order, ranked, constant(0.5))
    drawn = torch.cat([one.epoch(0, epoch, 8).positions for epoch in range(4000)])
    share = torch.where(torch.isin(torch.arange(8), ranked[:4]), weights, 0.0)
    share = share / share.sum()
    counts = torch.bincount(drawn, minlength=8) / len(drawn)
    assert ((counts - share).abs() <= 5 * (share * (1 - share) / len(drawn)).sqrt()).all()
    whole = paced(order, ranked, constant(1.0))
    assert torch.equal(whole.epoch(0, 3, 8).positions, order.epoch(0, 3, 8).positions)


def test_where_all_that_may_come_weighs_nothing_it_comes_alike() -> None:
    order = Mixture({"a": Weighted(torch.arange(4), torch.tensor([0.0, 0.0, 1.0, 1.0]))})
    found = paced(order, torch.arange(4), constant(0.5)).epoch(0, 0, 2).positions
    assert {*found.tolist()} <= {0, 1}


def test_shards_are_read_in_their_order_where_all_may_come() -> None:
    order = Mixture({"a": Streamed([torch.arange(10), torch.arange(10, 30)], 4)})
    assert torch.equal(paced(order, shuffled(30), constant(1)).epoch(0, 0, 5).positions, order.epoch(0, 0, 5).positions)
    assert {*paced(order, torch.arange(30), constant(0.5)).epoch(0, 0, 5).positions.tolist()} == {*range(15)}


def test_batches_of_similar_length_go_by_their_epochs_first() -> None:
    lengths = torch.randint(1, 50, (100,), generator=torch.Generator().manual_seed(0))
    order, ranked = Bucketed(Mixture({"a": Shuffled(torch.arange(100))}), lengths), shuffled(100)
    found = paced(order, ranked, by_place)
    assert isinstance(found, Bucketed)
    assert {*found.epoch(0, 0, 10).positions.tolist()} == {*ranked[:10].tolist()}
    served = found.epoch(0, 1, 10)
    assert {*served.positions.tolist()} == {*ranked[:60].tolist()}
    spread = [int(lengths[batch].max() - lengths[batch].min()) for batch in served.positions.split(served.sizes)]
    assert sum(spread) < 0.5 * 10 * int(lengths.max() - lengths.min())


def test_first_batches_are_the_first_of_the_paced() -> None:
    order, ranked = Mixture({"a": Shuffled(torch.arange(100))}), shuffled(100)
    few = paced(FirstBatches(order, 3), ranked, by_place)
    whole = paced(order, ranked, by_place)
    assert few.batches(10) == 3
    assert torch.equal(few.epoch(0, 0, 10).positions, whole.epoch(0, 0, 10).positions[:30])


def test_an_order_that_tells_of_no_groups_is_one() -> None:
    one = paced(InOrder(10), torch.arange(10).flip(0), constant(0.5))
    assert one.epoch(0, 0, 5).positions.tolist() == [9, 9, 8, 8, 7, 7, 6, 6, 5, 5][::-1]


def test_one_row_comes_at_least() -> None:
    ranking = Ranking(torch.arange(10), [Group(torch.arange(3)), Group(torch.arange(3, 10))])
    found = ranking.replace(torch.arange(10), torch.tensor(0.0, dtype=torch.float64))
    assert found.tolist() == [0] * 3 + [3] * 7
