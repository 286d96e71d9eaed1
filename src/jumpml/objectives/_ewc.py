"""A penalty on parameters that moves them least where earlier learning needs them most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, final, get_args

import torch

from jumpml.core import Loss, did_you_mean
from jumpml.objectives._anchored import Anchored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight

FisherKind = Literal["observed", "sampled", "batched"]


@final
class EWC(Anchored):
    """Elastic weight consolidation: half the Fisher-weighted squared distance of parameters from their anchors.

    ``1/2 sum_k sum_i F_ki (p_i - a_ki)^2``, a term for each consolidation (Kirkpatrick et al. 2017,
    https://arxiv.org/abs/1612.00796), zero at first. The sum of such terms is one of their kind: the Fisher information
    adds up, the anchor is the anchors' mean weighted by it, and a constant is left. So that is what is kept, and cost
    and memory do not grow with the tasks learned.

    With ``gamma`` it is online EWC (Schwarz et al. 2018, https://arxiv.org/abs/1805.06370): each `consolidate` moves
    the one anchor to where the parameters then are, and what the Fisher information was before counts ``gamma`` times.

    Anchor and Fisher information are buffers: checkpoints keep them.

    Args:
        parameters_of: Patterns of the nodes whose parameters are held.
        fisher: How a learner estimates the Fisher information: from one gradient a row, with the row's own target
            (``observed``) or one drawn from what the model predicts (``sampled``), or ``batched``; see
            `jumpml.learn.fisher_information`.
        rows: On how many train rows.
        gamma: How much the Fisher information of before counts, in [0, 1]; plain EWC where None.
        weight: What the penalty is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: No pattern is given, or an option is none that there is.

    Example:
        >>> p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> objective = EWC("all")
        >>> objective.connect([], {"p": p})
        >>> objective.consolidate({"p": torch.tensor([3.0, 0.0])})
        >>> p.data += torch.tensor([1.0, 9.0])
        >>> objective().value
        tensor(1.5000, grad_fn=<DivBackward0>)
    """

    held_beside = ("fisher",)

    def __init__(
        self,
        parameters_of: str | Sequence[str] = "all",
        *,
        fisher: FisherKind = "observed",
        rows: int = 512,
        gamma: float | None = None,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(parameters_of, weight=weight, when=when)
        if fisher not in get_args(FisherKind):
            raise self.error(f"there is no way {fisher!r} to the Fisher information. {did_you_mean(fisher, _WAYS)}")
        if rows < 1:
            raise self.error(f"expected one row or more, got {rows}.")
        if gamma is not None and not 0 <= gamma <= 1:
            raise self.error(f"expected gamma from 0 to 1, got {gamma}.")
        self.fisher: FisherKind = fisher
        self.rows, self.gamma = rows, gamma

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Take hold of the parameters, with a Fisher information of zeros for each."""
        super().connect(values, parameters)
        self.register_buffer("constant", torch.zeros((), dtype=next(iter(parameters.values())).dtype))

    def forward(self, present: Tensor | None = None) -> Loss:
        """The penalty, a scalar. It reads no rows, so none can be absent."""
        fisher = self.of_each("fisher")
        terms = [(f * (held - anchor).square()).sum() for f, (held, anchor) in zip(fisher, self.pairs(), strict=True)]
        return Loss((torch.stack(terms).sum() + self.get_buffer("constant")) / 2)

    @torch.no_grad()
    def consolidate(self, fisher: Mapping[str, Tensor]) -> None:
        """Hold the parameters where they are now, beside where they are held already.

        Args:
            fisher: The diagonal of the Fisher information by parameter, named as in ``model.named_parameters()``. A
                parameter that it lacks (a frozen one) gains nothing.

        Raises:
            ObjectiveError: No held parameter is in it, a shape differs, or a value is negative or not finite.
        """
        self.check(fisher)
        constant = self.get_buffer("constant")
        for (name, held), anchor, known in zip(
            self._held.items(), self.of_each("anchor"), self.of_each("fisher"), strict=True
        ):
            new = fisher[name].to(known) if name in fisher else torch.zeros_like(known)
            if self.gamma is not None:
                known.mul_(self.gamma).add_(new)
                anchor.copy_(held)
                continue
            total = known + new
            share = torch.where(total > 0, new / total, 1.0)  # what nothing holds has its anchor where it is
            away = held - anchor
            constant.add_((known * share * away.square()).sum())
            anchor.add_(share * away)
            known.copy_(total)

    def check(self, fisher: Mapping[str, Tensor]) -> None:
        """Refuse what `consolidate` would refuse.

        Raises:
            ObjectiveError: As there.
        """
        known = [name for name in self._held if name in fisher]
        if not known:
            names = ", ".join(fisher) or "nothing"
            raise self.error(f"expected the Fisher information of {', '.join(self._held)}; got that of {names}.")
        for name in known:
            given, expected = fisher[name], self._held[name]
            if given.shape != expected.shape:
                shapes = f"expected {list(expected.shape)}, got {list(given.shape)}"
                raise self.error(f"the Fisher information of {name!r} has the wrong shape: {shapes}.")
            if not (given.isfinite() & (given >= 0)).all():
                raise self.error(f"the Fisher information of {name!r} is negative or not finite somewhere.")


_WAYS = get_args(FisherKind)
