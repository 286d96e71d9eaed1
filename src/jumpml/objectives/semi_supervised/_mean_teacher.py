"""Agreement with a slow copy of the model on another view."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.core import Loss
from jumpml.graph import probabilities
from jumpml.objectives._momentum import WithMomentum
from jumpml.objectives._precision import in_single
from jumpml.objectives._rows import mean_of_rows
from jumpml.objectives.semi_supervised._decisions import check_kind, check_output, kind_in

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight
    from jumpml.graph import Model


@final
class MeanTeacher(WithMomentum):
    """A task's output on one view agrees with that of the momentum encoder on another.

    Mean teacher (Tarvainen & Valpola 2017, https://arxiv.org/abs/1703.01780): the squared difference of the
    probabilities, averaged over classes or labels, as in the authors' own code. Rows with a label and rows without one
    both count. The paper lets the weight rise over the first epochs: `WeightSchedule`.

    Args:
        inputs: A task's output. The fields that it is computed from join it when the model is built.
        views: One policy, drawn twice, or two: the model's own, then the momentum encoder's.
        momentum: The share of the momentum encoder that stays at each update, from 0 to 1, or a schedule of it.
        kind: ``multiclass``, ``binary`` or ``multilabel``; that of the task whose output it is where None.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There is no view, the momentum is not from 0 to 1, or the kind decides otherwise.

    Example:
        >>> import torch
        >>> from jumpml.core import Task, ValueInfo
        >>> from jumpml.graph import Model, Node
        >>> model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes={"out": Node(torch.nn.Linear(4, 3), "x")},
        ...     tasks={"out": Task(kind="multiclass", output="out", target="y")},
        ...     objectives={"slow": MeanTeacher("out", views="noisy")})
        >>> x, same = torch.rand(2, 4), torch.rand(2, 4)
        >>> model.losses({"x": x, "y": torch.tensor([0, 1]), "x@noisy.0": same, "x@noisy.1": same})["slow"].tolist()
        [0.0, 0.0]
    """

    roles = ("output",)
    follows_width = True  # the momentum encoder grows along, and nothing reads its output
    nodes_on = 1  # the second view is the momentum encoder's alone

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        views: str | Sequence[str],
        momentum: Weight = 0.999,
        kind: str | None = None,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, momentum=momentum, weight=weight, when=when)
        if not self.views:
            raise self.error("expected one view, which is drawn twice, or two; got none.")
        check_kind(self, kind)
        self.kind = kind

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for logits that decide once a row."""
        super().connect(values, parameters)
        check_output(self, self.kind, values[0])

    def remember(self, model: Model) -> None:
        """Make the momentum encoder, and see which task's output it is.

        Raises:
            ObjectiveError: It is that of no task that decides classes or labels once a row.
        """
        super().remember(model)
        self.kind = self.kind or kind_in(self, model)

    def forward(self, *inputs: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            inputs: The output on the first view, twice; then each field on both.
            present: bool ``[batch]``, the rows that count; None where all do.

        Raises:
            ObjectiveError: It is in no model.
        """
        output, (_, *fields) = inputs[0], self.of_draw(1, inputs)
        slow = self._slowly(output, fields, present)
        kind = str(self.kind)
        first, second = (probabilities(kind, in_single(logits)) for logits in (output, slow))
        return Loss(mean_of_rows((first - second).square().view(len(first), -1)), present)

    def _slowly(self, output: Tensor, fields: Sequence[Tensor], present: Tensor | None) -> Tensor:
        """What the momentum encoder gives of the rows that count, for whose statistics no others count; else zeros."""
        if present is None or self.encoder is None:
            return self.slow(fields)
        rows, training = present.nonzero().flatten(), self.encoder.training
        if not len(rows):  # many a module fails on nothing
            return torch.zeros_like(output)
        self.encoder.train(training and len(rows) > 1)  # one row alone has no statistics
        given = self.slow([field[rows] for field in fields])
        self.encoder.train(training)
        return given.new_zeros(len(present), *given.shape[1:]).index_copy(0, rows, given)
