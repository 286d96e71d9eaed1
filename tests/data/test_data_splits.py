"""Every row is in exactly one split or in a told remainder, and what must stay together, or in order, does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jumpml.core import DataError
from jumpml.data import fold_split, random_split, stable_split, time_split
from jumpml.data.splits._multilabel import iterative_stratification

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.data import Splits

SHARES = (0.7, 0.15, 0.15)


def assert_partition(splits: Mapping[str, torch.Tensor], count: int, left_out: Sequence[torch.Tensor] = ()) -> None:
    assert list(splits) == ["train", "val", "test"]
    assert torch.equal(torch.cat([*splits.values(), *left_out]).sort().values, torch.arange(count))
    for rows in splits.values():
        assert len(rows)
        assert torch.equal(rows, rows.sort().values)


def test_assert_partition_can_fail() -> None:
    one, two, three = (torch.tensor([row]) for row in range(3))
    assert_partition({"train": one, "val": two, "test": three}, 4, [torch.tensor([3])])
    for splits in (
        {"train": one, "val": one, "test": two},
        {"train": one, "val": two, "test": torch.tensor([3])},
        {"train": torch.tensor([1, 0]), "val": three, "test": torch.tensor([3])},
        {"train": one, "val": torch.tensor([1, 2]), "test": one[:0]},
    ):
        with pytest.raises(AssertionError):
            assert_partition(splits, sum(map(len, splits.values())))


def equal(one: Splits, other: Splits) -> bool:
    return all(torch.equal(one[name], other[name]) for name in one)


def test_equal_can_fail() -> None:
    assert equal(random_split(20), random_split(20))
    assert not equal(random_split(100, seed=0), random_split(100, seed=1))


# --- by chance --------------------------------------------------------------------------------------------------------


@given(
    count=st.integers(20, 200),
    val=st.integers(10, 40),
    test=st.integers(10, 40),
    seed=st.integers(-(2**40), 2**70),
    unusable=st.integers(0, 5),
)
def test_every_row_is_in_exactly_one_split(count: int, val: int, test: int, seed: int, unusable: int) -> None:
    usable = np.arange(count + unusable) % (count + unusable) >= unusable

    def draw() -> Splits:
        return random_split(
            count + unusable,
            train=1 - (val + test) / 100,
            val=val / 100,
            test=test / 100,
            seed=seed,
            usable=usable if unusable else None,
        )

    splits = draw()
    assert_partition(splits, count + unusable, list(splits.left_out.values()))
    assert sum(map(len, splits.left_out.values())) == unusable
    for name, percent in (("val", val), ("test", test)):
        assert abs(len(splits[name]) - percent / 100 * count) <= 0.5 + 1e-9
    assert equal(splits, draw())


def test_splits_say_what_they_hold() -> None:
    splits = random_split(22, usable=np.arange(22) > 1)
    assert repr(splits) == "Splits(train: 14, val: 3, test: 3, cannot be used: 2)"
    assert splits.left_out["cannot be used"].tolist() == [0, 1]
    assert len(splits) == 3


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


def test_codes_and_their_names_split_alike() -> None:
    codes = np.arange(60) % 3
    names = ["a", "b", "c"]
    assert equal(random_split(60, strata=codes, names=names), random_split(60, strata=np.array(names)[codes]))
    with pytest.raises(DataError, match="the smallest class, 'c', has 1"):
        random_split(50, strata=np.array([0] * 30 + [1] * 19 + [2]), names=names)


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
    with pytest.raises(DataError, match=r"3 splits need at least as many groups, got 2\."):
        random_split(40, groups=np.arange(40) % 2)


# --- several labels a row ---------------------------------------------------------------------------------------------


@given(
    rows=st.integers(40, 150),
    chances=st.lists(st.floats(0.02, 0.6), min_size=1, max_size=6),
    seed=st.integers(0, 99),
)
def test_labels_keep_their_shares(rows: int, chances: list[float], seed: int) -> None:
    labels = np.random.default_rng(seed).random((rows, len(chances))) < chances
    splits = random_split(rows, seed=seed, strata=labels)
    assert_partition(splits, rows)
    for name, share in zip(splits, SHARES, strict=True):
        assert abs(len(splits[name]) - share * rows) <= 1
        # A label is dealt to a row; what is dealt for the others, and evening the sizes, moves it by a few.
        assert (np.abs(labels[splits[name].numpy()].sum(0) - share * labels.sum(0)) <= 2 + len(chances)).all()


def stratification_by_row(labels: np.ndarray, shares: Sequence[float], seed: int) -> np.ndarray:
    """The algorithm as the paper writes it, row by row; draws rows in the same order as the one under test."""
    generator = np.random.default_rng(seed)
    parts, carries = np.full(len(labels), -1), labels > 0
    wanted_rows = [share * len(labels) for share in shares]
    wanted = [[share * total for total in carries.sum(0)] for share in shares]
    while (carries & (parts < 0)[:, None]).any():
        left = (carries & (parts < 0)[:, None]).sum(0)
        rarest = min((label for label in range(len(left)) if left[label]), key=lambda label: left[label])
        for row in generator.permutation(np.flatnonzero(carries[:, rarest] & (parts < 0))):
            best = max(range(len(shares)), key=lambda part: (wanted[part][rarest], wanted_rows[part]))
            parts[row] = best
            wanted_rows[best] -= 1
            for label in np.flatnonzero(carries[row]):
                wanted[best][label] -= 1
    for row in generator.permutation(np.flatnonzero(parts < 0)):
        best = max(range(len(shares)), key=lambda part: wanted_rows[part])
        parts[row] = best
        wanted_rows[best] -= 1
    return parts


@given(seed=st.integers(0, 500), rows=st.integers(5, 60), labels=st.integers(1, 5))
def test_dealing_a_label_at_once_is_dealing_it_row_by_row(seed: int, rows: int, labels: int) -> None:
    carried = np.random.default_rng(seed).random((rows, labels)) < 0.3
    shares = (0.5, 0.25, 0.25)  # sums of them are exact, so that ties are ties in both
    one = iterative_stratification(carried, shares, np.random.default_rng(seed))
    assert one.tolist() == stratification_by_row(carried, shares, seed).tolist()


def test_labels_that_stand_in_one_row_leave_no_split_empty() -> None:
    assert [len(rows) for rows in random_split(8, strata=np.eye(8)).values()] == [6, 1, 1]


# --- groups -----------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=6, max_size=60),
    seed=st.integers(0, 9),
    strata=st.sampled_from([None, 2, 4]),
)
def test_groups_stay_together_and_shares_come_near(sizes: list[int], seed: int, strata: int | None) -> None:
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    told = None if strata is None else np.arange(len(groups)) % strata
    try:
        splits = random_split(len(groups), seed=seed, groups=groups, strata=told)
    except DataError as error:
        assert "the smallest class" in str(error)  # where every group is one row, classes are dealt exactly
        return
    assert_partition(splits, len(groups))
    members = [set(groups[rows.numpy()].tolist()) for rows in splits.values()]
    assert not (members[0] & members[1] or members[0] & members[2] or members[1] & members[2])
    for name, share in zip(splits, SHARES, strict=True):
        assert abs(len(splits[name]) - share * len(groups)) <= max(sizes) + 1
    assert equal(splits, random_split(len(groups), seed=seed, groups=groups, strata=told))


def test_groups_of_very_different_size_reach_the_shares() -> None:
    generator = np.random.default_rng(0)
    groups = generator.zipf(1.3, 5000) % 700  # the largest hold a quarter of the rows, most a few
    strata = (generator.random(5000) < 0.1 + 0.3 * (groups % 2)).astype(int)
    assert np.bincount(groups).max() > 1000
    splits = random_split(5000, groups=groups, strata=strata)
    for name, share in zip(splits, SHARES, strict=True):
        assert abs(len(splits[name]) / 5000 - share) < 0.005
        assert abs(strata[splits[name].numpy()].mean() - strata.mean()) < 0.02


def test_no_split_stays_empty_where_groups_are_few() -> None:
    groups = np.repeat([0, 1, 2], [50, 30, 20])
    for seed in range(5):
        assert sorted(map(len, random_split(100, groups=groups, seed=seed).values())) == [20, 30, 50]


def test_labels_and_groups() -> None:
    generator = np.random.default_rng(1)
    groups, labels = generator.integers(0, 80, 600), generator.random((600, 5)) < 0.2
    splits = random_split(600, groups=groups, strata=labels)
    assert_partition(splits, 600)
    for name, share in zip(splits, SHARES, strict=True):
        assert (np.abs(labels[splits[name].numpy()].sum(0) / labels.sum(0) - share) < 0.05).all()


def test_another_seed_deals_groups_of_different_sizes_anew() -> None:
    groups = np.repeat(np.arange(20), np.arange(1, 21))
    assert len({tuple(random_split(210, groups=groups, seed=seed)["test"].tolist()) for seed in range(6)}) > 3


# --- folds ------------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    count=st.integers(40, 120),
    of=st.integers(2, 6),
    seed=st.integers(0, 9),
    told=st.sampled_from(["", "strata", "labels", "groups", "groups and strata"]),
)
def test_every_row_is_in_the_test_of_one_fold(count: int, of: int, seed: int, told: str) -> None:
    labels = np.random.default_rng(seed).random((count, 3)) < 0.4
    strata = {"strata": np.arange(count) % 3, "groups and strata": np.arange(count) % 3, "labels": labels}.get(told)
    groups = np.arange(count) // 3 if "groups" in told else None
    usable = np.arange(count) > 1
    folds = [
        fold_split(count, of=of, use=use, val=0.25, seed=seed, strata=strata, groups=groups, usable=usable)
        for use in range(of)
    ]
    for splits in folds:
        assert_partition(splits, count, list(splits.left_out.values()))
        if groups is not None:
            parts = [set(groups[rows.numpy()].tolist()) for rows in splits.values()]
            assert sum(map(len, parts)) == len(set.union(*parts))
    tested = torch.cat([splits["test"] for splits in folds])
    assert torch.equal(tested.sort().values, torch.arange(2, count))
    sizes = [len(splits["test"]) for splits in folds]
    assert max(sizes) - min(sizes) <= (6 if "groups" in told else 1)


def test_impossible_folds() -> None:
    with pytest.raises(DataError, match=r"expected a fold from 0 to 4, got 5\."):
        fold_split(20, of=5, use=5)
    with pytest.raises(DataError, match=r"5 folds need at least as many rows, got 4\."):
        fold_split(4, of=5, use=0)
    with pytest.raises(DataError, match=r"5 folds need at least 5 rows of each class; the smallest, 'b', has 3\."):
        fold_split(20, of=5, use=0, strata=np.array(["a"] * 17 + ["b"] * 3))
    with pytest.raises(DataError, match=r"5 splits need at least as many groups, got 4\."):
        fold_split(20, of=5, use=0, groups=np.arange(20) % 4)


# --- by time ----------------------------------------------------------------------------------------------------------


@given(
    times=st.lists(st.integers(0, 40), min_size=30, max_size=90),
    gap=st.integers(0, 3),
    reach=st.tuples(st.integers(0, 2), st.integers(0, 2)),
)
def test_time_order_holds_and_what_is_left_out_is_told(times: list[int], gap: int, reach: tuple[int, int]) -> None:
    moments = np.array([*times, 0, 20, 40])
    try:
        splits = time_split(moments, gap=gap, reach=reach)
    except DataError as error:
        assert "leave out all of its rows" in str(error)
        return
    assert_partition(splits, len(moments), list(splits.left_out.values()))
    train, val, test = (moments[rows.numpy()] for rows in splits.values())
    assert train.max() + gap < val.min()
    assert val.max() + gap < test.min()
    part_of = {int(row): name for name, rows in splits.items() for row in rows}
    for row, part in part_of.items():
        window = range(row - reach[0], row + reach[1] + 1)
        assert {part_of.get(other, part) for other in window} == {part}


@given(st.lists(st.integers(0, 10**6), min_size=20, max_size=60, unique=True))
def test_shares_by_time_are_met_to_a_row(times: list[int]) -> None:
    splits = time_split(np.array(times))
    for name, share in zip(splits, SHARES, strict=True):
        assert abs(len(splits[name]) - share * len(times)) <= 1
    assert splits.left_out == {}


def test_left_out_rows_are_counted_by_reason() -> None:
    hours = np.arange("2024-01-01T00", "2024-01-03T02", dtype="datetime64[h]")  # 50 hours
    splits = time_split(
        hours, train=0.6, val=0.2, test=0.2, gap=3600.0, reach=(2, 0), usable=np.arange(len(hours)) != 7
    )
    told = {reason: rows.tolist() for reason, rows in splits.left_out.items()}
    assert told == {
        "cannot be used": [7],
        "lie in the gap between two splits": [30, 40],
        "have a window that looks into another split": [31, 41],
    }
    assert splits["val"].tolist() == list(range(32, 40))


def test_impossible_splits_by_time() -> None:
    with pytest.raises(DataError, match=r"three splits need at least three different times, got 2\."):
        time_split(np.arange(20) % 2)
    with pytest.raises(DataError, match=r"the time of 2 rows is missing, such as row 3\."):
        time_split(np.where(np.arange(20) % 12 == 3, np.nan, np.arange(20)))
    with pytest.raises(DataError, match="the time of 1 rows is missing, such as row 0"):
        time_split(np.array(["NaT", *[f"2024-01-{day:02}" for day in range(1, 20)]], dtype="datetime64[D]"))
    with pytest.raises(DataError, match=r"the val split is empty: the gap and the windows leave out all of its rows\."):
        time_split(np.arange(20), gap=5)
    with pytest.raises(DataError, match="sum to 1"):
        time_split(np.arange(20), train=0.5)


# --- by a key's hash --------------------------------------------------------------------------------------------------


@given(
    keys=st.lists(st.integers(0, 10**9), min_size=60, max_size=120, unique=True),
    more=st.lists(st.integers(10**9 + 1, 2 * 10**9), max_size=20),
    seed=st.integers(0, 2**32 - 1),
    random=st.randoms(use_true_random=False),
)
def test_rows_keep_their_split(keys: list[int], more: list[int], seed: int, random: np.random.Generator) -> None:
    def by_key(keys: Sequence[object] | np.ndarray) -> dict[object, str]:
        splits = stable_split(keys, train=0.4, val=0.3, test=0.3, seed=seed)
        assert_partition(splits, len(keys))
        return {keys[row]: name for name, rows in splits.items() for row in rows.tolist()}

    others = [*keys, *more]
    random.shuffle(others)
    first, second = by_key(keys), by_key(others)
    assert {key: second[key] for key in keys} == first
    assert list(by_key([str(key) for key in keys]).values()) == list(by_key(np.array(keys, dtype=float)).values())


def test_shares_of_keys_and_seeds() -> None:
    keys = [f"patient {number}" for number in range(2000)]
    splits = stable_split([*keys, *keys], usable=np.arange(4000) >= 10)
    assert torch.equal(
        splits["test"][splits["test"] >= 2010] - 2000, splits["test"][(splits["test"] >= 10) & (splits["test"] < 2000)]
    )
    for name, share in zip(splits, SHARES, strict=True):
        # Four standard deviations of a share of 2000 keys.
        assert abs(len(splits[name]) / 4000 - share) < 4 * (share * (1 - share) / 2000) ** 0.5
    assert not equal(stable_split(keys), stable_split(keys, seed=1))
    assert splits.left_out["cannot be used"].tolist() == list(range(10))


def test_impossible_splits_by_key() -> None:
    with pytest.raises(DataError, match=r"the key of row 2 is missing\."):
        stable_split(["a", "b", None])
    with pytest.raises(DataError, match=r"the key of row 1 is missing\."):
        stable_split(np.array([1.0, np.nan]))
    with pytest.raises(DataError, match=r"the (val|test|train) split is empty: no key's hash fell into its share\."):
        stable_split(["a"] * 20)
    with pytest.raises(DataError, match="sum to 1"):
        stable_split(["a"] * 20, train=0.9)


def test_what_decides_must_be_told_of_every_row() -> None:
    two = np.array([0, 1])
    for name, told in (("strata", {"strata": two}), ("groups", {"groups": two})):
        options: dict[str, Any] = told
        with pytest.raises(DataError, match=rf"expected {name} of 10 rows, got 2\."):
            random_split(10, **options)
        with pytest.raises(DataError, match=rf"expected {name} of 10 rows, got 2\."):
            fold_split(10, of=3, use=0, **options)
    with pytest.raises(DataError, match=r"expected times as numbers or datetime64, got object\."):
        time_split(np.array(["a", "b", "c"], dtype=object))
