"""What the tests of teachers in the loop share: three data sets side by side, two tasks, and learners of them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from jumpml.core import Task
from jumpml.data import Column, DataLoaders, Mixture, Noise, Shuffled
from jumpml.graph import Model, Node
from jumpml.learn import Learner, Phase
from jumpml.objectives import CrossEntropy, Huber

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jumpml.learn import Hook

ROWS = {"a": 40, "b": 12, "c": 6}  # train rows; 16 more are for validation, 4 for the test


def make_loaders(batch_size: int = 8, order: Any = None, weights: Mapping[str, float] | None = None) -> DataLoaders:
    """Data sets one after the other: four numbers, a class of three, and a number that every third row lacks."""
    train = sum(ROWS.values())
    rows = torch.arange(train + 20)
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(train + 20, 4, generator=generator)
    size = x.sum(1, keepdim=True)
    size[::3] = torch.nan
    ends = torch.tensor([0, *ROWS.values()]).cumsum(0).tolist()
    pools = {name: Shuffled(torch.arange(*ends)) for name, ends in zip(ROWS, pairwise(ends), strict=True)}
    return DataLoaders(
        {
            "x": Column(x, "tensor"),
            "kind": Column(x[:, :3].argmax(1), "category", classes=("red", "green", "blue")),
            "size": Column(size, "number"),
        },
        {"train": rows[:train], "val": rows[train:-4], "test": rows[-4:]},
        augment={"x": [Noise(0.05)]},
        views={"weak": {"x": [Noise(0.1)]}, "strong": {"x": [Noise(2.0)]}},
        batch_size=batch_size,
        order=order or Mixture(pools, weights),
        difficulty=x[:, 3].abs(),
    )


def make_model(loaders: DataLoaders, objectives: Mapping[str, Any] | None = None, *, dropout: float = 0.2) -> Model:
    """A trunk with dropout and batch normalization, and two tasks on it."""
    layers = (nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(dropout))
    return two_tasks(loaders, lambda: nn.Sequential(nn.Linear(4, 8), *layers), objectives or {})


def two_tasks(
    loaders: DataLoaders,
    make_trunk: Callable[[], nn.Module],
    objectives: Mapping[str, Any],
    when: str | tuple[str, ...] = ("supervised",),
) -> Model:
    """A trunk from ``x``, four numbers, to eight, and the class ``kind`` and the number ``size`` on it."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        trunk, heads = make_trunk(), {"kind": nn.Linear(8, 3), "size": nn.Linear(8, 1)}
    own = {"kind": CrossEntropy(("to_kind", "kind"), when=when), "size": Huber(("to_size", "size"), when=when)}
    loaders.bind(["x"])
    return Model(
        inputs={"x": loaders.info("x")},
        nodes={"trunk": Node(trunk, "x"), **{f"to_{name}": Node(head, "trunk") for name, head in heads.items()}},
        tasks={
            "kind": Task(kind="multiclass", output="to_kind", target="kind"),
            "size": Task(kind="regression", output="to_size", target="size"),
        },
        objectives={**own, **objectives},
        fields=loaders.fields,
        seed=0,
    )


def make_learner(
    hooks: Sequence[Hook] = (),
    *,
    loaders: DataLoaders | None = None,
    objectives: Mapping[str, Any] | None = None,
    epochs: int = 3,
    phases: Mapping[str, Phase] | None = None,
    **options: Any,
) -> Learner:
    """A learner of both tasks."""
    loaders = loaders or make_loaders()
    model = make_model(loaders, objectives)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    phases = phases or {"supervised": Phase(epochs=epochs)}
    return Learner(loaders, model, optimizer, phases=phases, hooks=hooks, **options)


def weights_of(learner: Learner) -> dict[str, torch.Tensor]:
    """Parameters and buffers."""
    return {name: value.clone() for name, value in learner.model.state_dict().items()}


def same(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    """Whether all bits are."""
    return one.keys() == other.keys() and all(
        torch.equal(value.nan_to_num(123), other[name].nan_to_num(123)) for name, value in one.items()
    )
