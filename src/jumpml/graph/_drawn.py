"""Whether values are drawn anew in each pass: dropout and the like."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from jumpml.graph._inference import some_rows
from jumpml.graph._inferred import MORE_ROWS
from jumpml.graph._random import own_draws

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jumpml.graph._model import Model


def is_drawn(model: Model, references: Iterable[str]) -> bool:
    """Whether some values differ between two passes of the same rows while the model trains.

    It is tried on a copy of what they come from, which is seen to draw from torch's generator.

    Args:
        model: The model.
        references: Fields, nodes or ``node.part``.

    Example:
        >>> from torch import nn
        >>> from jumpml.core import ValueInfo
        >>> from jumpml.graph import Model, Node
        >>> nodes = {"body": Node(nn.Linear(4, 8), "x"), "out": Node(nn.Dropout(0.5), "body")}
        >>> model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes)
        >>> is_drawn(model, ["body"]), is_drawn(model, ["out"])
        (False, True)
    """
    made = [reference for reference in references if model.node_of(reference)]
    if not made:
        return False
    part = copy.deepcopy(model.until(*made)).cpu().train()
    with own_draws(0, "is drawn"), torch.no_grad():
        batch = {name: some_rows(value, MORE_ROWS) for name, value in part.inputs.items()}
        before = torch.get_rng_state()
        part(batch)
        return not torch.equal(before, torch.get_rng_state())
