"""A penalty on parameters that moves them least where earlier learning needs them most."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.core import Loss
from jumpml.objectives._module import ObjectiveModule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight
    from jumpml.graph import IndexMap


@final
class EWC(ObjectiveModule):
    """Elastic weight consolidation: half the Fisher-weighted squared distance of parameters from their anchor.

    ``1/2 sum_i F_i (p_i - a_i)^2`` (Kirkpatrick et al. 2017, https://arxiv.org/abs/1612.00796), zero at first.
    Every further `consolidate` moves the one anchor to where the parameters then are and adds to the Fisher
    information, which is online EWC with a decay of 1 (Schwarz et al. 2018, https://arxiv.org/abs/1805.06370): cost and
    memory do not grow with the tasks learned.

    The parameters belong to the nodes and are only referred to; a copy of the model refers to the copy's own. Anchor
    and Fisher information are buffers: checkpoints keep them.

    Args:
        parameters_of: Patterns of the nodes whose parameters are held.
        weight: What the penalty is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: No pattern is given.

    Example:
        >>> p = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
        >>> objective = EWC("all")
        >>> objective.connect([], {"p": p})
        >>> objective.consolidate({"p": torch.tensor([3.0, 0.0])})
        >>> p.data += torch.tensor([1.0, 9.0])
        >>> objective().value
        tensor(1.5000, grad_fn=<DivBackward0>)
    """

    per_example = False

    def __init__(
        self,
        parameters_of: str | Sequence[str] = "all",
        *,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(parameters_of=parameters_of, weight=weight, when=when)
        if not self.parameters_of:
            raise self.error("expected one pattern of nodes or more, such as 'all'; got none.")
        # a plain dict, which torch does not register: the parameters stay the nodes' own
        self._held: dict[str, nn.Parameter] = {}

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Take hold of the parameters, with an anchor and a Fisher information of zeros for each."""
        if not parameters:
            raise self.error("the nodes that it names have no parameters. Name nodes that have some, or leave it out.")
        self._held = dict(parameters)
        for index, parameter in enumerate(parameters.values()):
            # numbered, since a buffer's name can hold no dot and a user's name must not become an attribute
            self.register_buffer(f"anchor_{index}", torch.zeros_like(parameter, requires_grad=False))
            self.register_buffer(f"fisher_{index}", torch.zeros_like(parameter, requires_grad=False))

    def forward(self, present: Tensor | None = None) -> Loss:
        """The penalty, a scalar. It reads no rows, so none can be absent."""
        terms = [(fisher * (held - anchor).square()).sum() for _, held, anchor, fisher in self._terms()]
        return Loss(torch.stack(terms).sum() / 2)

    @torch.no_grad()
    def consolidate(self, fisher: Mapping[str, Tensor]) -> None:
        """Hold the parameters where they are now.

        Args:
            fisher: The diagonal of the Fisher information by parameter, named as in ``model.named_parameters()``. A
                parameter that it lacks (a frozen one) gains nothing.

        Raises:
            ObjectiveError: No held parameter is in it, a shape differs, or a value is negative or not finite.
        """
        self._validate(fisher)
        for name, held, anchor, information in self._terms():
            anchor.copy_(held)
            if name in fisher:
                information.add_(fisher[name])

    @torch.no_grad()
    def follow(self, parameters: Mapping[str, nn.Parameter], index_map: IndexMap) -> None:
        """Hold the parameters of a model that has grown: what is fresh is held with a Fisher information of 0."""
        kept = {name: (anchor, fisher) for name, _, anchor, fisher in self._terms()}
        self._held = dict(parameters)
        for index, (name, parameter) in enumerate(parameters.items()):
            # where nothing was, the anchor is where the parameter now is
            anchor = parameter.detach().clone()
            fisher = torch.zeros_like(anchor)
            if index_map.before.get(name) in kept:
                old_anchor, old_fisher = kept[index_map.before[name]]
                anchor, fisher = index_map.carry(name, old_anchor, anchor), index_map.carry(name, old_fisher)
            self.register_buffer(f"anchor_{index}", anchor)
            self.register_buffer(f"fisher_{index}", fisher)
        for index in range(len(parameters), len(kept)):
            delattr(self, f"anchor_{index}")
            delattr(self, f"fisher_{index}")

    def _validate(self, fisher: Mapping[str, Tensor]) -> None:
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

    def _terms(self) -> Iterator[tuple[str, nn.Parameter, Tensor, Tensor]]:
        """Name, parameter, anchor and Fisher information of each that is held."""
        for index, (name, held) in enumerate(self._held.items()):
            yield name, held, self.get_buffer(f"anchor_{index}"), self.get_buffer(f"fisher_{index}")
