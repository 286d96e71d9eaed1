"""Every row is in exactly one split, classes keep their shares, and equal rows can be kept together."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpml.core import DataError
from jumpml.data import random_split
from jumpml.data.splits._duplicates import row_groups, rows_in_both


def assert_partition(splits: dict[str, torch.Tensor], count: int) -> None:
    assert list(splits) == ["train", "val", "test"]
    assert torch.equal(torch.cat(list(splits.values())).sort().values, torch.arange(count))
    for rows in splits.values():
        assert torch.equal(rows, rows.sort().values)


def test_assert_partition_can_fail() -> None:
    one, two = torch.tensor([0]), torch.tensor([1])
    assert_partition({"train": one, "val": two, "test": one[:0]}, 2)
    for splits in ({"train": one, "val": one, "test": two}, {"train": one, "val": two, "test": torch.tensor([3])}):
        with pytest.raises(AssertionError):
            assert_partition(splits, 3)


@given(count=st.integers(20, 200), val=st.integers(10, 40), test=st.integers(10, 40), seed=st.integers(-(2**40), 2**70))
def test_every_row_is_in_exactly_one_split(count: int, val: int, test: int, seed: int) -> None:
    def draw() -> dict[str, torch.Tensor]:
        return random_split(count, train=1 - (val + test) / 100, val=val / 100, test=test / 100, seed=seed)

    splits = draw()
    assert_partition(splits, count)
    for name, percent in (("val", val), ("test", test)):
        assert abs(len(splits[name]) - percent / 100 * count) <= 0.5 + 1e-9
    again = draw()
    assert all(torch.equal(splits[name], again[name]) for name in splits)


def test_another_seed_draws_another_split() -> None:
    assert not torch.equal(random_split(100, seed=0)["test"], random_split(100, seed=1)["test"])


@given(sizes=st.lists(st.integers(20, 60), min_size=2, max_size=4), seed=st.integers(0, 9))
def test_strata_keep_their_shares(sizes: list[int], seed: int) -> None:
    strata = np.repeat(np.array(["a", "b", "c", "d"])[: len(sizes)], sizes)
    splits = random_split(len(strata), seed=seed, strata=strata)
    assert_partition(splits, len(strata))
    for rows in splits.values():
        for name, size in zip("abcd", sizes, strict=False):
            expected = size * len(rows) / len(strata)
            # Each of the two cuts rounds a class's count up or down once.
            assert abs((strata[rows.numpy()] == name).sum() - expected) < 2


@settings(max_examples=25)
@given(groups=st.lists(st.integers(0, 30), min_size=60, max_size=120), seed=st.integers(0, 9))
def test_groups_stay_together(groups: list[int], seed: int) -> None:
    of_row = np.array([*groups, *range(20)])
    splits = random_split(len(of_row), seed=seed, groups=of_row, strata=of_row % 2)
    assert_partition(splits, len(of_row))
    members = [set(of_row[rows.numpy()].tolist()) for rows in splits.values()]
    assert not (members[0] & members[1] or members[0] & members[2] or members[1] & members[2])
    distinct = len(set(of_row.tolist()))
    assert abs(len(members[2]) - 0.15 * distinct) <= 0.5


def test_impossible_splits() -> None:
    with pytest.raises(DataError, match=r"sum to 1, got 0.7 \+ 0.2 \+ 0.2 = 1.1"):
        random_split(10, train=0.7, val=0.2, test=0.2)
    with pytest.raises(DataError, match=r"the val split is empty: a share of 0.01 of 10 rows"):
        random_split(10, train=0.89, val=0.01, test=0.1)
    with pytest.raises(DataError, match=r"the train split is empty: a share of 0 of 10 rows"):
        random_split(10, train=0, val=0.5, test=0.5)
    text = "the smallest class, 'b', has 1, and the val split has 8 for 2 classes"
    with pytest.raises(DataError, match=text):
        random_split(50, strata=np.array(["a"] * 49 + ["b"]))


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, -0.0, 1.5, float("nan")])), min_size=1, max_size=40))
def test_equal_rows_have_equal_numbers(rows: list[tuple[int, float]]) -> None:
    codes = torch.tensor([code for code, _ in rows])
    numbers = torch.tensor([[number] for _, number in rows])
    groups = row_groups([codes, numbers])
    keys = [(code, "nan" if math.isnan(number) else number + 0.0) for code, number in rows]
    for first, key in enumerate(keys):
        for second, other in enumerate(keys):
            assert (groups[first] == groups[second]) == (key == other)


def test_pairs_of_equal_rows() -> None:
    groups = np.array([0, 1, 0, 2, 0, 1])
    pairs = rows_in_both(groups, torch.tensor([0, 2, 3]), torch.tensor([1, 4, 5]))
    assert pairs == [(0, 4)]  # the first of the train rows that equal it
