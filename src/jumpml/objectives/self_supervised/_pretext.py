"""Self-supervision by what a view did to the whole of a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch.nn.functional as F
from torch import nn

from jumpml.core import ANSWER, Loss
from jumpml.objectives._rows import filled
from jumpml.objectives.self_supervised._told import ToldByView, make_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import ValueInfo, Weight


@final
class Pretext(ToldByView):
    """Which of several changes a view made, by cross-entropy.

    How a picture was turned (Gidaris et al. 2018, https://arxiv.org/abs/1803.07728), in which order its pieces stand
    (Noroozi and Favaro 2016, https://arxiv.org/abs/1603.09246), or a series' or a recording's segments (Misra et al.
    2016, https://arxiv.org/abs/1603.08561).

    Args:
        inputs: The node, ``[batch, width]``, and the field that the view changes.
        views: The view, which has a step `QuarterTurn`, `Jigsaw` or `Reorder` on the field.
        classifier: Widths of the layers between the node and the answers, with ReLU between them; one linear layer
            where empty. They belong to the objective and are not deployed.
        answers: How many changes there are; known from the view where the model is built with the data.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There are not one node, one field and one view.

    Example:
        >>> import torch
        >>> from jumpml.core import ValueInfo
        >>> objective = Pretext(("encoder", "image"), views="turned", answers=4)
        >>> objective.connect([ValueInfo(shape=(8,)), ValueInfo(shape=(), dtype="int64")], {})
        >>> objective(torch.zeros(2, 8), torch.tensor([0, 3])).value.shape
        torch.Size([2])
    """

    roles = ("embedding", "answer")
    tells = (ANSWER,)

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        views: str | Sequence[str],
        classifier: Sequence[int] = (),
        answers: int | None = None,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, weight=weight, when=when)
        self.widths, self.answers = tuple(classifier), answers
        self.classifier = nn.Sequential()

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for a vector a row, and make the classifier from torch's global generator."""
        super().connect(values, parameters)
        (width,) = self.embedding(values[0], (1,))
        told = values[1].classes if values[1] else None
        if told is not None and self.answers not in {None, told}:
            raise self.error(f"the view {self.views[0]!r} makes {told} changes, and answers={self.answers} was given.")
        count = told or self.answers
        if count is None:
            known = f"how many changes the view {self.views[0]!r} makes must be known"
            fix = "Build the model with the data, Model(..., fields=data.fields), or say how many: `answers`."
            raise self.error(f"{known}. {fix}")
        self.classifier = make_layers(width, self.widths, lambda read: nn.Linear(read, count))

    def forward(self, embedding: Tensor, answer: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            embedding: What the node gives on the view, ``[batch, width]``.
            answer: int64 ``[batch]``, which change the view made.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        logits = self.classifier(filled(embedding, present))
        return Loss(F.cross_entropy(logits, answer.clamp(min=0), reduction="none"), present)
