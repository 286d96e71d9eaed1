"""A node's value as one vector a row, of the rows of a split."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.graph import Model

CHUNK = 256  # rows a pass


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
    """The embeddings of some rows of a split, ``[n, d]`` on the CPU, with the model as it is.

    Args:
        loaders: The data.
        model: The model.
        node: What to compute.
        split: ``train``, ``val`` or ``test``.
        positions: int64 ``[n]``, in the split's plain order.
    """
    fields = inputs_of(model, node)
    chunks = positions.split(CHUNK)
    return torch.cat([embed(model, node, featurised(loaders, split, fields, chunk)) for chunk in chunks])


def inputs_of(model: Model, node: str) -> tuple[str, ...]:
    """The fields that a node reads, directly or through others, in the model's order."""
    ancestors = model.ancestors(node)
    return tuple(name for name in model.inputs if name in ancestors)


def featurised(loaders: DataLoaders, split: str, fields: Iterable[str], positions: Tensor) -> dict[str, Tensor]:
    """Some rows of a split, without augmentation, on the data's device.

    Args:
        loaders: The data.
        split: ``train``, ``val`` or ``test``.
        fields: Which fields.
        positions: int64 ``[n]``, in the split's plain order.
    """
    loader = getattr(loaders, split)
    return {name: loaders.features.apply_to(name, loader.take(name, positions)) for name in fields}


def rows_with(loaders: DataLoaders, split: str, fields: Collection[str]) -> Tensor:
    """Positions, int64, of the rows of a split whose data set has all of some fields."""
    covered = loaders.covered(fields, split)
    return torch.arange(len(getattr(loaders, split).rows)) if covered is None else covered.nonzero().squeeze(1)


def sample_positions(
    loaders: DataLoaders, split: str, most: int, generator: torch.Generator, *, fields: Collection[str] = ()
) -> Tensor:
    """Positions of so many rows of a split, or of all where there are fewer, in random order.

    Args:
        loaders: The data.
        split: ``train``, ``val`` or ``test``.
        most: So many.
        generator: What is drawn from.
        fields: Only rows whose data set has all of these.
    """
    rows = rows_with(loaders, split, fields)
    return rows[torch.randperm(len(rows), generator=generator)[:most]]
