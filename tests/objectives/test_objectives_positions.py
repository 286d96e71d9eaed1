"""Distillation at positions, against torch's divergence position by position."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from jumpml.core import ObjectiveError, ValueInfo
from jumpml.objectives import Distillation, PositionDistillation, reduce

TRIO = ("tags", "source_tags", "truth")


def drawn(kind: str, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shape = (5, 3, 2, 4) if kind == "segmentation" else (5, 6, 3)
    own, taught = (2 * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    places = shape[2:] if kind == "segmentation" else shape[1:2]
    return own, taught, torch.randint(-1, 3, (5, *places), generator=generator)


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(["segmentation", "token_labelling", "language_modelling"]), st.integers(0, 999))
def test_it_is_the_mean_divergence_of_the_known_positions(kind: str, seed: int) -> None:
    own, taught, truth = drawn(kind, seed)
    value, present = PositionDistillation(TRIO, kind=kind, temperature=2.0)(own, taught, truth)
    last = (lambda x: x.movedim(1, -1)) if kind == "segmentation" else (lambda x: x)
    for row in range(5):
        known = truth[row] >= 0
        assert present is not None and bool(present[row]) == bool(known.any())
        if known.any():
            mine, source = (last(x[row : row + 1])[0][known] for x in (own, taught))
            expected = Distillation(("a", "b"), kind="multiclass", temperature=2.0)(mine, source).value.mean()
            torch.testing.assert_close(value[row], expected)


def test_what_is_not_known_gives_no_gradient_and_the_source_has_none() -> None:
    own, taught, truth = drawn("token_labelling", 0)
    truth[0, 2:], truth[1] = -1, -1
    own.requires_grad_()
    taught.requires_grad_()
    loss = PositionDistillation(TRIO, kind="token_labelling")(own, taught, truth, present=torch.arange(5) != 3)
    reduce(loss).backward()
    assert taught.grad is None
    assert own.grad is not None
    moved = own.grad.abs().sum(-1) > 0
    assert moved.equal((truth >= 0) & (torch.arange(5) != 3)[:, None])


def test_without_temperature_it_is_the_cross_entropy_with_what_the_source_holds_likely() -> None:
    own, taught, truth = drawn("token_labelling", 1)
    truth[:] = 0
    got = PositionDistillation(TRIO, kind="token_labelling", temperature=1.0)(own, taught, truth).value
    share = taught.softmax(-1)
    expected = F.cross_entropy(own.flatten(0, 1), share.flatten(0, 1), reduction="none")
    entropy = -(share * share.log()).sum(-1).flatten()
    torch.testing.assert_close(got, (expected - entropy).view(5, 6).mean(1))


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"kind": "token_labeling"},
            "PositionDistillation: 'token_labeling' is no kind of task that decides at positions. Did you mean "
            "'token_labelling'?",
        ),
        ({"kind": "multiclass"}, "PositionDistillation: 'multiclass' is no kind of task that decides at positions."),
        ({"kind": "segmentation", "temperature": 0}, "PositionDistillation: expected a temperature above 0, got 0."),
    ],
)
def test_what_it_cannot_be(options: dict[str, object], text: str) -> None:
    with pytest.raises(ObjectiveError) as error:
        PositionDistillation(TRIO, **options)  # type: ignore[arg-type]
    assert str(error.value).startswith(text)


def test_both_models_have_one_output() -> None:
    objective = PositionDistillation(TRIO, kind="token_labelling")
    with pytest.raises(ObjectiveError, match=r"'tags' is \[batch, 6, 3\] float32\. Give both models the same output\."):
        objective.connect([ValueInfo(shape=(6, 3)), ValueInfo(shape=(6, 4)), None], {})
