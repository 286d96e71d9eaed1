"""Integrated gradients of a decision, and a check of how they rank elements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from jumpml.core import TASK_KINDS
from jumpml.diagnose._ranking import curve_areas

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jumpml.diagnose._decision import Decision
    from jumpml.diagnose._elements import Elements

NUM_STEPS = 32  # points on the path; the worst of 64 digits misses completeness by .11, and by .07 with twice as many
BATCH = 256  # rows a pass with gradients, so that memory does not grow with steps


@dataclass(frozen=True, kw_only=True)
class Areas:
    """Areas under the curves of each row, ``[n]`` each: for the attribution's order, and for a random one."""

    insertion: Tensor
    deletion: Tensor
    random_insertion: Tensor
    random_deletion: Tensor


@final
class Explanation:
    """The attribution of some rows' decisions to the elements of their inputs.

    Integrated gradients (Sundararajan et al. 2017, https://arxiv.org/abs/1703.01365) of the decided class's logit, of
    all inputs together, along the straight path from the baseline.

    Args:
        decision: The task's; its first inputs are those of ``elements``, the others are held fixed.
        elements: Of each input that is explained.
        inputs: Their values, ``[n, *shape]`` each.
        held: The values of the other inputs, ``[n, ...]`` each.
        baselines: Of the explained inputs, ``[*shape]`` or ``[n, *shape]`` each. An element that is the same in both is
            held fixed.

    Attributes:
        codes: What was decided, ``[n]``.
        attributions: ``[n, *shape]`` each.
        errors: By how much each row's attributions miss the difference of the scores at the row and at the baseline.
    """

    def __init__(
        self,
        decision: Decision,
        elements: Sequence[Elements],
        *,
        inputs: Sequence[Tensor],
        held: Sequence[Tensor],
        baselines: Sequence[Tensor],
    ) -> None:
        from captum.attr import IntegratedGradients

        self._decision, self._elements = decision, tuple(elements)
        self._inputs, self._held = tuple(inputs), tuple(held)
        self._baselines = tuple(baseline.expand_as(x) for baseline, x in zip(baselines, inputs, strict=True))
        with torch.no_grad():
            self.codes = decision.decide(*self._inputs, *self._held)
        count = len(self._inputs)
        method = IntegratedGradients(lambda *v: decision.score(v[count], *v[:count], *v[count + 1 :]))
        with torch.backends.cudnn.flags(enabled=False):  # cuDNN's recurrent layers have no gradient in evaluation mode
            self.attributions, self.errors = method.attribute(
                self._inputs,
                self._baselines,
                additional_forward_args=(self.codes, *self._held),
                n_steps=NUM_STEPS,
                internal_batch_size=BATCH,
                return_convergence_delta=True,
            )

    def by_element(self, rows: slice = slice(None)) -> list[Tensor]:
        """The attribution of each input's elements, ``[n, count]`` each."""
        return [part.sum(values[rows]) for part, values in zip(self._elements, self.attributions, strict=True)]

    @torch.no_grad()
    def areas(self, rows: slice, generator: torch.Generator) -> Areas:
        """Insertion and deletion on some of the rows, in the attribution's order and in a random one.

        The confidence is the decided class's probability. A regression has none: there it is how far the output has
        come from the baseline's towards the row's own, in standard deviations of the rows' outputs.

        Args:
            rows: Which.
            generator: On the CPU, of the random order.
        """
        confidence, direction = self._confidence(rows)
        importance = torch.cat(self.by_element(rows), dim=1) * direction
        chance = torch.rand(importance.shape, generator=generator).to(importance.device)
        inputs, baselines = [x[rows] for x in self._inputs], [b[rows] for b in self._baselines]
        insertion, deletion = curve_areas(confidence, inputs, baselines, self._elements, importance)
        random_insertion, random_deletion = curve_areas(confidence, inputs, baselines, self._elements, chance)
        return Areas(
            insertion=insertion,
            deletion=deletion,
            random_insertion=random_insertion,
            random_deletion=random_deletion,
        )

    def _confidence(self, rows: slice) -> tuple[Callable[..., Tensor], Tensor]:
        """The height of the curves, and the sign by which an attribution supports the decision, ``[n, 1]``."""
        codes, held = self.codes[rows], [x[rows] for x in self._held]
        if TASK_KINDS[self._decision.kind].decides != "numbers":
            return lambda *values: self._decision.probability(codes, *values, *held), torch.ones(1, device=codes.device)
        inputs, start = [x[rows] for x in self._inputs], [b[rows] for b in self._baselines]
        own, base = (self._decision.score(codes, *values, *held) for values in (inputs, start))
        sign, deviation = (own - base).sign(), own.std(correction=0)
        unit = torch.where(deviation > 0, deviation, 1.0)
        return lambda *values: (self._decision.score(codes, *values, *held) - base) * sign / unit, sign.unsqueeze(1)


def unreached(decision: Decision, num_explained: int, values: Sequence[Tensor]) -> list[int]:
    """Which of the first inputs no gradient of the score reaches.

    Args:
        decision: The task's.
        num_explained: How many inputs are asked about.
        values: Of all inputs, of a few rows.
    """
    if not num_explained:
        return []
    codes = decision.decide(*values).detach()
    floats = [x.detach().clone().requires_grad_() for x in values[:num_explained]]
    with torch.backends.cudnn.flags(enabled=False):
        score = decision.score(codes, *floats, *values[num_explained:]).sum()
        if not score.requires_grad:
            return list(range(num_explained))
        gradients = torch.autograd.grad(score, floats, allow_unused=True)
    return [index for index, gradient in enumerate(gradients) if gradient is None]
