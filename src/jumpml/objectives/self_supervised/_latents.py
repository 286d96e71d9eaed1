"""The base of methods that foretell what a momentum encoder makes of what was hidden."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from jumpml.core import HIDDEN, WHOLE, Loss, ValueInfo
from jumpml.objectives._rows import filled
from jumpml.objectives.self_supervised._momentum import WithMomentum
from jumpml.objectives.self_supervised._patches import as_positions, cut, grid_of
from jumpml.objectives.self_supervised._precision import in_single

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn


class Latents(WithMomentum):
    """A loss between what is foretold of hidden positions and what the momentum encoder gives there.

    The model reads one draw of a view that hides parts of a field; the momentum encoder reads the field as it was, and
    its vectors are normalized one by one, without scale and shift. A row's loss is the mean over its hidden positions
    of the mean over the vector; a row of which nothing was hidden does not count. Of a node that gives one vector a row
    all of it is foretold. The momentum encoder is in evaluation mode. A subclass foretells, in `foretell`.

    Args:
        inputs: The node, ``[batch, width]``, ``[batch, positions, width]`` or ``[batch, width, rows, columns]``, and
            the field that the view hides parts of.
        views: The view, which is drawn once.
        beta: The difference at which a square becomes a line (smooth L1); 0 for squares everywhere.
        momentum: The share of the momentum encoder that stays at each update, from 0 to 1, or a schedule of it.
        others: As `ObjectiveModule` has them.

    Raises:
        ObjectiveError: There are not one node, one field and one view, ``beta`` is below 0, or the momentum is not
            from 0 to 1.
    """

    roles = ("embedding", "hidden", "whole")
    draws: int | tuple[int, int] = 1
    slow_evaluates = True

    def __init__(self, inputs: Sequence[str], *, views: str | Sequence[str], beta: float, **others: Any) -> None:
        given = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        field = given[1] if len(given) == 2 else ""
        super().__init__((*given[:1], field + HIDDEN, field + WHOLE), views=views, **others)
        if len(given) != 2:
            raise self.error(f"expected a node and a field, got {', '.join(given) or 'nothing'}.")
        if len(self.views) != 1:
            raise self.error(f"expected one view, which is drawn once; got {', '.join(self.views) or 'none'}.")
        if not 0 <= beta < float("inf"):
            raise self.error(f"expected beta of 0 or more, got {beta}.")
        self.field, self.beta = field, beta
        self._grid: tuple[tuple[int, ...], tuple[int, ...]] | None = None  # axes that are cut, and into how many
        self._one = False

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Find which part of a row each position stands for, and make what foretells, from torch's global generator."""
        super().connect(values, parameters)
        embedding, _, whole = values[:3]
        if embedding is None or whole is None:
            raise self.error(f"the shapes of {self.inputs[0]!r} and {self.field!r} must be known. Give it the data.")
        if len(embedding.shape) not in {1, 2, 3} or embedding.dtype != "float32":
            expected = "[batch, width], [batch, positions, width] or [batch, width, rows, columns] float32"
            raise self.wrong_shape(0, expected, embedding, "Name a node that gives vectors.")
        self._grid, shape = self._cut(embedding, whole), embedding.shape
        self._one = len(shape) == 1
        width = shape[1] if len(shape) == 2 else shape[0]
        positions = 1 if len(shape) == 1 else shape[0] if len(shape) == 2 else shape[1] * shape[2]
        self.build(positions, width)

    def _cut(self, embedding: ValueInfo, whole: ValueInfo) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """How the field is cut into what positions stand for; None where it stands as a whole, or one by one."""
        shape = embedding.shape
        if len(shape) == 1 or (len(shape) == 2 and whole.shape == shape[:1]):
            return None
        axes = whole.axes or ((0,) if len(whole.shape) < 3 else (-2, -1))
        grid = grid_of(whole.shape, axes, shape, timed=whole.timed)
        if grid is None:
            sizes = " x ".join(str(whole.shape[axis]) for axis in axes)
            expected = f"a vector for each of equal patches that make up {sizes} of {self.field!r}"
            raise self.wrong_shape(0, expected, embedding, "Or let the node give one vector a row.")
        return tuple(axes), grid

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
        if self._grid is not None:
            return cut(hidden, *self._grid).any(2)
        return hidden.flatten(1).any(1, keepdim=True) if self._one else hidden

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
