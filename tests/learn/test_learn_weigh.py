"""What single rows count, and where each of them stands: told by hooks, for gradients alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from iris_files import iris_data, mlp
from kept import Kept
from torch import Tensor, nn
from torch.optim import SGD

import jumpml
from jumpml.balance import DWA, FAMO, MGDA, FeatureNorm, GradNorm, Uncertainty, UPGrad
from jumpml.core import LearnerError, Loss, ValueInfo
from jumpml.evaluate import score
from jumpml.graph import Model, Node
from jumpml.learn import Balancing, Hook, Learner, Phase
from jumpml.objectives import ObjectiveModule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jumpml.balance import GradientBalancer, LossBalancer
    from jumpml.data import DataLoaders
    from jumpml.learn import Step

TWO: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "body": mlp(8),
        "out": {"module": "jumpml.blocks.Head", "inputs": "body"},
        "again": {"module": "jumpml.blocks.Head", "inputs": "body"},
    },
    "tasks": {
        "species": {"kind": "multiclass", "output": "out", "target": "species"},
        "other": {"kind": "multiclass", "output": "again", "target": "species", "objective": {"weight": 0.5}},
    },
}


class Counts(Hook):
    """Rows count what a function of their place says, of some objectives."""

    name = "counts"
    positions = True

    def __init__(self, table: Tensor, objectives: Sequence[str] = ("species",)) -> None:
        self.table, self.objectives = table, objectives
        self.places: list[Tensor] = []

    def weigh(self, losses: Mapping[str, Loss], batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        assert not any(loss.value.requires_grad for loss in losses.values())
        return dict.fromkeys(self.objectives, self.table[batch["@position"]])

    def learned(self, step: Step) -> None:
        self.places.append(step.batch["@position"])


class Again(Counts):
    """A second one."""

    name = "again"


def loaders_of(**said: Any) -> DataLoaders:
    return jumpml.create_dataloader({**iris_data(), **said})


def learner_of(loaders: DataLoaders, *hooks: Hook, net: Any = None, accumulate: int = 1, **options: Any) -> Learner:
    model = jumpml.load_model(net or TWO, loaders)
    optimizer = SGD(model.parameters(), lr=0.1)
    phases = {"supervised": Phase(epochs=1)}
    return Learner(loaders, model, optimizer, phases=phases, hooks=hooks, accumulate=accumulate, **options)


def table_of(loaders: DataLoaders) -> Tensor:
    return torch.rand(len(loaders.train.rows), generator=torch.Generator().manual_seed(1)) * 2


def by_hand(learner: Learner, batches: Sequence[Mapping[str, Tensor]], table: Tensor) -> list[Tensor]:
    """The gradient of the mean over all rows, each loss of `species` times what its row counts."""
    model, total, rows = learner.model, torch.zeros(()), sum(len(batch["species"]) for batch in batches)
    for batch in batches:
        losses = model.losses(batch)
        total = total + (losses["species"] * table[batch["@position"]]).sum() / rows
        total = total + 0.5 * losses["other"].sum() / rows
    return [*torch.autograd.grad(total, [*model.parameters()])]


def close(first: Sequence[Tensor], second: Sequence[Tensor]) -> bool:
    pairs = zip(first, second, strict=True)
    return len(first) > 0 and all(torch.allclose(a, b, atol=1e-6) for a, b in pairs)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_rows_multiply_the_gradient_and_no_logged_loss(accumulate: int) -> None:
    loaders = loaders_of()
    table, kept = table_of(loaders), Kept()
    made = learner_of(loaders, Counts(table), kept, accumulate=accumulate)
    batches = next(made.windows())
    expected = by_hand(made, batches, table)
    plain = by_hand(made, batches, torch.ones_like(table))
    losses = [made.model.losses(batch)["species"].detach() for batch in batches]
    made.step(*batches)
    assert close(kept.gradients[0], expected)
    assert not close(kept.gradients[0], plain)
    (record,) = made._loop.read()
    assert record.losses["species"] == pytest.approx(float(torch.cat(losses).mean()))


def test_what_several_hooks_say_of_a_row_is_multiplied() -> None:
    loaders = loaders_of()
    table, kept = table_of(loaders), Kept()
    made = learner_of(loaders, Counts(table), Again(table), kept)
    batch = next(made.remaining())
    expected = by_hand(made, [batch], table.square())
    made.step(batch)
    assert close(kept.gradients[0], expected)


BALANCERS = [
    *(Uncertainty, DWA, FAMO, UPGrad, MGDA),
    *(lambda kind=kind: kind(at="body") for kind in (GradNorm, FeatureNorm, UPGrad)),
]


@pytest.mark.parametrize("balancer", BALANCERS)
@pytest.mark.parametrize("accumulate", [1, 2])
def test_balancers_get_gradients_of_weighed_rows(balancer: Any, accumulate: int) -> None:
    """A row that counts nothing is as one that is not there: what is left is balanced as ever."""

    def gradients(table: Tensor) -> list[Tensor]:
        kept, made = Kept(), balancer()
        told: LossBalancer | GradientBalancer = made
        learner = learner_of(loaders, Balancing(told), Counts(table, ("species", "other")), kept, accumulate=accumulate)
        learner.step(*next(learner.windows()))
        return kept.gradients[0]

    loaders = loaders_of()
    ones = torch.ones(len(loaders.train.rows))
    plain, none, twice = gradients(ones), gradients(0 * ones), gradients(2 * ones)
    assert all(not gradient.any() for gradient in none)
    assert any(gradient.any() for gradient in plain)
    if balancer in {Uncertainty, DWA, FAMO, UPGrad}:  # these are as long as what they are given
        assert close(twice, [2 * gradient for gradient in plain])


def test_what_cannot_be_weighed_is_refused() -> None:
    class Wrong(Hook):
        name = "wrong"

        def __init__(self, told: Mapping[str, Tensor]) -> None:
            self.told = told

        def weigh(self, losses: Mapping[str, Loss], batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
            return self.told

    def told(weights: Mapping[str, Tensor]) -> str:
        net = {**TWO, "objectives": {"small": {"kind": "l2", "parameters": "all"}}}
        learner = learner_of(loaders_of(), Wrong(weights), net=net)
        with pytest.raises(LearnerError) as caught:
            learner.step(next(learner.remaining()))
        return str(caught.value)

    ones = torch.ones(16)
    assert told({"specie": ones}) == (
        "rows are weighed of an objective 'specie' that did not run. Did you mean 'species'?"
    )
    assert told({"small": ones}) == (
        "objective 'small' has one loss for a whole batch: there is no row of it to weigh. Leave it out."
    )
    assert told({"species": ones[:3]}) == "objective 'species': expected a weight a row, [16], got [3]."


# --- where a row stands ----------------------------------------------------------------------------------------------


def test_batches_hold_the_place_of_each_row_where_somebody_asks() -> None:
    loaders = loaders_of()
    hook = Counts(torch.ones(len(loaders.train.rows)))
    learner = learner_of(loaders, hook)
    learner.train_epoch()
    assert torch.equal(torch.cat(hook.places), loaders.train.order(0))
    assert torch.cat(hook.places).dtype == torch.int64
    other = learner_of(loaders, record_examples=False)
    assert all("@position" not in batch for batch in other.remaining())


def test_the_place_tells_the_row() -> None:
    loaders = loaders_of()
    loaders.train.serve(["species", "@position"], ())
    values = loaders.train.decoded("species")
    for batch in loaders.train:
        assert torch.equal(batch["species"], values[batch["@position"]])
        batch["@position"].zero_()  # whoever writes into a batch harms nobody
    assert torch.equal(
        torch.cat([b["@position"] for b in loaders.val.plain(positions=True)]), torch.arange(len(loaders.val.rows))
    )


class OwnPart(ObjectiveModule):
    """A number for each train row, which joins what the model says of it."""

    roles = ("prediction", "target", "place")

    def __init__(self, rows: int) -> None:
        super().__init__(("out", "species", "@position"))
        self.table = nn.Parameter(torch.zeros(rows))

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        assert values[2] == ValueInfo(shape=(), dtype="int64")

    def forward(self, out: Tensor, species: Tensor, place: Tensor, present: Tensor | None = None) -> Loss:
        own = self.table[place.clamp(max=len(self.table) - 1)] if self.training else 0.0
        return Loss((out.mean(1) + own - species).square(), present)


def test_an_objective_reads_it_in_training_and_in_validation() -> None:
    loaders = loaders_of()
    net = Node(nn.Linear(4, 3), "x")
    own = OwnPart(len(loaders.train.rows))
    model = Model(inputs={"x": loaders.info("x")}, nodes={"out": net}, objectives={"own": own}, fields=loaders.fields)
    learner = Learner(loaders, model, SGD(model.parameters(), lr=0.5), phases={"supervised": Phase(epochs=1)})
    learner.step(batch := next(learner.remaining()))
    moved = own.table.detach().nonzero().flatten()
    assert torch.equal(moved, batch["@position"].sort().values)
    x, species = loaders.val.decoded("x"), loaders.val.decoded("species")
    with torch.no_grad():
        plain = (net.module(x).mean(1) - species).square().mean()
    assert score(loaders, model, ["loss"])["loss"] == pytest.approx(float(plain))
