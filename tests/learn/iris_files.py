"""What files say of the iris and of small nets that tell its species; each test says what is another with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

IRIS: dict[str, Any] = {
    "source": {"kind": "sklearn", "name": "iris"},
    "fields": {
        "x": {"kind": "tensor", "column": "data", "shape": [4]},
        "species": {"kind": "category", "column": "target"},
    },
    "split": {"stratify": "species", "duplicates": "together"},
}


def iris_data(**said: Any) -> dict[str, Any]:
    """A data file: `x`, four numbers, and the `species`; and what else is said."""
    return {"datasets": {"iris": IRIS}, "batch_size": 16, **said}


def iris_model(nodes: Mapping[str, Any], **said: Any) -> dict[str, Any]:
    """A model file: these nodes, of which the last one is read by the head `out`; `x` where there are none."""
    return {
        "seed": 0,
        "nodes": {**nodes, "out": {"module": "jumpml.blocks.Head", "inputs": ["x", *nodes][-1]}},
        "tasks": {"species": {"kind": "multiclass", "output": "out", "target": "species"}},
        **said,
    }


def mlp(*widths: int, reads: str = "x", **args: Any) -> dict[str, Any]:
    """A node of linear layers."""
    return {"module": "jumpml.blocks.MLP", "inputs": reads, "args": {"widths": [*widths], **args}}


def batch_norm(reads: str, width: int) -> dict[str, Any]:
    """A node that normalizes what another one gives."""
    return {"module": "torch.nn.BatchNorm1d", "inputs": reads, "args": {"num_features": width}}
