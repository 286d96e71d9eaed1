"""What features make of a field is kept where it is small, and else made a batch at a time: with the same bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import pytest
import torch
from torch import Tensor, nn

from jumpml.data import Column, DataLoaders, random_split
from jumpml.data import _batches as batches
from jumpml.data.features._custom import Custom
from jumpml.data.features._pretrained import Pretrained

if TYPE_CHECKING:
    from pathlib import Path

ROWS, TEST = 64, 16


class Wide(nn.Module):
    """Makes ten numbers of one, and notes how many rows it is given."""

    seen: ClassVar[list[int]] = []  # of the class, as a data set fits a copy

    def forward(self, values: Tensor) -> Tensor:
        self.seen.append(len(values))
        return values * torch.arange(10.0)


@pytest.mark.parametrize(("most", "at_once"), [(TEST * 40, [TEST]), (TEST * 40 - 1, [8, 8, 8, 8])])
def test_what_is_too_much_to_keep_is_made_by_the_batch(
    most: int, at_once: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two passes over 16 rows of 10 numbers of 4 bytes, in batches of 8."""
    monkeypatch.setattr(batches, "MOST_KEPT", most)
    columns = {"x": Column(torch.arange(float(ROWS)).unsqueeze(1), "number")}
    splits = random_split(ROWS, train=0.5, val=0.25, test=0.25)
    loaders = DataLoaders(columns, splits, features={"x": [Custom(Wide())]}, batch_size=8)
    loaders.bind(["x"])
    loaders.test.serve(["x"], [])
    Wide.seen.clear()
    for _ in range(2):
        served = torch.cat([batch["x"] for batch in loaders.test])
        assert torch.equal(served, loaders.test.decoded("x") * torch.arange(10.0))
    assert [rows for rows in Wide.seen if rows > 1] == at_once  # one row tells how wide the rest will be


def test_the_answers_of_a_pretrained_model_are_kept_however_wide(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They are dear, and were computed once."""
    monkeypatch.setattr(batches, "MOST_KEPT", 1)
    monkeypatch.setenv("JUMPML_CACHE", str(tmp_path))
    columns = {"x": Column(torch.arange(float(ROWS)).unsqueeze(1), "number")}
    splits = random_split(ROWS, train=0.5, val=0.25, test=0.25)
    loaders = DataLoaders(columns, splits, features={"x": [Pretrained(Wide())]}, batch_size=8)
    loaders.bind(["x"])
    loaders.test.serve(["x"], [])
    Wide.seen.clear()
    for _ in range(2):
        assert len(torch.cat([batch["x"] for batch in loaders.test])) == TEST
    assert [rows for rows in Wide.seen if rows > 1] == [TEST]
