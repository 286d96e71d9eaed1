"""The inner value by which rows are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import DiagnosisError, did_you_mean
from jumpml.diagnose._rows import featurised

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.graph import Model

CHUNK = 256  # rows a pass


def embedding_node(model: Model, task: str) -> str:
    """The node whose value stands for a row: the one that a task's output node reads, or itself where it reads fields.

    Args:
        model: The model.
        task: The task's name.

    Returns:
        A node or ``node.part``. Where the output node reads several, the first.

    Raises:
        DiagnosisError: There is no such task.

    Example:
        >>> from torch import nn
        >>> from jumpml.core import Task, ValueInfo
        >>> from jumpml.graph import Model, Node
        >>> nodes = {"body": Node(nn.Linear(4, 8), "x"), "out": Node(nn.Linear(8, 3), "body")}
        >>> tasks = {"kind": Task(kind="multiclass", output="out", target="y")}
        >>> embedding_node(Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, tasks=tasks), "kind")
        'body'
    """
    if task not in model.tasks:
        raise DiagnosisError(f"the model has no task {task!r}. {did_you_mean(task, model.tasks)}")
    output = model.tasks[task].output
    node = model.node_of(output)
    reads = model.reads[node] if node else ()
    return next((name for name in reads if name in model.values and name not in model.inputs), output)


def flatten_embedding(value: Tensor) -> Tensor:
    """A node's value as one vector a row: an image of features is averaged over its positions, all else is flattened.

    Args:
        value: ``[n, ...]``; from four dimensions on ``[n, channels, ...positions]``.

    Returns:
        float32 ``[n, d]``.

    Example:
        >>> flatten_embedding(torch.ones(2, 8, 3, 3)).shape, flatten_embedding(torch.ones(2, 5, 3)).shape
        (torch.Size([2, 8]), torch.Size([2, 15]))
    """
    # Not len(value), which would be a constant in a file that this is exported to.
    rows = value.flatten(2).mean(2) if value.dim() > 3 else value.reshape(value.shape[0], -1)
    return rows.to(torch.float32)


def embedding_width(model: Model, node: str) -> int:
    """How many numbers `flatten_embedding` gives a row of a node's value."""
    return flatten_embedding(torch.empty(1, *model.values[node].shape, device="meta")).shape[1]


@torch.no_grad()
def embed(model: Model, node: str, batch: Mapping[str, Tensor]) -> Tensor:
    """The embeddings of rows, ``[n, d]`` on the CPU, with the model as it is.

    Args:
        model: The model.
        node: What to compute.
        batch: Featurised rows.
    """
    device = next((parameter.device for parameter in model.parameters()), None)
    chunks = {name: values.split(CHUNK) for name, values in batch.items()}
    parts = []
    for index in range(len(next(iter(chunks.values())))):
        part = {name: values[index].to(device) for name, values in chunks.items()}
        parts.append(flatten_embedding(model(part, outputs=[node])[node]).cpu())
    return torch.cat(parts)


def embed_split(loaders: DataLoaders, model: Model, node: str, split: str, positions: Tensor) -> Tensor:
    """The embeddings of some rows of a split, ``[n, d]`` on the CPU."""
    fields = inputs_of(model, node)
    chunks = positions.split(CHUNK)
    return torch.cat([embed(model, node, featurised(loaders, split, fields, chunk)) for chunk in chunks])


def inputs_of(model: Model, node: str) -> tuple[str, ...]:
    """The fields that a node reads, directly or through others, in the model's order."""
    ancestors = model.ancestors(node)
    return tuple(name for name in model.inputs if name in ancestors)
