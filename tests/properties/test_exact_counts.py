"""Several data sets of different size and period: each row comes as often as the mix says, in exact counts."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpml.data import Mixture, Shuffled


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=2, max_size=4),
    weights=st.lists(st.integers(1, 9), min_size=4, max_size=4),
    epochs=st.integers(1, 6),
    batches=st.sampled_from(["mixed", "separate"]),
)
def test_rows_come_as_often_as_the_mix_says(sizes: list[int], weights: list[int], epochs: int, batches: str) -> None:
    """Over E epochs a data set of n rows gives E times its share; its rows come floor or ceil of that over n times."""
    ends = torch.tensor([0, *sizes]).cumsum(0).tolist()
    pools = {str(place): Shuffled(torch.arange(*two)) for place, two in enumerate(pairwise(ends))}
    told = {name: float(weight) for name, weight in zip(pools, weights, strict=False)}
    order = Mixture(pools, told, batches)
    served = Counter(row for epoch in range(epochs) for row in order.epoch(5, epoch, 4).positions.tolist())
    whole = sum(told.values())
    for (name, pool), weight in zip(pools.items(), told.values(), strict=True):
        drawn = [served[row] for row in pool.rows.tolist()]
        share, count = sum(sizes) * weight / whole, sum(drawn) // epochs
        assert sum(drawn) == epochs * count, name
        assert count in {max(1, int(share)), max(1, int(share) + 1)}
        every, more = divmod(sum(drawn), len(pool))
        assert sorted(drawn) == [every] * (len(pool) - more) + [every + 1] * more
