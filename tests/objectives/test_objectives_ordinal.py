"""CORN against its paper's sum over subsets, and what it refuses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from jumpml.core import ObjectiveError, ValueInfo
from jumpml.graph import scores
from jumpml.objectives import Corn

INPUTS = ("quality", "grade")


def by_subsets(logits: Tensor, target: Tensor) -> Tensor:
    """The paper's equation 8 before its mean: for each place the rows that reach it, summed over places."""
    total = torch.zeros(len(logits), dtype=logits.dtype)
    for place in range(logits.shape[1]):
        for row in torch.nonzero(target >= place).flatten().tolist():
            yes = torch.tensor(float(target[row] > place), dtype=logits.dtype)
            total[row] += F.binary_cross_entropy_with_logits(logits[row, place], yes)
    return total


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.integers(1, 6))
def test_the_loss_is_the_papers_and_minus_the_logarithm_of_the_chance(seed: int, places: int) -> None:
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(7, places, generator=g, dtype=torch.float64) * 4
    target = torch.randint(places + 1, (7,), generator=g)
    value = Corn(INPUTS)(logits, target).value
    torch.testing.assert_close(value, by_subsets(logits, target))
    torch.testing.assert_close(value, -scores("ordinal", logits)[torch.arange(7), target])


def test_a_row_without_a_class_has_no_loss_and_no_gradient() -> None:
    logits = torch.randn(3, 2, requires_grad=True)
    loss = Corn(INPUTS)(logits, torch.tensor([0, -1, 2]))
    loss.value.sum().backward()
    assert loss.value[1] == 0
    assert logits.grad is not None
    assert logits.grad[1].tolist() == [0, 0]


@pytest.mark.parametrize(
    ("logits", "target", "text"),
    [
        (
            ValueInfo(shape=(2, 3)),
            None,
            "expected logits as [batch, classes - 1] float32; 'quality' is [batch, 2, 3] float32. Use a linear node "
            "with one output less than there are classes.",
        ),
        (
            None,
            ValueInfo(shape=(1,)),
            "expected target as class codes [batch] int64; 'grade' is [batch, 1] float32. Use a category field without "
            "features; for a number take kind: regression.",
        ),
        (
            ValueInfo(shape=(5,)),
            ValueInfo(shape=(), dtype="int64", classes=5),
            "'grade' has 5 classes, and 'quality' is [batch, 5] float32. Give the logits 4 columns, one less than "
            "there are classes.",
        ),
    ],
)
def test_what_does_not_fit_is_refused(logits: ValueInfo | None, target: ValueInfo | None, text: str) -> None:
    with pytest.raises(ObjectiveError) as error:
        Corn(INPUTS).connect([logits, target], {})
    assert str(error.value) == f"Corn: {text}"


def test_what_fits_is_taken() -> None:
    Corn(INPUTS).connect([ValueInfo(shape=(4,)), ValueInfo(shape=(), dtype="int64", classes=5)], {})
    Corn(INPUTS).connect([None, None], {})
