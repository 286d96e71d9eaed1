"""The base of methods that compare the embeddings of two views through a projector."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from torch import nn

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._precision import in_full_precision
from jumpml.objectives.self_supervised._projector import embedding_width, make_projector, rows_that_count

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.core import ValueInfo, Weight


class TwoViews(ObjectiveModule):
    """A loss on the projections of two views of each row.

    A subclass computes it in `compare`. Rows that are absent are left out before; one row alone is refused.

    Args:
        inputs: The node whose outputs, ``[batch, width]``, are compared.
        views: One policy, drawn twice, or two policies.
        projector: Widths of the projector's layers, as `make_projector` makes them; none where empty. It belongs to the
            objective and is not deployed.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There is no view.
    """

    roles = ("embedding",)
    per_example = False
    needs_learning = True
    why_two: ClassVar[str] = "variance needs two"
    """What a single row is too few for; errors say it."""

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        views: str | Sequence[str],
        projector: Sequence[int] = (128, 128),
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, weight=weight, when=when)
        if not self.views:
            raise self.error("expected one view, which is drawn twice, or two; got none.")
        self.widths = tuple(projector)
        self.projector = nn.Sequential()
        self.width = 0
        """Of a projection, once it is connected."""

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one vector a row and make the projector, from torch's global generator."""
        super().connect(values, parameters)
        width = embedding_width(self, values[0])
        self.projector, self.width = make_projector(width, self.widths), (width, *self.widths)[-1]

    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of the whole batch, computed in float32 where the rest is in half precision.

        Args:
            inputs: The embedding of each draw, ``[batch, width]``; then, each as often, what else `inputs` names.
            present: bool ``[batch]``, the rows that count; None where all do. A table's rows of which single numbers
                are missing do not count.

        Raises:
            ObjectiveError: Fewer than two rows count.
        """
        kept = rows_that_count(self, present, *inputs, why=self.why_two)
        return Loss(in_full_precision(self.compare, *self.projections(kept)))

    def projections(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """What is compared: here the projection of each draw.

        Args:
            inputs: What `forward` was given, of the rows that count.
        """
        return [self.projector(embedding) for embedding in inputs]

    @abstractmethod
    def compare(self, *projections: Tensor) -> Tensor:
        """The loss, a scalar.

        Args:
            projections: What `projections` makes: of each draw, ``[rows, width]``, two rows at least.
        """
