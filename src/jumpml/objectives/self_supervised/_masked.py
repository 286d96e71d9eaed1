"""Self-supervision by what a view hid."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, final

import torch
from torch import nn

from jumpml.core import HIDDEN, WHOLE, Loss
from jumpml.objectives._rows import filled
from jumpml.objectives.self_supervised._answers import Answer, Numbers, Tokens
from jumpml.objectives.self_supervised._cells import Cells
from jumpml.objectives.self_supervised._patches import as_positions
from jumpml.objectives.self_supervised._told import ToldByView, make_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import ValueInfo, Weight


@final
class Masked(ToldByView):
    """What a view hid is told from what it left: numbers by their squared error, tokens and classes by cross-entropy.

    Of pictures it is masked autoencoding (He et al. 2022, https://arxiv.org/abs/2111.06377) in the form of Xie et al.
    2022 (https://arxiv.org/abs/2111.09886), in which the encoder reads the hidden places too, as what fills them; of
    tokens BERT's (Devlin et al. 2019, https://arxiv.org/abs/1810.04805); likewise of spectrograms, series and the cells
    of tables. A row's loss is the mean over what was hidden of it: elements, tokens, or a table's columns. What is
    missing is never asked for, and a row of which nothing was hidden does not count.

    A node that gives one vector a row has to tell all of it. Of a node that gives a vector a position each one tells
    its own part: a token, a step or a stretch of a series, a frame or a square of a picture or a spectrogram, line by
    line, an element of a table.

    Args:
        inputs: The node, ``[batch, width]``, ``[batch, positions, width]`` or ``[batch, width, rows, columns]``, and
            the field.
        views: The view, whose step `Hide` hides parts of the field.
        decoder: Widths of the layers between the node and what is told, with ReLU between them. They belong to the
            objective and are not deployed.
        layers: Transformer layers before them, which read all positions (``torch.nn.TransformerEncoderLayer``,
            normalized first, four times as wide inside).
        heads: Of their attention.
        normalize: Whether each patch is told less its mean and over its deviation.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There are not one node, one field and one view.

    Attributes:
        answer: What is asked for; known once it is connected.

    Example:
        >>> from jumpml.core import ValueInfo
        >>> objective = Masked(("encoder", "x"), views="masked", decoder=())
        >>> objective.inputs
        ('encoder', 'x.hidden', 'x.whole')
        >>> objective.connect([ValueInfo(shape=(2,)), ValueInfo(shape=(3,), dtype="bool"), ValueInfo(shape=(3,))], {})
        >>> hidden = torch.tensor([[True, False, False], [False, False, False]])
        >>> objective(torch.zeros(2, 2), hidden, torch.ones(2, 3)).present
        tensor([ True, False])
    """

    roles = ("embedding", "hidden", "whole")
    tells = (HIDDEN, WHOLE)
    answer: Answer

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        views: str | Sequence[str],
        decoder: Sequence[int] = (128,),
        layers: int = 0,
        heads: int = 4,
        normalize: bool = False,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, weight=weight, when=when)
        self.widths, self.layers, self.heads, self.normalize = tuple(decoder), layers, heads, normalize
        self.decoder = nn.Sequential()

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Find what each position stands for, and make the decoder from torch's global generator."""
        super().connect(values, parameters)
        embedding, whole = self.embedding(values[0], (1, 2, 3)), self.told(values[2], 2)
        width = embedding[1] if len(embedding) == 2 else embedding[0]
        if self.layers and len(embedding) == 1:
            raise self.error(f"{self.inputs[0]!r} gives one vector a row, and `layers` read several. Leave it out.")
        if self.layers and width % self.heads:
            raise self.error(f"{self.inputs[0]!r} gives vectors of {width}, which {self.heads} `heads` do not divide.")
        self.answer = self._answer(embedding, whole)
        if self.normalize and not (isinstance(self.answer, Numbers) and self.answer.size > 1):
            told = f"{self.field!r} is told one by one here, and `normalize` needs patches of several numbers"
            raise self.error(f"{told}. Leave it out.")
        reading = (
            nn.TransformerEncoderLayer(width, self.heads, 4 * width, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(self.layers)
        )
        self.decoder = nn.Sequential(*reading, *make_layers(width, self.widths, self.answer.last))

    def _answer(self, embedding: Sequence[int], whole: ValueInfo) -> Answer:
        if whole.dtype == "int64":
            return self._tokens(embedding, whole)
        if whole.elements:
            if len(embedding) > 1 and embedding[:-1] != whole.shape:
                raise self.misfit(f"[batch, {whole.shape[0]}, width], one vector an element", embedding)
            return Cells(whole, apart=len(embedding) > 1)
        axes, grid = self.patches(embedding, whole)
        return Numbers(axes, grid, prod(whole.shape) // prod(grid), normalize=self.normalize)

    def _tokens(self, embedding: Sequence[int], whole: ValueInfo) -> Answer:
        if whole.classes is None:
            told = f"how many tokens there are in {self.field!r} must be known"
            raise self.error(f"{told}. Build the model with the data: Model(..., fields=data.fields).")
        (length,) = whole.shape
        if len(embedding) > 1 and embedding[:-1] != whole.shape:
            raise self.misfit(f"[batch, {length}, width], one vector a token", embedding)
        return Tokens(whole.classes, length if len(embedding) == 1 else 1)

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """The rows of which something was hidden."""
        _, hidden, whole = inputs
        if hidden is None or whole is None:
            return present
        some = self.answer.hidden(hidden, filled(whole, present)).any(1)
        return some if present is None else some & present

    def forward(self, embedding: Tensor, hidden: Tensor, whole: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            embedding: What the node gives on the view, ``[batch, width]``, ``[batch, positions, width]`` or ``[batch,
                width, rows, columns]``.
            hidden: bool ``[batch, *]``: what the view hid.
            whole: ``[batch, *]``, the field as it was: float, or int64 tokens.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        embedding, whole = filled(embedding, present), filled(whole, present)
        asked = self.answer.hidden(hidden, whole)
        losses = self.answer.losses(self.decoder(as_positions(embedding)), whole)
        value = torch.where(asked, losses, 0.0).sum(1) / asked.sum(1).clamp(min=1)
        return Loss(value, asked.any(1) if present is None else asked.any(1) & present)
