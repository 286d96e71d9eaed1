"""A class at each position: the loss of each row, its gradient, and the shapes that it takes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from jumpml.core import ObjectiveError, ValueInfo
from jumpml.objectives import CrossEntropy, reduce

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = torch.randn(3, 5, 4, generator=GENERATOR)  # [batch, length, classes]
CODES = torch.tensor([[0, 1, 2, 3, -1], [3, -1, -1, -1, -1], [-1, -1, -1, -1, -1]])


def tokens(**options: Any) -> CrossEntropy:
    return CrossEntropy(("tags", "truth"), classes_last=True, **options)


def test_a_row_s_loss_is_the_mean_over_its_known_positions() -> None:
    value, present = tokens()(LOGITS, CODES)
    assert value[0].item() == pytest.approx(F.cross_entropy(LOGITS[0, :4], CODES[0, :4]).item())
    assert value[1].item() == pytest.approx(F.cross_entropy(LOGITS[1, :1], CODES[1, :1]).item())
    assert present is not None
    assert present.tolist() == [True, True, False]
    masked = tokens()(LOGITS, CODES, present=torch.tensor([True, False, True])).present
    assert masked is not None
    assert masked.tolist() == [True, False, False]


def test_pixels_are_tokens_with_the_classes_first() -> None:
    pixels = CrossEntropy(("map", "mask"))
    logits, codes = torch.randn(2, 4, 3, 5, generator=GENERATOR), torch.randint(-1, 4, (2, 3, 5), generator=GENERATOR)
    one = pixels(logits, codes)
    other = tokens()(logits.flatten(2).transpose(1, 2), codes.flatten(1))
    assert torch.allclose(one.value, other.value)


def test_what_is_not_known_gets_no_gradient() -> None:
    logits = LOGITS.clone().requires_grad_()
    reduce(tokens()(logits, CODES)).backward()
    assert logits.grad is not None
    assert logits.grad[CODES < 0].abs().sum() == 0
    assert (logits.grad[CODES >= 0].abs().sum(1) > 0).all()


def test_the_gradient_is_the_loss_s() -> None:
    logits = LOGITS.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: tokens(label_smoothing=0.1)(x, CODES).value, logits)


def test_a_batch_whose_rows_change_places_has_the_same_losses() -> None:
    order = torch.tensor([2, 0, 1])
    assert torch.allclose(tokens()(LOGITS[order], CODES[order]).value, tokens()(LOGITS, CODES).value[order])


@pytest.mark.parametrize("options", [{"focal": 2.0}, {"class_weights": [1.0, 2.0, 3.0, 4.0], "label_smoothing": 0.1}])
def test_options_mean_the_same_with_the_classes_last(options: dict[str, Any]) -> None:
    first = CrossEntropy(("tags", "truth"), **options)(LOGITS.movedim(-1, 1), CODES)
    assert torch.allclose(tokens(**options)(LOGITS, CODES).value, first.value)


@pytest.mark.parametrize(
    ("logits", "target", "text"),
    [
        ((5, 1), (5,), "expected logits as [batch, classes] float32 with two classes or more; 'tags' is [batch, "),
        ((5, 4), (), "expected target as class codes [batch, 5] int64; 'truth' is [batch] int64."),
        ((6, 4), (5,), "Classes are the last axis, and 'tags' is [batch, 6, 4] float32."),
    ],
)
def test_wrong_shapes_are_refused(logits: tuple[int, ...], target: tuple[int, ...], text: str) -> None:
    with pytest.raises(ObjectiveError) as error:
        tokens().connect([ValueInfo(shape=logits), ValueInfo(shape=target, dtype="int64")], {})
    assert text in str(error.value)
