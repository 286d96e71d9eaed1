"""Pictures beside what a model makes of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.core import Reconstruction

if TYPE_CHECKING:
    from torch import Tensor

    from jumpml.evaluate._sample import Sample

SHOWN = 8  # from the worst to the best, evenly spaced in that order


def reconstructions(sample: Sample, rows: Tensor) -> tuple[Reconstruction, ...]:
    """A few pictures of a reconstruction task, the worst first; nothing of any other.

    Args:
        sample: The rows that count.
        rows: Their numbers in the data set.
    """
    if sample.kind != "reconstruction" or sample.field is None or sample.field.kind != "image":
        return ()
    errors, shape = sample.errors().square().mean(1), sample.field.value.shape
    order = errors.argsort(descending=True, stable=True)
    places = torch.linspace(0, len(order) - 1, min(SHOWN, len(order))).long()
    return tuple(
        Reconstruction(
            row=int(rows[at]),
            original=_grid(sample.target[at].reshape(shape)),
            reconstruction=_grid(sample.decided[at].reshape(shape).clamp(0, 1)),
            error=float(errors[at]),
        )
        for at in order[places].tolist()
    )


def _grid(picture: Tensor) -> tuple[tuple[float, ...], ...]:
    return tuple(map(tuple, picture.double().mean(0).tolist()))
