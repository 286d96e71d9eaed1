"""The units of a target: what a regression in other units does to the classification that shares its trunk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

import jumpml
from jumpml.evaluate import score

if TYPE_CHECKING:
    from pathlib import Path

SEEDS = (0, 1, 2)


def accuracy(folder: Path, unit: float, balance: Any, seed: int) -> float:
    """Of the digits, beside a regression of the ink's centre."""
    digits = load_digits()
    rows = digits.images.reshape(-1, 64)  # pyright: ignore
    across = (digits.images.sum(1) * np.arange(8)).sum(1) / rows.sum(1)  # pyright: ignore
    down = (digits.images.sum(2) * np.arange(8)).sum(1) / rows.sum(1)  # pyright: ignore
    target = unit * (across - across.mean() + down - down.mean()) / (across + down).std()
    path = folder / f"{unit}.npz"
    np.savez(path, x=rows / 16, label=digits.target.astype(str), centre=target)  # pyright: ignore
    fields = {"x": {"kind": "tensor", "shape": [64]}, "label": {"kind": "category"}, "centre": {"kind": "number"}}
    loaders = jumpml.create_dataloader(
        {"datasets": {"d": {"source": {"kind": "npz", "path": str(path)}, "fields": fields}}, "batch_size": 64}
    )
    net = {
        "seed": seed,
        "nodes": {
            "body": {"module": "jumpml.blocks.MLP", "inputs": "x", "args": {"widths": [64, 32]}},
            "digit": {"module": "jumpml.blocks.Head", "inputs": "body"},
            "place": {"module": "jumpml.blocks.Head", "inputs": "body"},
        },
        "tasks": {
            "digit": {"kind": "multiclass", "output": "digit", "target": "label"},
            "centre": {"kind": "regression", "output": "place", "target": "centre"},
        },
    }
    said = {
        "seed": seed,
        "optimizer": {"kind": "adam", "lr": 0.003},
        "phases": {"supervised": {"epochs": 8}},
        "balance": balance,
        "log": [],
        "checkpoint": None,
        "record_examples": False,
    }
    model = jumpml.load_model(net, loaders)
    jumpml.create_learner(loaders, model, None, said, run=folder).fit()
    return score(loaders, model, ["digit/accuracy"])["digit/accuracy"]


@pytest.mark.slow
def test_units_ruin_the_sum_and_not_what_looks_at_gradients(tmp_path: Path) -> None:
    """Stated beforehand, in the issue: at most .10 lost with these, at least .30 with the plain sum, of three seeds."""
    kinds: dict[str, dict[str, Any]] = {
        "sum": {"kind": "sum"},
        "imtl_g": {"kind": "imtl_g"},
        "aligned_mtl": {"kind": "aligned_mtl"},
        "feature_norm": {"kind": "feature_norm", "at": "body"},
    }
    lost = {}
    for name, balance in kinds.items():
        plain, scaled = (np.mean([accuracy(tmp_path, unit, balance, seed) for seed in SEEDS]) for unit in (1.0, 30.0))
        lost[name] = float(plain - scaled)
        print(f"{name}: {plain:.3f} -> {scaled:.3f}")
    assert max(lost["imtl_g"], lost["aligned_mtl"], lost["feature_norm"]) <= 0.10
    assert lost["sum"] >= 0.30
