"""`check_self_supervised`: a good method passes, and each check is failed by one that breaks exactly it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from jumpml.core import Loss
from jumpml.data import Column, DataLoaders, Noise, random_split
from jumpml.graph import Node
from jumpml.objectives import CrossEntropy, ObjectiveModule, VICReg
from jumpml.objectives._momentum import WithMomentum
from jumpml.objectives.self_supervised._projector import embedding_width, make_projector, rows_that_count
from jumpml.testing import ConformanceError, check_self_supervised

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import ValueInfo


class Good(VICReg):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__("encoder", views="noisy", projector=(16, 16))


class ByPlace(Good):
    """The first row weighs more."""

    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        first, second = rows_that_count(self, present, *inputs)
        return Loss(super().forward(first, second).value + 10 * (first[0] - second[0]).square().sum())


class NoGradient(Good):
    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        return super().forward(*(value.detach() for value in inputs), present=present)


class Attracting(Good):
    """Nothing holds rows apart."""

    def compare(self, *projections: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        first, second = rows_that_count(self, present, *inputs)
        return Loss(-F.cosine_similarity(first, second).mean())


class Forgetful(Good):
    """How often it was called is lost by a checkpoint."""

    calls = 0

    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        self.calls += self.training
        return Loss(super().forward(*inputs, present=present).value * (1 + 0.1 * self.calls))


class TakesOne(Good):
    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        if len(inputs[0]) == 1:
            return Loss((inputs[0] - inputs[1]).square().mean())
        return super().forward(*inputs, present=present)


class CountsAbsent(Good):
    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        return super().forward(*inputs)


class Follow(WithMomentum):
    roles = ("embedding",)
    per_example = False
    slow_parts: ClassVar[tuple[str, ...]] = ("projector",)

    def __init__(self) -> None:
        super().__init__("encoder", momentum=0.9, views="noisy")

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        self.projector = make_projector(embedding_width(self, values[0]), (8, 4))

    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        (mine, field), (second, other) = self.of_draw(0, inputs), self.of_draw(1, inputs)
        kept = rows_that_count(self, present, mine, field, second, other)
        loss = torch.zeros(())
        for embedding, reads in ((kept[0], kept[3]), (kept[2], kept[1])):
            target = self.get_submodule("slow_projector")(self.slow([reads]))
            loss = loss + F.mse_loss(self.projector(embedding), target)
        return Loss(loss)


class Standing(Follow):
    """The slow copy never moves."""

    def after_update(self, epoch: float = 0.0, epochs: float = 1.0) -> None: ...


class Trained(Follow):
    """The slow copy is parameters, as a careless one would make it."""

    def remember(self, model: Any) -> None:
        super().remember(model)
        width = next(iter(self.get_submodule("slow_projector").buffers())).shape[1]
        self.slow_scale = nn.Parameter(torch.ones(width))


WRONG = {
    "permutation": ByPlace,
    "gradient": NoGradient,
    "collapse": Attracting,
    "checkpoint": Forgetful,
    "one row": TakesOne,
    "absent rows": CountsAbsent,
}


@pytest.mark.parametrize("kind", [Good, Follow])
def test_a_good_one_passes(kind: type[ObjectiveModule]) -> None:
    state = torch.get_rng_state()
    check_self_supervised(kind())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("check", WRONG)
def test_what_breaks_one_rule_fails_that_check(check: str) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_self_supervised(WRONG[check](), epochs=20 if check == "collapse" else 2)
    assert [*caught.value.findings] == [check]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Standing, "expected the momentum encoder to follow the weights; it is where it began"),
        (Trained, "expected nothing of the momentum encoder to train; slow_scale does. Make its tensors buffers"),
    ],
)
def test_a_momentum_encoder_moves_by_itself_alone(kind: type[ObjectiveModule], text: str) -> None:
    with pytest.raises(ConformanceError, match=text) as caught:
        check_self_supervised(kind(), epochs=2)
    assert [*caught.value.findings] == ["momentum"]


def test_the_text_names_what_was_expected_and_what_came() -> None:
    with pytest.raises(ConformanceError) as caught:
        check_self_supervised(Attracting())
    text = str(caught.value)
    assert text.startswith(
        "check_self_supervised: Attracting fails 1 of 7 checks.\n  collapse: expected embeddings that"
    )
    assert "differ from row to row after 20 epochs, a spread of 0.1 at least; it is 0.0" in text
    check_self_supervised(Attracting(), epochs=2, without=["collapse"])


def test_it_runs_on_data_and_nodes_of_ones_own() -> None:
    columns = {"wave": Column(torch.randn(60, 12, generator=torch.Generator().manual_seed(0)), "tensor")}
    loaders = DataLoaders(columns, random_split(60), views={"noisy": {"wave": [Noise(0.3)]}}, batch_size=20)
    nodes = {"encoder": Node(nn.Sequential(nn.Linear(12, 16), nn.Tanh()), "wave")}
    before = copy.deepcopy(nodes["encoder"].module.state_dict())
    check_self_supervised(Good(), loaders, nodes, epochs=3)
    after = nodes["encoder"].module.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_what_does_not_suit_it_is_said() -> None:
    with pytest.raises(ValueError, match=r"there is no check 'collaps'. Did you mean 'collapse'\?"):
        check_self_supervised(Good(), without=["collaps"])
    with pytest.raises(ValueError, match="expected an objective on views of one node, got one on out, y: give it loa"):
        check_self_supervised(CrossEntropy(("out", "y")))
    with pytest.raises(ValueError, match="expected data with the nodes that read it, got one of the two"):
        check_self_supervised(Good(), nodes={})
