"""Which elements of a row are hidden together, and which of these parts are hidden."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from jumpml.data.augment._augmentation import uniform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator

    from jumpml.core import Element


class Parts(NamedTuple):
    """The parts of a row.

    Attributes:
        of: int64 ``[elements]``, the number of the part that each element belongs to.
        number: How many there are.
    """

    of: Tensor
    number: int


def parts_of(
    shape: tuple[int, ...],
    axes: Sequence[int],
    patch: int | tuple[int | str, int | str],
    elements: Sequence[Element] = (),
) -> Parts:
    """Cut a row into parts.

    Args:
        shape: A row's.
        axes: Those that are cut.
        patch: A part's size along them; the last part is smaller where it does not divide.
        elements: Of a table's row: what tells of one column is one part.
    """
    if elements:
        columns = torch.tensor([element.column for element in elements])
        found, of = columns.unique(return_inverse=True)
        return Parts(of, len(found))
    of, count = torch.zeros((1,) * len(shape), dtype=torch.int64), 1
    for axis, side in zip(axes, patch if isinstance(patch, tuple) else (patch,) * len(axes), strict=True):
        part = torch.arange(shape[axis]) // (shape[axis] if side == "all" else int(side))
        view = [1] * len(shape)
        view[axis] = shape[axis]
        number = int(part[-1]) + 1
        of, count = of * number + part.view(view), count * number
    return Parts(of.expand(shape).flatten(), count)


def hidden_parts(parts: Parts, rows: int, known: Tensor | None, share: float, generator: Generator) -> Tensor:
    """Draw which parts of each row are hidden: as many as the share says, at least one, and one is left.

    Args:
        parts: Those of a row, on the generator's device.
        rows: How many rows there are.
        known: bool ``[batch, elements]``; a part without a known element is not hidden and does not count. None where
            all are known.
        share: Of the parts that count.
        generator: Of the draws.

    Returns:
        bool ``[batch, parts]``.
    """
    drawn = uniform((rows, parts.number), generator, parts.of)
    if known is None:
        hidden = min(max(round(share * parts.number), 1), parts.number - 1)
        return drawn.argsort(1).argsort(1) < hidden
    counts = torch.zeros(drawn.shape, dtype=torch.int64, device=drawn.device)
    there = counts.scatter_add(1, parts.of.expand(rows, -1), known.long()) > 0
    found = there.sum(1)
    hidden = torch.minimum((share * found).round().long().clamp(min=1), found - 1).clamp(min=0)
    return drawn.masked_fill(~there, 2.0).argsort(1).argsort(1) < hidden.unsqueeze(1)
