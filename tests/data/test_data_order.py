"""Orders are functions of (seed, epoch): permutations, cycles through pools, shares, batches of one data set."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from jumpml.core import DataError
from jumpml.data import Balanced, Epoch, InOrder, Mixture, Pool, Shuffled, Stream, Streamed, Weighted
from jumpml.data import Order as AnyOrder

SIZES = st.integers(1, 40)


def pools(**counts: int) -> dict[str, Shuffled]:
    """Pools over consecutive positions."""
    ends = torch.tensor([0, *counts.values()]).cumsum(0).tolist()
    return {name: Shuffled(torch.arange(start, end)) for name, (start, end) in zip(counts, pairwise(ends), strict=True)}


def served(order: AnyOrder, epochs: int, batch_size: int = 4) -> list[list[int]]:
    return [order.epoch(3, epoch, batch_size).positions.tolist() for epoch in range(epochs)]


@given(count=SIZES, batch_size=SIZES, epoch=st.integers(0, 5), seed=st.integers(0, 9))
def test_one_pool_serves_every_row_once_an_epoch(count: int, batch_size: int, epoch: int, seed: int) -> None:
    order = Mixture({"a": Shuffled(torch.arange(count))})
    positions, sizes = order.epoch(seed, epoch, batch_size)
    assert sorted(positions.tolist()) == list(range(count))
    assert len(sizes) == order.batches(batch_size)
    assert sum(sizes) == count and all(size == batch_size for size in sizes[:-1])


@given(a=SIZES, b=SIZES, batches=st.sampled_from(["mixed", "separate"]), batch_size=SIZES)
def test_proportional_shares_serve_every_row_once(a: int, b: int, batches: str, batch_size: int) -> None:
    order = Mixture(pools(a=a, b=b), batches=batches)
    positions, sizes = order.epoch(0, 2, batch_size)
    assert sorted(positions.tolist()) == list(range(a + b))
    assert len(sizes) == order.batches(batch_size) and sum(sizes) == a + b


@given(a=SIZES, b=SIZES, batch_size=st.integers(1, 9))
def test_separate_batches_hold_one_data_set(a: int, b: int, batch_size: int) -> None:
    for way in ("separate", "alternate"):
        order = Mixture(pools(a=a, b=b), {"a": 1, "b": 2} if way == "separate" else None, batches=way)
        positions, sizes = order.epoch(1, 0, batch_size)
        of = [set((part >= a).tolist()) for part in positions.split(sizes)]
        assert all(len(sets) == 1 for sets in of)
        assert len(sizes) == order.batches(batch_size)
        if way == "alternate":
            assert [next(iter(sets)) for sets in of] == [False, True] * (len(of) // 2)


def test_no_row_is_passed_over_when_a_large_pool_gets_a_small_share() -> None:
    """Even shares of 30 and 3 rows: 16 or 17 of the 30 an epoch, so that two epochs see all of them."""
    order = Mixture(pools(large=30, small=3), {"large": 1, "small": 1})
    epochs = served(order, 4)
    large = [[p for p in positions if p < 30] for positions in epochs]
    assert {len(part) for part in large} <= {16, 17}
    assert set(large[0]) | set(large[1]) == set(range(30))
    counts = torch.bincount(torch.tensor([p for positions in epochs for p in positions if p >= 30]))[30:]
    assert counts.max() - counts.min() <= 1


@given(weight=st.floats(0.05, 20))
def test_weights_are_shares(weight: float) -> None:
    order = Mixture(pools(a=50, b=50), {"a": weight, "b": 1.0})
    share = sum(p < 50 for p in served(order, 1)[0])
    assert abs(share - 100 * weight / (weight + 1)) <= 1 or share in {1, 99}


@given(
    rows=st.tuples(SIZES, SIZES),
    weights=st.tuples(*[st.sampled_from([1, 50, 1000])] * 2),
    batch_size=SIZES,
    batches=st.sampled_from(["mixed", "separate", "alternate"]),
)
def test_an_order_tells_how_many_batches_it_has(
    rows: tuple[int, int], weights: tuple[int, int], batch_size: int, batches: str
) -> None:
    order = Mixture(pools(a=rows[0], b=rows[1]), dict(zip("ab", weights, strict=True)), batches)
    positions, sizes = order.epoch(0, 0, batch_size)
    assert (len(sizes), sum(sizes)) == (order.batches(batch_size), len(positions))


def test_equal_seeds_give_equal_epochs_and_others_do_not() -> None:
    order = Mixture(pools(a=9, b=30), {"a": 1, "b": 1}, batches="separate")
    again = Mixture(pools(a=9, b=30), {"a": 1, "b": 1}, batches="separate")
    assert served(order, 3) == served(again, 3)
    assert len({tuple(epoch) for epoch in served(order, 3)}) == 3
    assert order.epoch(0, 0, 4).positions.tolist() != order.epoch(1, 0, 4).positions.tolist()


def test_balanced_classes_come_equally_often() -> None:
    classes = [torch.arange(90), torch.arange(90, 97), torch.arange(97, 100)]
    drawn = Balanced(classes).take(100, seed=0, epoch=0)
    counts = [int(torch.isin(drawn, rows).sum()) for rows in classes]
    assert sorted(counts) == [33, 33, 34]
    assert torch.bincount(drawn, minlength=100)[:90].max() == 1  # none of the frequent class twice
    assert torch.bincount(drawn)[97:].min() >= 11  # 33 draws of 3 rows


def test_weighted_draws_follow_the_weights() -> None:
    """20,000 draws at a weight of 3 in 4: the standard deviation of the share is .003, and .015 is five of them."""
    pool = Weighted(torch.arange(20_000), torch.tensor([1.0, 3.0]).repeat(10_000))
    drawn = pool.take(20_000, seed=0, epoch=0)
    assert abs((drawn % 2).float().mean().item() - 0.75) < 0.015
    never = Weighted(torch.arange(4), torch.tensor([0.0, 1.0, 0.0, 1.0])).take(200, seed=1, epoch=0)
    assert set(never.tolist()) == {1, 3}


@pytest.mark.parametrize("weights", [[0.0, 0.0], [1.0, -1.0], [1.0, float("nan")]])
def test_weights_that_cannot_be_drawn_by_are_refused(weights: list[float]) -> None:
    with pytest.raises(DataError, match="expected weights that are finite, not negative, and not all 0"):
        Weighted(torch.arange(2), torch.tensor(weights))


@given(shards=st.lists(st.integers(1, 12), min_size=1, max_size=6), buffer=st.integers(1, 20), epoch=st.integers(0, 3))
def test_a_stream_serves_every_row_once_and_stays_near_its_shards(shards: list[int], buffer: int, epoch: int) -> None:
    parts = torch.arange(sum(shards)).split(shards)
    drawn = Streamed(parts, buffer).take(sum(shards), seed=0, epoch=epoch)
    assert sorted(drawn.tolist()) == list(range(sum(shards)))
    shard_of = torch.repeat_interleave(torch.arange(len(shards)), torch.tensor(shards))[drawn]
    for shard, size in enumerate(shards):  # a shard's rows lie within its own length and a buffer to either side
        places = (shard_of == shard).nonzero().flatten()
        assert int(places.max() - places.min()) < size + 2 * buffer


def test_a_stream_with_a_large_buffer_mixes_shards() -> None:
    parts = torch.arange(100).split(10)
    drawn = Streamed(parts, 1000).take(100, seed=0, epoch=0)
    assert len({int(row) // 10 for row in drawn[:10]}) > 3


def test_weights_must_be_complete_and_positive() -> None:
    for weights in ({"a": 1.0}, {"a": 1.0, "b": 0.0}):
        with pytest.raises(DataError, match="expected a weight above 0 for each of a, b"):
            Mixture(pools(a=2, b=2), weights)


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(DataError, match="expected rows to draw from, got none"):
        Shuffled(torch.arange(0))


def test_a_mixture_needs_pools_and_a_way_to_make_batches() -> None:
    with pytest.raises(DataError, match="expected pools to draw from, got none"):
        Mixture({})
    with pytest.raises(DataError, match="expected batches that are mixed, separate, alternate; got 'alternating'"):
        Mixture(pools(a=3), batches="alternating")


def test_in_order() -> None:
    positions, sizes = InOrder(5).epoch(0, 7, 2)
    assert positions.tolist() == [0, 1, 2, 3, 4] and sizes == (2, 2, 1)


# --- rounds, and stretches of a pool --------------------------------------------------------------------------------


@given(rows=SIZES, cuts=st.lists(st.integers(0, 120), min_size=2, max_size=8), seed=st.integers(0, 9))
def test_a_pool_gives_any_stretch_of_its_endless_stream(rows: int, cuts: list[int], seed: int) -> None:
    pool, stream = Shuffled(torch.arange(rows)), Shuffled(torch.arange(rows)).slice(0, 120, seed=seed, key="a")
    for start, stop in pairwise(sorted(cuts)):
        assert pool.slice(start, stop, seed=seed, key="a").tolist() == stream[start:stop].tolist()
    for cycle in stream[: 120 // rows * rows].split(rows):
        assert sorted(cycle.tolist()) == list(range(rows))


@given(rows=SIZES, count=SIZES, epoch=st.integers(0, 5))
def test_what_an_epoch_takes_is_a_stretch(rows: int, count: int, epoch: int) -> None:
    pool = Shuffled(torch.arange(rows))
    taken = pool.take(count, seed=1, epoch=epoch)
    assert taken.tolist() == pool.slice(epoch * count, (epoch + 1) * count, seed=1).tolist()


def test_stretches_of_several_seeds_and_keys_do_not_get_into_each_other() -> None:
    pool = Shuffled(torch.arange(50))
    wanted = {at: Shuffled(torch.arange(50)).slice(0, 60, seed=at[0], key=at[1]) for at in ((0, ""), (1, ""), (0, "b"))}
    for start in range(0, 60, 7):
        for (seed, key), rows in wanted.items():
            stop = min(start + 7, 60)
            assert pool.slice(start, stop, seed=seed, key=key).tolist() == rows[start:stop].tolist()
    assert len({tuple(rows.tolist()) for rows in wanted.values()}) == 3


@given(count=SIZES, batch_size=SIZES, first=st.integers(0, 40))
def test_an_order_gives_what_is_left_of_an_epoch_in_one_round(count: int, batch_size: int, first: int) -> None:
    order = Mixture({"a": Shuffled(torch.arange(count))})
    positions, sizes = order.epoch(0, 1, batch_size)
    ((left, *told),) = order.rounds(0, 1, batch_size, first)
    assert told == [None, None]
    assert left.sizes == sizes[first:]
    assert left.positions.tolist() == [row for part in positions.split(sizes)[first:] for row in part.tolist()]


# --- some rows alone, and streams -----------------------------------------------------------------------------------


@given(rows=st.integers(1, 30), batch_size=st.integers(1, 40), mixed=st.booleans())
def test_a_stream_serves_each_row_once_before_any_twice(rows: int, batch_size: int, mixed: bool) -> None:
    order = Mixture(pools(a=rows, b=7), batches="mixed" if mixed else "separate")
    stream, place, served = Stream(order, batch_size, seed=3), 0, []
    while len(served) < 4 * (rows + 7):
        batch, place = stream.read(place)
        if mixed:
            assert len(batch) == min(batch_size, rows + 7)
        else:
            assert len(set((batch >= rows).tolist())) == 1  # a batch of one data set stays one
        served += batch.tolist()
    for cycle in range(4):
        assert sorted(served[cycle * (rows + 7) : (cycle + 1) * (rows + 7)]) == list(range(rows + 7))


@given(cuts=st.integers(0, 25), mixed=st.booleans())
def test_a_stream_goes_on_from_any_place(cuts: int, mixed: bool) -> None:
    def made() -> Stream:
        return Stream(Mixture(pools(a=11, b=5), batches="mixed" if mixed else "alternate"), 3, seed=1)

    whole, place, places = made(), 0, [0]
    batches = []
    for _ in range(26):
        batch, place = whole.read(place)
        batches.append(batch.tolist())
        places.append(place)
    rows, _ = made().read(places[cuts])
    assert rows.tolist() == batches[cuts]


MASK = torch.tensor([True, False, True, True, False, False, True, True, False, True])
KINDS: dict[str, Pool] = {
    "shuffled": Shuffled(torch.arange(10)),
    "streamed": Streamed([torch.arange(4), torch.arange(4, 6), torch.arange(6, 10)], 3),
    "weighted": Weighted(torch.arange(10), torch.tensor([0.0, 1, 1, 5, 1, 1, 0, 2, 1, 1])),
    "balanced": Balanced([torch.arange(7), torch.arange(7, 10)]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_pool_draws_from_some_of_its_rows_alone(kind: str) -> None:
    pool = KINDS[kind].within(MASK)
    assert pool is not None and type(pool) is type(KINDS[kind])
    drawn = pool.slice(0, 600, seed=0)
    allowed = {0, 2, 3, 6, 7, 9} - ({0, 6} if kind == "weighted" else set())
    assert set(drawn.tolist()) == allowed
    if kind in {"shuffled", "streamed"}:
        assert torch.equal(drawn.bincount()[MASK[:10]], torch.full((6,), 100))
    if kind == "balanced":  # two classes of which 4 and 2 rows are left
        assert int((drawn < 7).sum()) == 300
    if kind == "weighted":
        assert 5 / 9 - 0.1 < float((drawn == 3).float().mean()) < 5 / 9 + 0.1
    assert KINDS[kind].within(torch.zeros(10, dtype=torch.bool)) is None


def test_a_mixture_keeps_the_shares_of_what_is_left() -> None:
    order = Mixture(pools(a=6, b=4, c=2), {"a": 1, "b": 1, "c": 2})
    left = order.within(torch.tensor([True] * 6 + [False] * 4 + [True] * 2))
    assert left is not None and left.datasets == ("a", "c")
    drawn = torch.cat([left.epoch(0, epoch, 4).positions for epoch in range(30)])
    assert int((drawn >= 10).sum()) == len(drawn) * 5 // 8  # 5.33 of 8 rows an epoch, by the largest remainder
    assert order.within(torch.zeros(12, dtype=torch.bool)) is None


def test_an_order_or_pool_of_the_users_own_says_that_it_cannot() -> None:
    class Own(AnyOrder):
        def epoch(self, seed: int, epoch: int, batch_size: int) -> Epoch:
            return Epoch(torch.arange(2), (2,))

        def batches(self, batch_size: int) -> int:
            return 1

    class OwnPool(Pool):
        def cycle(self, generator: torch.Generator) -> torch.Tensor:
            return self.rows

    with pytest.raises(DataError, match=r"this order \(Own\) cannot draw from some of its rows alone"):
        Own().within(torch.ones(2, dtype=torch.bool))
    with pytest.raises(DataError, match=r"this pool \(OwnPool\) cannot draw from some of its rows alone"):
        OwnPool(torch.arange(2)).within(torch.ones(2, dtype=torch.bool))
