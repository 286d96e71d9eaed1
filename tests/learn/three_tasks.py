"""What the tests of tasks that are left out share: three tasks, of which one has a node of its own before its head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

import jumpml
from jumpml.data import Column, DataLoaders

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from jumpml.learn import Learner

NAMES = ("one", "two", "three")
NET: dict[str, Any] = {
    "seed": 0,
    "nodes": {
        "body": {"module": "jumpml.blocks.MLP", "inputs": "x", "args": {"widths": [6], "dropout": 0.2}},
        "one_own": {"module": "torch.nn.LazyBatchNorm1d", "inputs": "body"},
        **{
            f"{name}_out": {"module": "jumpml.blocks.Head", "inputs": "one_own" if name == "one" else "body"}
            for name in NAMES
        },
    },
    "tasks": {n: {"kind": "regression", "output": f"{n}_out", "target": n} for n in NAMES},
    "objectives": {
        "small": {"kind": "l2", "parameters": "all", "weight": 0.01},
        "own": {"kind": "l2", "parameters": {"only": "one"}, "weight": 0.01},
        "near": {"kind": "l1", "inputs": "one_own", "weight": 0.01},
    },
}
STOP = {"metric": "rmse", "patience": 0, "min_delta": 1e6}  # after its second epoch nothing is better by so much


def loaders() -> DataLoaders:
    """Three numbers, and for each of them a task that asks for it."""
    x = torch.randn(48, 3, generator=torch.Generator().manual_seed(0))
    columns = {"x": Column(x, "tensor")} | {n: Column(x[:, i : i + 1], "number") for i, n in enumerate(NAMES)}
    splits = {"train": torch.arange(32), "val": torch.arange(32, 40), "test": torch.arange(40, 48)}
    return DataLoaders(columns, splits, features={"x": []}, batch_size=8)


def learner(folder: Path, net: Any = None, **said: Any) -> Learner:
    """A learner of all three by a learner file."""
    data = loaders()
    said = {"log": [], "checkpoint": None, "phases": {"supervised": {"epochs": 4}}} | said
    said = {"optimizer": {"kind": "adamw", "lr": 0.01}} | said
    return jumpml.create_learner(data, jumpml.load_model(net or NET, data), None, said, run=folder)


def weights(made: Learner) -> dict[str, Tensor]:
    """Parameters and buffers."""
    return {name: value.clone() for name, value in made.model.state_dict().items()}
