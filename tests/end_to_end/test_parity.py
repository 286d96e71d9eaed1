"""One objective and no extras: the learner against a loop in bare PyTorch, bit for bit (CPU, one thread)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import jumpml
from jumpml.core import Task, derive_seed
from jumpml.graph import Model, Node
from jumpml.learn import Learner, Log, Phase
from jumpml.objectives import CrossEntropy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch.optim import Optimizer

    from jumpml.core import EpochRecord
    from jumpml.data import DataLoaders
    from jumpml.learn import StepRecord

SEED, BATCH, EPOCHS = 3, 64, 3
OPTIMIZERS: dict[str, Callable[[Any], Optimizer]] = {
    "sgd": lambda parameters: torch.optim.SGD(parameters, lr=0.05, momentum=0.9, weight_decay=1e-4),
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-2),
}
Reduction = Literal["none", "mean"]


def assert_same_weights(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    """The same keys, each with the same bits."""
    assert expected, "there is nothing to compare"
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


class Kept(Log):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def steps(self, records: Sequence[StepRecord]) -> None:
        self.losses += [record.losses["total"] for record in records]

    def epoch(self, record: EpochRecord) -> None:
        assert record.losses.keys() == {"digit", "total"}


def load_digits() -> DataLoaders:
    fields = {
        "image": {"kind": "image", "column": "images", "shape": [1, 8, 8], "range": [0, 16]},
        "label": {"kind": "category", "column": "target"},
    }
    digits = {"source": {"kind": "sklearn", "name": "digits"}, "fields": fields, "split": {"stratify": "label"}}
    return jumpml.create_dataloader({"datasets": {"digits": digits}, "batch_size": BATCH})


def make_nodes(dropout: float) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    body = (nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dropout(dropout))
    return {"body": nn.Sequential(*body), "digit": nn.Linear(288, 10)}


def learn(
    loaders: DataLoaders, nodes: Mapping[str, nn.Module], optimizer: str, seed: int = SEED
) -> tuple[Model, list[float]]:
    loaders.bind(["image"])
    model = Model(
        inputs={"image": loaders.info("image")},
        nodes={"body": Node(nodes["body"], "image"), "digit": Node(nodes["digit"], "body")},
        tasks={"digit": Task(kind="multiclass", output="digit", target="label")},
        objectives={"digit": CrossEntropy(("digit", "label"))},
        fields=loaders.fields,
    )
    kept = Kept()
    phases = {"supervised": Phase(epochs=EPOCHS)}
    learner = Learner(loaders, model, OPTIMIZERS[optimizer](model.parameters()), phases=phases, seed=seed, log=[kept])
    for _ in range(EPOCHS):
        learner.train_epoch()
    return model, kept.losses


def train_by_hand(
    images: Tensor, labels: Tensor, nodes: Mapping[str, nn.Module], optimizer: str, reduction: Reduction
) -> tuple[dict[str, Tensor], list[float]]:
    """The same in PyTorch alone; only the seeds are JumpML's."""
    model = nn.Sequential(*nodes.values()).train()
    step = OPTIMIZERS[optimizer](model.parameters())
    losses = []
    torch.manual_seed(derive_seed(SEED, "torch"))
    for epoch in range(EPOCHS):
        generator = torch.Generator().manual_seed(derive_seed(SEED, "order", epoch))
        for rows in torch.randperm(len(images), generator=generator).split(BATCH):
            loss = F.cross_entropy(model(images[rows]), labels[rows], reduction=reduction).mean()
            step.zero_grad()
            loss.backward()
            step.step()
            losses.append(loss.item())
    named = {f"node_{name}.{key}": value for name, node in nodes.items() for key, value in node.state_dict().items()}
    return named, losses


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_the_learner_is_a_bare_loop(optimizer: str, dropout: float) -> None:
    loaders = load_digits()
    nodes = make_nodes(dropout)
    model, losses = learn(loaders, copy.deepcopy(nodes), optimizer)
    batches = list(loaders.train.plain())
    images, labels = (torch.cat([batch[name] for batch in batches]) for name in ("image", "label"))
    assert len(images) % BATCH, "the last batch must be ragged"
    weights, bare = train_by_hand(images, labels, copy.deepcopy(nodes), optimizer, "none")
    assert_same_weights(model.state_dict(), weights)
    assert losses == bare
    assert len(losses) == EPOCHS * len(batches)
    weights, _ = train_by_hand(images, labels, copy.deepcopy(nodes), optimizer, "mean")
    assert_same_weights(model.state_dict(), weights)


def test_another_seed_gives_other_weights() -> None:
    nodes = make_nodes(0.3)
    model, losses = learn(load_digits(), copy.deepcopy(nodes), "sgd")
    other, other_losses = learn(load_digits(), copy.deepcopy(nodes), "sgd", seed=SEED + 1)
    assert losses != other_losses
    with pytest.raises(AssertionError, match="node_body"):
        assert_same_weights(model.state_dict(), other.state_dict())


@pytest.mark.parametrize(
    "found",
    [
        {},
        {"a": torch.zeros(2)},
        {"a": torch.zeros(2), "b": torch.ones(2), "c": torch.ones(2)},
        {"a": torch.zeros(2), "b": torch.ones(2).nextafter(torch.zeros(2))},
        {"a": torch.zeros(2), "b": torch.ones(2, dtype=torch.float64)},
        {"a": torch.zeros(2), "b": torch.ones(1)},
    ],
)
def test_the_comparison_of_weights_can_fail(found: dict[str, Tensor]) -> None:
    expected = {"a": torch.zeros(2), "b": torch.ones(2)}
    assert_same_weights(expected, dict(expected))
    with pytest.raises(AssertionError):
        assert_same_weights(found, expected)
    with pytest.raises(AssertionError, match="nothing to compare"):
        assert_same_weights({}, {})
