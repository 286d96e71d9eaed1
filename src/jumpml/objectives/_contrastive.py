"""Embeddings that are near where rows belong together and far where they do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._rows import filled, shaped_like
from jumpml.objectives._temperature import checked_temperature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight

TINY = 1e-12  # inside the root of a squared distance, whose slope at 0 is infinite


@final
class Contrastive(ObjectiveModule):
    """Pairs that belong together are drawn near, the others pushed apart up to a margin.

    ``d^2`` of a pair that belongs together, ``max(0, margin - d)^2`` of one that does not, with d the Euclidean
    distance (Hadsell et al. 2006, https://doi.org/10.1109/CVPR.2006.100, without their factor of a half).

    Args:
        inputs: Both embeddings, of one shape, and whether they belong together: a number that is 0 or 1, or a category
            of two classes, of which the second says so.
        margin: The distance at which a pair is far enough apart; above 0.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The margin is not above 0.

    Example:
        >>> objective = Contrastive(("left", "right", "same"), margin=2.0)
        >>> left, right = torch.tensor([[0.0], [0.0]]), torch.tensor([[1.0], [1.0]])
        >>> objective(left, right, torch.tensor([1, 0])).value
        tensor([1., 1.])
    """

    roles = ("first", "second", "same")

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        margin: float = 1.0,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        if not 0 < margin < float("inf"):
            raise self.error(f"expected a margin above 0, got {margin}.")
        self.margin = margin

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for two embeddings of one shape, and one answer a row."""
        super().connect(values, parameters)
        first, second, same = values
        if first and second and (first != second or first.dtype != "float32"):
            raise self.wrong_shape(
                0, f"float32 in the shape of {self.inputs[1]!r}, {second}", first, "Give both one width."
            )
        if same and (same.shape not in {(), (1,)} or same.classes not in {None, 2}):
            fix = "Use a number that is 0 or 1, or a category of two classes."
            raise self.wrong_shape(2, "one answer a row, yes or no", same, fix)

    def forward(self, first: Tensor, second: Tensor, same: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            first: ``[batch, *]``.
            second: Of the same shape.
            same: int64 or float, ``[batch]`` or ``[batch, 1]``; -1 or NaN where missing.
            present: bool ``[batch]``, the rows that count; None where all do. A table's rows of which single numbers
                are missing do not count.

        Raises:
            ObjectiveError: The embeddings differ in shape.
        """
        present = self.whole_rows(present, first, second, same)
        first, second = filled(first, present), filled(shaped_like(first, second, self.error), present)
        square = (first - second).square().flatten(1).sum(1)
        together = filled(same, present).flatten().to(first.dtype)
        apart = F.relu(self.margin - (square + TINY).sqrt()).square()
        return Loss(together * square + (1 - together) * apart, present)


@final
class SupervisedContrastive(ObjectiveModule):
    """Rows of one class are drawn together and apart from the batch's others.

    The mean over rows of ``-log softmax`` of the similarity to each other row of the same class, among all other rows
    (Khosla et al. 2020, https://arxiv.org/abs/2004.11362, equation 2). Embeddings are scaled to length 1. Rows whose
    class no other row of the batch has do not count. With views, all draws of a row are rows of its class, as in the
    paper.

    Args:
        inputs: The embedding ``[batch, width]`` and class codes ``[batch]``.
        temperature: What similarities are divided by; above 0.
        views: No policy, one (drawn twice), or two.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The temperature is not above 0.

    Example:
        >>> objective = SupervisedContrastive(("code", "label"), temperature=1.0)
        >>> code = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> objective(code, torch.tensor([0, 0, 1])).value  # -ln(e / (e + 1))
        tensor(0.3133)
    """

    roles = ("embedding", "label")
    per_example = False

    def __init__(
        self,
        inputs: Sequence[str],
        *,
        temperature: float = 0.1,
        views: str | Sequence[str] = (),
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, weight=weight, when=when)
        self.temperature = checked_temperature(self, temperature)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one vector and one class a row."""
        super().connect(values, parameters)
        embedding, label = values
        check_embedding_and_label(self, embedding, label)

    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of the whole batch.

        Args:
            inputs: The embedding ``[batch, width]`` of each draw (one without views), then the class codes, int64
                ``[batch]``, as often; -1 where missing.
            present: bool ``[batch]``, the rows that count; None where all do. A table's rows of which single numbers
                are missing do not count.
        """
        half = len(inputs) // 2
        present = self.whole_rows(present, *inputs)
        known = torch.cat([label >= 0 if present is None else (label >= 0) & present for label in inputs[half:]])
        embedding, label = filled(torch.cat(inputs[:half]), known), torch.cat(inputs[half:])
        unit = F.normalize(embedding, dim=1)
        other = known & ~torch.eye(len(label), dtype=torch.bool, device=label.device)
        similarity = (unit @ unit.T / self.temperature).masked_fill(~other, float("-inf"))
        # a row that no other stands beside has no softmax; its similarities are set to 0, and it does not count
        similarity = torch.where(other.any(1, keepdim=True), similarity, 0.0)
        positive = other & known[:, None] & (label[:, None] == label)
        loss = -F.log_softmax(similarity, dim=1).masked_fill(~positive, 0.0).sum(1) / positive.sum(1).clamp(min=1)
        anchors = positive.any(1)
        return Loss(torch.where(anchors, loss, 0.0).sum() / anchors.sum().clamp(min=1))


def check_embedding_and_label(objective: ObjectiveModule, embedding: ValueInfo | None, label: ValueInfo | None) -> None:
    """Refuse what is no ``[batch, width]`` embedding with ``[batch]`` class codes.

    Raises:
        ObjectiveError: Either does not fit.
    """
    if embedding and (len(embedding.shape) != 1 or embedding.dtype != "float32"):
        fix = "Flatten or pool it in a node first, such as torch.nn.Flatten."
        raise objective.wrong_shape(0, "[batch, width] float32", embedding, fix)
    if label and (label.shape != () or label.dtype != "int64"):
        raise objective.wrong_shape(1, "class codes [batch] int64", label, "Use a category field without features.")
