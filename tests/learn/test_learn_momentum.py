"""Momentum encoders: they follow the weights, from where learning starts, and are exact on resume."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING, Any

import pytest
import torch
import torch.nn.functional as F
from iris_files import IRIS, iris_data
from torch import nn

import jumpml
from jumpml.core import GraphError, Loss, ObjectiveError, ValueInfo, WeightSchedule
from jumpml.graph import Model, Node, Widen
from jumpml.learn import Learner, Phase, Saving
from jumpml.objectives._momentum import WithMomentum
from jumpml.objectives.self_supervised._projector import embedding_width, make_projector, rows_that_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor


class Follow(WithMomentum):
    """The projection of one view shall be what the momentum encoder makes of the other."""

    roles = ("embedding",)
    per_example = False
    slow_parts = ("projector",)

    def __init__(self, inputs: str = "encoder", **options: Any) -> None:
        super().__init__(inputs, **{"momentum": 0.9, "views": "strong", "when": "all", **options})

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        self.projector = make_projector(embedding_width(self, values[0]), (8, 4))

    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        (first, field), (second, other) = self.of_draw(0, inputs), self.of_draw(1, inputs)
        loss = torch.zeros(())
        for embedding, reads in ((first, other), (second, field)):
            mine, theirs = rows_that_count(self, present, embedding, reads)
            target = self.get_submodule("slow_projector")(self.slow([theirs]))
            loss = loss + F.mse_loss(self.projector(mine), target)
        return Loss(loss)


class Evaluating(Follow):
    slow_evaluates = True


@pytest.fixture(scope="module")
def loaders() -> jumpml.DataLoaders:
    iris = {**IRIS, "split": {"duplicates": "together"}}
    views = {"strong": {"x": [{"noise": {"std": 0.1}}]}}
    return jumpml.create_dataloader(iris_data(datasets={"iris": iris}, views=views))


def make(objective: WithMomentum) -> Model:
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 5))
    return Model(
        inputs={"x": ValueInfo(shape=(4,))},
        nodes={"encoder": Node(body, "x")},
        objectives={"follow": objective},
        seed=0,
    )


def learner(loaders: jumpml.DataLoaders, model: Model, folder: Path | None = None, **options: Any) -> Learner:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    saving = Saving(folder=folder, keep=9) if folder else None
    return Learner(
        loaders,
        model,
        torch.optim.SGD(trained, lr=0.1),
        phases={"supervised": Phase(epochs=2)},
        saving=saving,
        **options,
    )


def fast_of(model: Model) -> dict[str, Tensor]:
    objective: Any = model.objectives["follow"]
    own = {f"slow_projector.{name}": value for name, value in objective.projector.named_parameters()}
    return {**{f"encoder.{name}": value for name, value in model.named_parameters() if "node" in name}, **own}


def slow_of(model: Model) -> dict[str, Tensor]:
    names = fast_of(model)
    return {name: value for name, value in model.objectives["follow"].named_buffers() if name in names}  # type: ignore


def bits(model: nn.Module) -> bytes:
    return b"".join(value.numpy().tobytes() for value in model.state_dict().values())


def test_the_fields_join_and_the_copy_is_no_parameter() -> None:
    model = make(Follow())
    assert model.objectives["follow"].inputs == ("encoder", "x")
    assert not any("slow" in name or "follow.encoder" in name for name, _ in model.named_parameters())
    assert slow_of(model).keys() == fast_of(model).keys()
    assert len(slow_of(model)) == 6 + 5


@pytest.mark.parametrize("kind", [Follow, Evaluating])
def test_it_moves_by_its_momentum_after_each_update(loaders: jumpml.DataLoaders, kind: type[Follow]) -> None:
    one = learner(loaders, make(kind()))
    expected = {name: value.clone() for name, value in slow_of(one.model).items()}
    for batch in one.remaining():
        one.step(batch)
        for name, fast in fast_of(one.model).items():
            expected[name] = 0.9 * expected[name] + 0.1 * fast.detach()
    slow, fast = slow_of(one.model), fast_of(one.model)
    assert all(torch.allclose(value, expected[name], atol=1e-6) for name, value in slow.items())
    assert not any(torch.equal(value, fast[name]) for name, value in slow.items() if name.endswith("weight"))


def test_a_schedule_moves_the_momentum_over_the_phase(loaders: jumpml.DataLoaders) -> None:
    one = learner(loaders, make(Follow(momentum=WeightSchedule(start=0.0, end=1.0, over=1))))
    one.train_epoch()
    kept = {name: value.clone() for name, value in slow_of(one.model).items()}
    one.train_epoch()
    assert all(torch.equal(value, kept[name]) for name, value in slow_of(one.model).items())


def test_statistics_are_the_copys_own_unless_it_evaluates(loaders: jumpml.DataLoaders) -> None:
    for kind, same in ((Follow, False), (Evaluating, True)):
        one = learner(loaders, make(kind(momentum=0.0)))
        one.train_epoch()
        objective: Any = one.model.objectives["follow"]
        name = "node_encoder.1.running_mean"
        assert torch.equal(objective.encoder.get_buffer(name), one.model.get_buffer(name)) is same
        assert objective.encoder.training is not same


def test_it_begins_where_learning_starts(loaders: jumpml.DataLoaders) -> None:
    model = make(Follow())
    nn.init.ones_(model.get_parameter("node_encoder.0.weight"))  # from elsewhere, after the model was made
    one = learner(loaders, model, ema=0.9)
    assert torch.equal(slow_of(one.model)["encoder.node_encoder.0.weight"], torch.ones(6, 4))
    one.train_epoch()
    again = learner(loaders, one.model)  # goes on, and does not begin anew
    assert not torch.equal(
        slow_of(again.model)["encoder.node_encoder.0.weight"], fast_of(again.model)["encoder.node_encoder.0.weight"]
    )


def test_resume_is_exact_and_needs_the_copy(loaders: jumpml.DataLoaders, tmp_path: Path) -> None:
    whole = learner(loaders, make(Follow()), ema=0.9)
    whole.fit()
    half = learner(loaders, make(Follow()), tmp_path, ema=0.9)
    for _, batch in zip(range(9), half.remaining(), strict=False):
        half.step(batch)
    half.save()
    for withheld in (False, True):
        model = make(Follow())
        again = learner(loaders, model, tmp_path, ema=0.9)
        assert again.resume()
        if withheld:
            slow, fast = slow_of(model), fast_of(model)
            for name, value in slow.items():
                value.copy_(fast[name].detach())
        again.fit()
        assert (bits(again.model) == bits(whole.model)) is not withheld


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_of_the_model_follows_its_own_weights(loaders: jumpml.DataLoaders, copied: Any) -> None:
    model = make(Follow())
    learner(loaders, model).train_epoch()
    before, other = bits(model), copied(model)
    learner(loaders, other).train_epoch()
    assert bits(model) == before
    learner(loaders, model).train_epoch()
    assert bits(model) == bits(other)


def test_it_grows_with_the_model(loaders: jumpml.DataLoaders, tmp_path: Path) -> None:
    one = learner(loaders, make(Follow()), tmp_path, ema=0.9)
    one.train_epoch()
    x = torch.randn(7, 4)
    objective: Any = one.model.objectives["follow"].eval()  # type: ignore[attr-defined]
    before = objective.slow([x])
    one.grow(Widen("encoder.0", 2.0))
    objective.eval()
    assert slow_of(one.model)["encoder.node_encoder.0.weight"].shape == (12, 4)
    assert torch.allclose(objective.slow([x]), before, atol=1e-6)
    objective.train()
    one.save()
    again = learner(loaders, make(Follow()), tmp_path, ema=0.9)
    again.resume()
    one.train_epoch()
    again.train_epoch()
    assert bits(again.model) == bits(one.model)


def test_what_cannot_be(loaders: jumpml.DataLoaders) -> None:
    with pytest.raises(ObjectiveError, match=r"Follow: expected a momentum from 0 to 1, got 1\.5\."):
        Follow(momentum=1.5)
    with pytest.raises(ObjectiveError, match=r"got 0\.5 to 2\."):
        Follow(momentum=WeightSchedule(start=0.5, end=2))
    with pytest.raises(ObjectiveError, match="there is no momentum encoder before it is an objective of a model"):
        Follow().slow([torch.zeros(2, 4)])
    with pytest.raises(ObjectiveError, match="expected two rows or more in a batch, since variance needs two; got 1"):
        rows_that_count(Follow(), torch.tensor([True, False]), torch.zeros(2, 4))
    model = make(Follow())
    with pytest.raises(GraphError, match="objective 'follow' keeps a copy of what gives them"):
        model.grow(Widen("encoder.3", 2.0))
