"""Contrast with the rows of earlier batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F
from torch import nn

from jumpml.objectives._temperature import checked_temperature
from jumpml.objectives.self_supervised._checks import checked_count
from jumpml.objectives.self_supervised._queue import Queue
from jumpml.objectives.self_supervised._slow_views import SlowViews

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import ValueInfo, Weight


@final
class MoCo(SlowViews):
    """Momentum contrast: each view finds a slow copy's projection of the other among those of earlier batches.

    ``-log softmax`` of the cosine to it, over the temperature, among the cosines to a queue of what the slow copy gave
    before (He et al. 2020, https://arxiv.org/abs/1911.05722, equation 1, with the projector of Chen et al. 2020,
    https://arxiv.org/abs/2003.04297); the mean over rows and over both directions, as in the authors' notebook for
    small images. So a small batch has many rows to be told from. By batch statistics a model could tell the queue from
    the batch of now, which the authors prevent by shuffling rows between devices; here the slow copy computes with slow
    statistics instead (Cai et al. 2021, https://arxiv.org/abs/2101.08482).

    In training both views' slow projections join the queue, once an update: after it, so that all batches of an update
    see the same queue. In evaluation it stays as it is.

    Args:
        inputs: The node whose outputs, ``[batch, width]``, are compared.
        views: One policy, drawn twice, or two policies.
        projector: Widths of the projector's layers, as `make_projector` makes them; none where empty. It belongs to the
            objective and is not deployed.
        queue: How many projections the queue holds; two a row of a batch at least, and well below two a row of the
            data, since a row is no stranger to itself.
        temperature: What cosines are divided by; above 0.
        momentum: The share of the slow copy that stays at each update, from 0 to 1, or a schedule of it.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There is no view, a number is out of its range, or a batch is longer than the queue.

    Example:
        >>> from jumpml.core import ValueInfo
        >>> from jumpml.graph import Model, Node
        >>> model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes={"encoder": Node(nn.Linear(4, 8), "x")},
        ...     objectives={"agree": MoCo("encoder", views="strong", queue=64)})
        >>> batch = {"x": torch.randn(5, 4), "x@strong.0": torch.randn(5, 4), "x@strong.1": torch.randn(5, 4)}
        >>> model.losses(batch)["agree"].shape
        torch.Size([])
        >>> model.objectives["agree"].after_update()
        >>> model.objectives["agree"].queue.place
        tensor(10)
    """

    if_collapsed = "raise `momentum`, or lower `temperature`"
    slow_evaluates = True

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        views: str | Sequence[str],
        projector: Sequence[int] = (128, 128),
        queue: int = 1024,
        temperature: float = 0.2,
        momentum: Weight = 0.99,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, momentum=momentum, views=views, projector=projector, weight=weight, when=when)
        self.temperature = checked_temperature(self, temperature)
        self._length = checked_count(self, queue, "places in the queue", least=4)
        self.most_rows = queue // 2

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for one vector a row and make projector and queue, from torch's global generator."""
        super().connect(values, parameters)
        self.queue = Queue(self._length, self.width)

    def projections(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The projections of both views, and the slow copy's."""
        own, slow = self.both(inputs)
        if 2 * len(own[0]) > self._length:
            fix = f"Give it {2 * len(own[0])} places or more, or take a smaller batch_size."
            raise self.error(
                f"a queue of {self._length} is too short for a batch of {len(own[0])} rows, of two views each. {fix}"
            )
        return [*own, *slow]

    def compare(self, *projections: Tensor) -> Tensor:
        """The loss of queries and keys, ``[rows, width]`` each; a scalar."""
        first, second, slow_first, slow_second = (F.normalize(view, dim=1) for view in projections)
        loss = (self._contrast(first, slow_second) + self._contrast(second, slow_first)) / 2
        if self.training:
            self.queue.note(torch.cat([slow_first, slow_second]))
        return loss

    def _contrast(self, queries: Tensor, keys: Tensor) -> Tensor:
        own = (queries * keys).sum(1, keepdim=True)
        logits = torch.cat([own, queries @ self.queue.rows.T], dim=1) / self.temperature
        return F.cross_entropy(logits, torch.zeros(len(logits), dtype=torch.int64, device=logits.device))

    def pool(self, join: Callable[[Tensor], Tensor]) -> None:
        """Let the queue take in the rows of all processes."""
        self.queue.pool(join, views=2)

    def after_update(self, epoch: float = 0.0, epochs: float = 1.0) -> None:
        """Move the slow copy on, and let what it gave join the queue."""
        super().after_update(epoch, epochs)
        self.queue.take_in()
