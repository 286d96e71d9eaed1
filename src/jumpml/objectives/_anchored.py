"""The base of penalties that hold parameters near where they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from jumpml.objectives._module import ObjectiveModule

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight
    from jumpml.graph import IndexMap


class Anchored(ObjectiveModule):
    """A penalty on parameters, each with an anchor: a value that it is held near.

    The parameters belong to the nodes and are only referred to; a copy of the model refers to the copy's own. Anchors
    are buffers, numbered in the parameters' order: checkpoints keep them.

    Args:
        parameters_of: Patterns of the nodes whose parameters are held.
        weight: What the penalty is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: No pattern is given.
    """

    per_example = False
    held_beside: tuple[str, ...] = ()
    """What it keeps of each parameter beside the anchor: buffers of its shape, zeros at first."""

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
        """Take hold of the parameters, with an anchor where each is now."""
        if not parameters:
            raise self.error("the nodes that it names have no parameters. Name nodes that have some, or leave it out.")
        self._held = dict(parameters)
        for index, parameter in enumerate(parameters.values()):
            # numbered, since a buffer's name can hold no dot and a user's name must not become an attribute
            self.register_buffer(f"anchor_{index}", parameter.detach().clone())
            for kept in self.held_beside:
                self.register_buffer(f"{kept}_{index}", torch.zeros_like(parameter, requires_grad=False))

    @torch.no_grad()
    def follow(self, parameters: Mapping[str, nn.Parameter], index_map: IndexMap) -> None:
        """Hold the parameters of a model that has grown: what is fresh has its anchor where it is, and zeros beside."""
        kinds = ("anchor", *self.held_beside)
        kept = dict(zip(self._held, zip(*(self.of_each(kind) for kind in kinds), strict=True), strict=True))
        self._held = dict(parameters)
        for index, (name, parameter) in enumerate(parameters.items()):
            of_before = kept.get(index_map.before.get(name, ""), (None,) * len(kinds))
            for kind, old in zip(kinds, of_before, strict=True):
                fresh = parameter.detach().clone() if kind == "anchor" else torch.zeros_like(parameter)
                found = fresh if old is None else index_map.carry(name, old, fresh)
                self.register_buffer(f"{kind}_{index}", found.detach())
        for index in range(len(parameters), len(kept)):
            for kind in kinds:
                delattr(self, f"{kind}_{index}")

    @property
    def held(self) -> Mapping[str, nn.Parameter]:
        """The parameters, by their name within the model."""
        return dict(self._held)

    def of_each(self, kept: str) -> list[Tensor]:
        """A buffer of each parameter, in their order: ``anchor``, or what else is kept."""
        return [self.get_buffer(f"{kept}_{index}") for index in range(len(self._held))]

    def pairs(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each parameter with its anchor."""
        return zip(self._held.values(), self.of_each("anchor"), strict=True)

    @torch.no_grad()
    def move_anchors(self) -> None:
        """Hold the parameters where they are now."""
        for held, anchor in self.pairs():
            anchor.copy_(held)


class Started(Anchored):
    """A penalty whose anchors are, at first, the weights that learning starts from."""

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Take hold of the parameters where they are now."""
        super().connect(values, parameters)
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))

    def begin(self) -> None:
        """Let the anchors be where learning starts; only the first call counts.

        A learner does so when it is made, since weights from elsewhere may come after the model.
        """
        begun = self.get_buffer("begun")
        if not begun:
            self.move_anchors()
            begun.fill_(True)
