"""The base of methods that foretell what a momentum encoder makes of what was hidden."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from jumpml.core import HIDDEN, WHOLE, Loss
from jumpml.objectives._momentum import WithMomentum
from jumpml.objectives._precision import in_single
from jumpml.objectives._rows import filled
from jumpml.objectives.self_supervised._patches import as_positions, cut
from jumpml.objectives.self_supervised._told import ToldByView

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo


class Latents(WithMomentum, ToldByView):
    """A loss between what is foretold of hidden positions and what the momentum encoder gives there.

    The model reads one draw of a view that hides parts of a field; the momentum encoder reads the field as it was, and
    its vectors are normalized one by one, without scale and shift. A row's loss is the mean over its hidden positions
    of the mean over the vector; a row of which nothing was hidden does not count. Of a node that gives one vector a row
    all of it is foretold. The momentum encoder is in evaluation mode. A subclass foretells, in `foretell`.

    Args:
        inputs: The node, ``[batch, width]``, ``[batch, positions, width]`` or ``[batch, width, rows, columns]``, and
            the field that the view hides parts of.
        beta: The difference at which a square becomes a line (smooth L1); 0 for squares everywhere.
        others: As `ToldByView` and `WithMomentum` have them.

    Raises:
        ObjectiveError: There are not one node, one field and one view, ``beta`` is below 0, or the momentum is not
            from 0 to 1.
    """

    roles = ("embedding", "hidden", "whole")
    tells = (HIDDEN, WHOLE)
    slow_evaluates = True

    def __init__(self, inputs: Sequence[str], *, beta: float, **others: Any) -> None:
        super().__init__(inputs, **others)
        if not 0 <= beta < float("inf"):
            raise self.error(f"expected beta of 0 or more, got {beta}.")
        self.beta = beta
        self._cut: tuple[tuple[int, ...], tuple[int, ...]] | None = None
        """Along which axes the field is cut into what positions stand for, and how often; None where one by one."""

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Find which part of a row each position stands for, and make what foretells, from torch's global generator."""
        super().connect(values, parameters)
        shape, whole = self.embedding(values[0], (1, 2, 3)), self.told(values[2], 2)
        one_by_one = len(shape) == 2 and whole.shape == shape[:1]
        self._cut = None if one_by_one else self.patches(shape, whole)
        width = shape[1] if len(shape) == 2 else shape[0]
        positions = 1 if len(shape) == 1 else shape[0] if len(shape) == 2 else shape[1] * shape[2]
        self.build(positions, width)

    @abstractmethod
    def build(self, positions: int, width: int) -> None:
        """Make what foretells.

        Args:
            positions: How many vectors a row has.
            width: Of each.
        """

    @abstractmethod
    def foretell(self, embedding: Tensor, hidden: Tensor) -> Tensor:
        """What the momentum encoder is thought to give, ``[batch, positions, width]``.

        Args:
            embedding: What the model gives on the view, ``[batch, positions, width]``.
            hidden: bool ``[batch, positions]``.
        """

    def hidden_positions(self, hidden: Tensor) -> Tensor:
        """Bool ``[batch, positions]``: those of which something was hidden, of bool ``[batch, *]``."""
        return hidden if self._cut is None else cut(hidden, *self._cut).any(2)

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """The rows of which something was hidden."""
        hidden = inputs[1]
        if hidden is None:
            return present
        some = hidden.flatten(1).any(1)
        return some if present is None else some & present

    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            inputs: What the node gives on the view, ``[batch, *]``; bool of the field's shape, what was hidden of it;
                the field as it was; then each field that the node is computed from, on the view.
            present: bool ``[batch]``, the rows that count; None where all do.

        Raises:
            ObjectiveError: It is in no model.
        """
        embedding, hidden, whole, *fields = self.of_draw(0, inputs)
        there = self.counted(embedding, hidden, whole, present=present)
        names = self.inputs[len(self.roles) :]
        read = [whole if name == self.field else value for name, value in zip(names, fields, strict=True)]
        target = in_single(as_positions(filled(self.slow(read), present)))
        target = F.layer_norm(target, target.shape[2:])
        asked = self.hidden_positions(hidden)
        foretold = in_single(self.foretell(as_positions(filled(embedding, present)), asked))
        losses = self._distance(foretold, target).mean(2)
        value = torch.where(asked, losses, 0.0).sum(1) / asked.sum(1).clamp(min=1)
        return Loss(value, there)

    def _distance(self, foretold: Tensor, target: Tensor) -> Tensor:
        if not self.beta:
            return F.mse_loss(foretold, target, reduction="none")
        return F.smooth_l1_loss(foretold, target, reduction="none", beta=self.beta)
