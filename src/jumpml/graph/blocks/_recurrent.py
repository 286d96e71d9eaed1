"""Recurrent networks, batch first."""

from __future__ import annotations

from typing import Literal, final

from torch import Tensor, nn

from jumpml.graph.blocks._lazy import SizedByInput
from jumpml.graph.blocks._pool import last_place
from jumpml.graph.blocks._sequences import check_sequence
from jumpml.graph.blocks._sizes import check_sizes

CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}


@final
class Recurrent(SizedByInput):
    """A GRU (Cho et al. 2014, https://arxiv.org/abs/1406.1078) or LSTM (Hochreiter & Schmidhuber 1997) over steps.

    It gives two parts, which nodes read as ``node.sequence`` and ``node.last``: the state at every step, and that at
    the last step, of a text the last that the mask marks. ``torch.compile`` leaves torch's recurrent layers as they
    are: a graph breaks at them.

    Shapes: ``[batch, length, channels]``, and a mask ``[batch, length]``, bool, to ``sequence [batch, length, width]``
    and ``last [batch, width]``; the number of channels is taken from the graph. Initialisation: that of
    ``torch.nn.GRU``.

    Args:
        width: Of the state.
        depth: How many layers, each reading the states of the one before.
        cell: ``gru`` or ``lstm``.
        dropout: The share of the states between layers that is set to zero while training.

    Raises:
        ValueError: ``width`` or ``depth`` is no whole number of 1 or more, ``cell`` is none of the two, or dropout has
            no layers between which to be; or, when it is called, the mask does not go with the values.

    Example:
        >>> import torch
        >>> {part: list(value.shape) for part, value in Recurrent(8)(torch.zeros(4, 10, 3)).items()}
        {'sequence': [4, 10, 8], 'last': [4, 8]}
    """

    def __init__(self, width: int, depth: int = 1, cell: Literal["gru", "lstm"] = "gru", dropout: float = 0.0) -> None:
        super().__init__()
        check_sizes(width=width, depth=depth)
        if cell not in CELLS:
            raise ValueError(f"cell must be one of {', '.join(CELLS)}; got {cell!r}.")
        if dropout and depth == 1:
            raise ValueError(f"dropout is between layers, and there is one; got dropout={dropout} and depth=1.")
        self.width, self.depth, self.cell, self.dropout = width, depth, cell, dropout

    def build(self, values: Tensor) -> None:
        """Make the layers."""
        check_sequence("Recurrent", values)
        self.layers = CELLS[self.cell](values.shape[2], self.width, self.depth, batch_first=True, dropout=self.dropout)

    def forward(self, values: Tensor, mask: Tensor | None = None) -> dict[str, Tensor]:
        """The states."""
        check_sequence("Recurrent", values, mask)
        if mask is None:
            sequence = self.layers(values)[0]
            return {"sequence": sequence, "last": sequence[:, -1]}
        sequence = self.layers(values.masked_fill(~mask.unsqueeze(2), 0.0))[0].masked_fill(~mask.unsqueeze(2), 0.0)
        last = sequence.gather(1, last_place(mask)[:, None, None].expand(-1, 1, sequence.shape[2])).squeeze(1)
        return {"sequence": sequence, "last": last}
