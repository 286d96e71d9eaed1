"""Self-supervision of tables: which columns are not the row's own, and what stood there."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F
from torch import nn

from jumpml.core import HIDDEN, WHOLE, Loss
from jumpml.objectives._rows import filled
from jumpml.objectives.self_supervised._cells import Cells
from jumpml.objectives.self_supervised._told import ToldByView, make_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import ValueInfo, Weight


@final
class VIME(ToldByView):
    """Value imputation and mask estimation for tables (Yoon et al. 2020).

    https://proceedings.neurips.cc/paper/2020/hash/7d97667a3e056acab9aaf653807b4a03-Abstract.html

    Of a row in which a view has put other rows' values into some columns two things are asked: which columns differ
    from what they were, by binary cross-entropy, and what stood in every column, numbers by their squared error and
    classes by cross-entropy. Both are means over the row's columns; what is missing is asked for in neither.

    Args:
        inputs: The node, ``[batch, width]``, and the field: a table, or a vector of numbers.
        views: The view, whose step `Hide` fills columns with ``others``.
        decoder: Widths of the layers between the node and each of the two answers, with ReLU between them; one linear
            layer where empty, as in the paper. They belong to the objective and are not deployed.
        values: What the loss of the values is multiplied by.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There are not one node, one field and one view.

    Example:
        >>> from jumpml.core import ValueInfo
        >>> objective = VIME(("encoder", "x"), views="corrupted")
        >>> objective.inputs
        ('encoder', 'x', 'x.hidden', 'x.whole')
        >>> x = ValueInfo(shape=(3,))
        >>> objective.connect([ValueInfo(shape=(2,)), x, ValueInfo(shape=(3,), dtype="bool"), x], {})
        >>> whole = torch.ones(4, 3)
        >>> objective(torch.zeros(4, 2), whole, torch.zeros(4, 3, dtype=torch.bool), whole).value.shape
        torch.Size([4])
    """

    roles = ("embedding", "field", "hidden", "whole")
    tells = ("", HIDDEN, WHOLE)
    cells: Cells

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        views: str | Sequence[str],
        decoder: Sequence[int] = (),
        values: float = 2.0,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, weight=weight, when=when)
        self.widths, self.values = tuple(decoder), values
        self.columns, self.decoder = nn.Sequential(), nn.Sequential()

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for a vector a row and a table, and make the two answers from torch's global generator."""
        super().connect(values, parameters)
        (width,), whole = self.embedding(values[0], (1,)), self.told(values[3], 3)
        if len(whole.shape) != 1 or whole.dtype != "float32":
            raise self.wrong_shape(3, "[batch, elements] float32", whole, "Name a table, or a vector of numbers.")
        self.cells = Cells(whole, apart=False)
        self.columns = make_layers(width, self.widths, lambda read: nn.Linear(read, self.cells.columns))
        self.decoder = make_layers(width, self.widths, self.cells.last)

    def forward(
        self, embedding: Tensor, field: Tensor, hidden: Tensor, whole: Tensor, present: Tensor | None = None
    ) -> Loss:
        """The loss of each row.

        Args:
            embedding: What the node gives on the view, ``[batch, width]``.
            field: ``[batch, elements]``, the field as the view gives it.
            hidden: bool ``[batch, elements]``: what the view hid.
            whole: ``[batch, elements]``, the field as it was.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        embedding, field, whole = (filled(x, present) for x in (embedding, field, whole))
        known = self.cells.known(whole)
        other = self.cells.touched(hidden & (field != whole)).to(embedding.dtype)
        mask = F.binary_cross_entropy_with_logits(self.columns(embedding), other, reduction="none")
        losses = mask + self.values * self.cells.losses(self.decoder(embedding), whole)
        value = torch.where(known, losses, 0.0).sum(1) / known.sum(1).clamp(min=1)
        return Loss(value, present)
