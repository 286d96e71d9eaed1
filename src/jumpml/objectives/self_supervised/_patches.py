"""Which part of a row each position of a node stands for."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor


def grid_of(
    shape: Sequence[int], axes: Sequence[int], embedding: Sequence[int], *, timed: bool = False
) -> tuple[int, ...] | None:
    """Into how many patches a row is cut along each axis, so that each position of a node stands for one.

    Args:
        shape: A row's.
        axes: Along which it is cut.
        embedding: The shape of what the node gives: ``[width]`` stands for the whole row, ``[positions, width]`` for
            stretches, whole frames or squares, ``[width, rows, columns]`` for rectangles.
        timed: Whether positions as many as columns are frames though as many squares fit; else squares come first.

    Returns:
        None where no such patches are equally large.

    Example:
        >>> grid_of((3, 32, 32), (-2, -1), (64, 16)), grid_of((1, 40, 100), (-2, -1), (100, 16))
        ((8, 8), (1, 100))
    """
    sizes = [shape[axis] for axis in axes]
    if len(embedding) == 1:
        return (1,) * len(axes)
    if len(embedding) == 3:
        grid = tuple(embedding[1:])
        return grid if len(axes) == 2 and _divide(grid, sizes) else None
    positions = embedding[0]
    if len(axes) == 1:
        return (positions,) if _divide((positions,), sizes) else None
    frames = (1, positions) if positions == sizes[1] else None
    if timed and frames:
        return frames
    side = isqrt(sizes[0] * sizes[1] // positions)
    grid = (sizes[0] // max(side, 1), sizes[1] // max(side, 1))
    return grid if grid[0] * grid[1] == positions and _divide(grid, sizes) else frames


def _divide(grid: Sequence[int], sizes: Sequence[int]) -> bool:
    return all(number and size % number == 0 for number, size in zip(grid, sizes, strict=True))


def cut(values: Tensor, axes: Sequence[int], grid: Sequence[int]) -> Tensor:
    """Rows as patches, line by line: ``[batch, *]`` to ``[batch, patches, elements of a patch]``.

    Args:
        values: ``[batch, *]``.
        axes: Of a row, along which it is cut.
        grid: Into how many patches along each.

    Example:
        >>> import torch
        >>> cut(torch.arange(8).view(1, 1, 2, 4), (-2, -1), (1, 2))
        tensor([[[0, 1, 4, 5],
                 [2, 3, 6, 7]]])
    """
    dims = values.dim() - 1
    numbers = {axis % dims: number for axis, number in zip(axes, grid, strict=True)}
    shape: list[int] = []
    patch: list[int] = []
    inner: list[int] = []
    for axis, size in enumerate(values.shape[1:]):
        if axis in numbers:
            patch.append(len(shape) + 1)
            shape += [numbers[axis], size // numbers[axis]]
        else:
            shape.append(size)
        inner.append(len(shape))
    apart = values.reshape(len(values), *shape).permute(0, *patch, *inner)
    return apart.flatten(1, len(patch)).flatten(2)


def as_positions(embedding: Tensor) -> Tensor:
    """What a node gives as ``[batch, positions, width]``: a vector as one position, a map's places line by line.

    Args:
        embedding: ``[batch, width]``, ``[batch, positions, width]`` or ``[batch, width, rows, columns]``.
    """
    if embedding.dim() == 2:
        return embedding.unsqueeze(1)
    return embedding if embedding.dim() == 3 else embedding.flatten(2).transpose(1, 2)
