"""What the data tests share: a data file from its text, and small loaders made without a file."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest
import torch

from jumpml.core import DataSpec, load_spec
from jumpml.data import Column, DataLoaders, Noise, Shift, Standardize

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROWS = 50


@pytest.fixture
def data_spec(tmp_path: Path) -> Callable[[str], DataSpec]:
    """Writes a data file into a new folder and reads it."""

    def read(text: str) -> DataSpec:
        path = tmp_path / "my.data.yaml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return load_spec(DataSpec, path)

    return read


def make_loaders(batch_size: int = 8, seed: int = 0, changed_test: bool = False) -> DataLoaders:
    """30 train, 10 validation and 10 test rows of an image, a number and a category with missing values.

    `changed_test` multiplies the numbers of the test rows.
    """
    generator = torch.Generator().manual_seed(7)
    age = torch.randn(ROWS, 1, generator=generator) * 3 + 40
    age[::9] = torch.nan
    if changed_test:
        age[40:] *= 100
    sex = torch.randint(-1, 2, (ROWS,), generator=generator)
    rows = torch.arange(ROWS)
    return DataLoaders(
        {
            "image": Column(torch.rand(ROWS, 1, 4, 4, generator=generator), "image", range=(0.0, 1.0)),
            "age": Column(age, "number"),
            "sex": Column(sex, "category", classes=("f", "m")),
            "row": Column(rows.float()[:, None], "tensor"),
        },
        {"train": rows[:30], "val": rows[30:40], "test": rows[40:]},
        features={"image": [Standardize()]},
        augment={"image": [Shift(1)]},
        views={"weak": {"image": [Noise(0.1)]}, "strong": {"image": [Shift(2), Noise(0.5)], "age": [Noise(0.5)]}},
        batch_size=batch_size,
        seed=seed,
    )


@pytest.fixture
def loaders() -> DataLoaders:
    """Small loaders of every kind of field."""
    return make_loaders()


@pytest.fixture
def fresh() -> Callable[..., DataLoaders]:
    """Makes such loaders anew, as a new process would."""
    return make_loaders
