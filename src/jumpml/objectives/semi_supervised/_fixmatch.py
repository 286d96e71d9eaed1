"""What a weakly changed row is decided to be, learned on the same row, strongly changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from jumpml.objectives._temperature import checked_temperature
from jumpml.objectives.semi_supervised._with_threshold import WithThreshold

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jumpml.core import Loss, Weight


@final
class FixMatch(WithThreshold):
    """The decision on a weak view as the target of a strong one, where it is sure enough.

    FixMatch (Sohn et al. 2020, https://arxiv.org/abs/2001.07685): the mean over all rows of the cross entropy of the
    strong view's logits against the class that is likeliest on the weak one, which counts 0 below the threshold. Rows
    that have a label take part without it, as in the paper.

    Args:
        inputs: A task's output.
        views: The weak policy and the strong one.
        threshold: The probability on the weak view from which on it is learned, between 0 and 1.
        temperature: Where given, the target is the weak view's distribution, its logits divided by this, and not the
            likeliest class alone (Xie et al. 2020, https://arxiv.org/abs/1904.12848, who take .4); above 0. The
            threshold is on probabilities without it.
        kind: ``multiclass``, ``binary`` or ``multilabel``; that of the task whose output it is where None.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: There are not two views, the threshold is not between 0 and 1, the temperature not above 0, or
            the kind decides otherwise.

    Example:
        >>> import torch
        >>> objective = FixMatch("logits", views=("weak", "strong"), threshold=0.8, kind="multiclass")
        >>> weak, strong = torch.tensor([[0.0, 2.0], [0.0, 1.0]]), torch.zeros(2, 2)
        >>> objective(weak, strong).value  # ln 2, and nothing where .73 is not sure enough
        tensor([0.6931, 0.0000])
    """

    roles = ("output",)

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        views: Sequence[str],
        threshold: float = 0.95,
        temperature: float | None = None,
        kind: str | None = None,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, views=views, threshold=threshold, kind=kind, weight=weight, when=when)
        if len(self.views) != 2:
            raise self.error(f"expected two views, a weak one and a strong one; got {len(self.views)}.")
        self.temperature = None if temperature is None else checked_temperature(self, temperature)

    def forward(self, weak: Tensor, strong: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            weak: Logits on the weak view, ``[batch, classes]``, ``[batch]`` or ``[batch, labels]``; they decide, and
                get no gradient.
            strong: Those on the strong view, which learn.
            present: bool ``[batch]``, the rows that count; None where all do.
        """
        return self.agreement(strong, weak, present, self.temperature)
