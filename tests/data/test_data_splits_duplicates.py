"""Equal rows have equal keys, different rows different ones, and rows that stand in two splits are found."""

from __future__ import annotations

import math

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from jumpml.data.kinds import Column, RawColumn
from jumpml.data.splits import _duplicates
from jumpml.data.splits._duplicates import comparable, row_keys, shared_rows


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from([0.0, -0.0, 1.5, float("nan")])), min_size=1, max_size=40))
def test_equal_rows_have_equal_keys(rows: list[tuple[int, float]]) -> None:
    codes = torch.tensor([code for code, _ in rows])
    numbers = torch.tensor([[number] for _, number in rows])
    keys = row_keys([codes, numbers])
    told = [(code, "nan" if math.isnan(number) else number + 0.0) for code, number in rows]
    for first, one in enumerate(told):
        for second, other in enumerate(told):
            assert (keys[first] == keys[second]) == (one == other)


def test_every_bit_of_a_row_counts() -> None:
    row = np.zeros(7, dtype=np.int32)
    rows = np.stack(
        [row, *(np.roll(np.array([1 << bit] + [0] * 6, dtype=np.int64), at) for bit in range(31) for at in range(7))]
    )
    keys = row_keys([torch.from_numpy(rows.astype(np.int32))])
    assert len(np.unique(keys)) == 1 + 31 * 7


def test_keys_are_the_same_in_blocks_of_any_size_and_for_chosen_rows(monkeypatch) -> None:
    values = [torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 4]
    keys = row_keys(values)
    monkeypatch.setattr(_duplicates, "BLOCK_BYTES", 7 * 20)  # seven rows
    assert (row_keys(values) == keys).all()
    chosen = torch.tensor([44, 3, 3, 17])
    assert (row_keys(values, chosen) == keys[chosen.numpy()]).all()


def test_rows_in_two_splits_come_with_the_first_equal_one() -> None:
    keys = {
        "train": np.array([5, 6, 5, 9], dtype=np.uint64),
        "val": np.array([1, 2], dtype=np.uint64),
        "test": np.array([9, 2, 7, 5, 5], dtype=np.uint64),
    }
    found = [(later, earlier, pairs.tolist()) for later, earlier, pairs in shared_rows(keys)]
    assert found == [("test", "train", [[0, 3], [3, 0], [4, 0]]), ("test", "val", [[1, 1]])]


def test_what_is_not_decoded_is_compared_by_its_values() -> None:
    def compared(*values: object) -> list[float]:
        raw = RawColumn(values=np.array(values), column="x", where="here", place=str)
        return comparable(raw).tolist()

    assert compared("a", None, "b", "a", None) == [0, -1, 1, 0, -1]
    assert compared(1.5, 2.0, 1.5) == [1.5, 2.0, 1.5]
    column = Column(torch.tensor([[1.0], [2.0]]), "number")
    assert comparable(column) is column.values


def test_keys_of_windows_are_those_of_their_values() -> None:
    windows = torch.randn(50, 2, generator=torch.Generator().manual_seed(0)).unfold(0, 4, 1)
    assert np.array_equal(row_keys([windows]), row_keys([windows.contiguous().flatten(1)]))
