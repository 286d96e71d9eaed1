"""What a node is asked for where a field was hidden: numbers, or tokens; `Cells` are those of a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, final

import torch.nn.functional as F
from torch import nn

from jumpml.objectives.self_supervised._patches import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

EPSILON = 1e-6  # added to a patch's variance, as in the code of the authors of MAE


class Answer(nn.Module, ABC):
    """What is told of a row, in parts that are hidden as a whole or left. It learns nothing."""

    @abstractmethod
    def last(self, width: int) -> nn.Module:
        """The layer that tells it, of ``[batch, positions, width]``."""

    @abstractmethod
    def losses(self, decoded: Tensor, whole: Tensor) -> Tensor:
        """How far from each part an answer is, ``[batch, parts]``; anything where a part is missing.

        Args:
            decoded: What the last layer gave.
            whole: The field as it was, ``[batch, *]``.
        """

    @abstractmethod
    def hidden(self, hidden: Tensor, whole: Tensor) -> Tensor:
        """Bool ``[batch, parts]``: those that were hidden, and were there.

        Args:
            hidden: As the view tells it, bool ``[batch, *]``.
            whole: The field as it was.
        """


@final
class Numbers(Answer):
    """Every element, by its squared error.

    Args:
        axes: Along which a row is cut into what positions stand for.
        grid: Into how many patches.
        size: Elements of a patch.
        normalize: Whether a patch is told less its mean and over its deviation.
    """

    def __init__(self, axes: Sequence[int], grid: Sequence[int], size: int, *, normalize: bool) -> None:
        super().__init__()
        self.axes, self.grid, self.size, self.normalize = tuple(axes), tuple(grid), size, normalize

    def last(self, width: int) -> nn.Module:
        """A number for each element of a patch."""
        return nn.Linear(width, self.size)

    def losses(self, decoded: Tensor, whole: Tensor) -> Tensor:
        """The squared error of ``[batch, patches, elements]``."""
        patches = cut(whole, self.axes, self.grid)
        if self.normalize:
            patches = (patches - patches.mean(2, keepdim=True)) / (patches.var(2, keepdim=True) + EPSILON).sqrt()
        return (decoded - patches).square().flatten(1)

    def hidden(self, hidden: Tensor, whole: Tensor) -> Tensor:
        """The elements, patch by patch."""
        return cut(hidden, self.axes, self.grid).flatten(1)


@final
class Tokens(Answer):
    """Every token, by its cross-entropy among all tokens.

    Args:
        classes: How many there are.
        each: Of how many tokens a position tells.
    """

    def __init__(self, classes: int, each: int) -> None:
        super().__init__()
        self.classes, self.each = classes, each

    def last(self, width: int) -> nn.Module:
        """Logits of all tokens."""
        return nn.Linear(width, self.classes * self.each)

    def losses(self, decoded: Tensor, whole: Tensor) -> Tensor:
        """The cross-entropy of ``[batch, positions, tokens]``."""
        logits = decoded.reshape(len(decoded), -1, self.classes)[:, : whole.shape[1]]  # texts may be cut
        return F.cross_entropy(logits.transpose(1, 2), whole.clamp(min=0), reduction="none")

    def hidden(self, hidden: Tensor, whole: Tensor) -> Tensor:
        """The tokens."""
        return hidden
