"""A row nearer to its like than to others, by a margin."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.core import Loss
from jumpml.objectives._contrastive import TINY, check_embedding_and_label
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import filled

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight


@final
class Triplet(ObjectiveModule):
    """An anchor is nearer to its like than to another, by a margin: ``max(0, d(a, p) - d(a, n) + margin)``.

    Schroff et al. 2015, https://arxiv.org/abs/1503.03832, with Euclidean distances as they are.

    Args:
        inputs: The anchor, its like and another, of one shape.
        margin: By how much; above 0.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The margin is not above 0.

    Example:
        >>> objective = Triplet(("anchor", "like", "other"), margin=2.0)
        >>> objective(torch.tensor([[0.0]]), torch.tensor([[1.0]]), torch.tensor([[2.5]])).value
        tensor([0.5000])
    """

    roles = ("anchor", "like", "other")

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        margin: float = 1.0,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        self.margin = _checked(self, margin)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one shape."""
        super().connect(values, parameters)
        anchor = values[0]
        for position, value in enumerate(values):
            if anchor and value and (value != anchor or value.dtype != "float32"):
                expected = f"float32 like {self.inputs[0]!r}, {anchor}"
                raise self.wrong_shape(position, expected, value, "Give all three one width.")

    def forward(self, anchor: Tensor, like: Tensor, other: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            anchor: ``[batch, *]``.
            like: Of the same shape.
            other: Of the same shape.
            present: bool ``[batch]``, the rows that count; None where all do. A table's rows of which single numbers
                are missing do not count.
        """
        present = self.whole_rows(present, anchor, like, other)
        anchor, like, other = (filled(x, present).flatten(1) for x in (anchor, like, other))
        return Loss(F.relu(_distance(anchor, like) - _distance(anchor, other) + self.margin), present)


@final
class BatchHardTriplet(ObjectiveModule):
    """Each row with the farthest of its class and the nearest of any other in the batch, as a triplet.

    Hermans et al. 2017, https://arxiv.org/abs/1703.07737. Rows without a fellow or without a stranger in the batch do
    not count.

    Args:
        inputs: The embedding ``[batch, width]`` and class codes ``[batch]``.
        margin: By how much the stranger is to be farther; above 0.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The margin is not above 0.

    Example:
        >>> objective = BatchHardTriplet(("code", "label"), margin=2.0)
        >>> code, label = torch.tensor([[0.0], [1.0], [2.5]]), torch.tensor([0, 0, 1])
        >>> objective(code, label).value  # (1 - 2.5 + 2 + 1 - 1.5 + 2) / 2
        tensor(1.)
    """

    roles = ("embedding", "label")
    per_example = False

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        margin: float = 1.0,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        self.margin = _checked(self, margin)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one vector and one class a row."""
        super().connect(values, parameters)
        embedding, label = values
        check_embedding_and_label(self, embedding, label)

    def forward(self, embedding: Tensor, label: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of the whole batch.

        Args:
            embedding: ``[batch, width]``.
            label: int64 ``[batch]``; -1 where missing.
            present: bool ``[batch]``, the rows that count; None where all do. A table's rows of which single numbers
                are missing do not count.
        """
        present = self.whole_rows(present, embedding, label)
        known = label >= 0 if present is None else (label >= 0) & present
        embedding = filled(embedding, known)
        distance = _distance(embedding[:, None].flatten(2), embedding[None].flatten(2))
        both = known[:, None] & known & ~torch.eye(len(label), dtype=torch.bool, device=label.device)
        same = label[:, None] == label
        fellow, stranger = both & same, both & ~same
        counts = fellow.any(1) & stranger.any(1)
        # where there is none, a distance that is of no consequence, since the row does not count
        farthest = distance.masked_fill(~fellow, 0.0).amax(1)
        nearest = distance.masked_fill(~stranger, float("inf")).masked_fill(~counts[:, None], 0.0).amin(1)
        value = torch.where(counts, F.relu(farthest - nearest + self.margin), 0.0)
        return Loss(value.sum() / counts.sum().clamp(min=1))


def _distance(first: Tensor, second: Tensor) -> Tensor:
    return ((first - second).square().sum(-1) + TINY).sqrt()


def _checked(objective: ObjectiveModule, margin: float) -> float:
    if not 0 < margin < float("inf"):
        raise objective.error(f"expected a margin above 0, got {margin}.")
    return margin
