"""The base of methods whose target is a slow copy of the model."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import nn

from jumpml.core import WeightSchedule
from jumpml.objectives._copied import frozen
from jumpml.objectives._module import ObjectiveModule

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Self

    from torch import Tensor

    from jumpml.core import Weight
    from jumpml.graph import IndexMap, Model


class WithMomentum(ObjectiveModule):
    """An objective that holds a momentum encoder: a slow copy of the model up to its first input.

    After each update of the weights the copy moves to ``momentum * slow + (1 - momentum) * weight`` (Tarvainen &
    Valpola 2017, https://arxiv.org/abs/1703.01780; He et al. 2020, https://arxiv.org/abs/1911.05722). A learner sees to
    it by `after_update`, and so does a loop of one's own. The copy's tensors are buffers: nothing trains them, and
    every checkpoint holds them. It is in training mode where the objective is, so that its normalization layers use
    the batch's own statistics.

    The fields that the input is computed from join `inputs` when the model is built. So `forward` is given, for each
    draw, the input and then these fields: take them apart by `of_draw`.

    Args:
        inputs: As the objective's; the first is the node that is copied.
        momentum: The share of the slow copy that stays at each update, from 0 to 1, or a schedule of it.
        others: As `ObjectiveModule` has them.

    Raises:
        ObjectiveError: The momentum is not from 0 to 1.
    """

    needs_learning = True
    slow_parts: ClassVar[tuple[str, ...]] = ()
    """Names of the objective's own modules that have a slow copy too: of ``projector`` it is ``slow_projector``."""
    slow_evaluates: ClassVar[bool] = False
    """Whether the slow copy is in evaluation mode also in training; its statistics are then the model's own latest."""

    def __init__(self, inputs: str | Sequence[str], *, momentum: Weight, **others: Any) -> None:
        super().__init__(inputs, **others)
        ends = (momentum.start, momentum.end) if isinstance(momentum, WeightSchedule) else (momentum,)
        if not all(0 <= end <= 1 for end in ends):
            raise self.error(f"expected a momentum from 0 to 1, got {momentum}.")
        self.momentum = momentum
        self.encoder: nn.Module | None = None
        """The momentum encoder: a `jumpml.graph.Model` up to the first input."""
        self._own = len(self.inputs)
        self.register_buffer("begun", torch.zeros((), dtype=torch.bool))
        self._of: tuple[Any, ...] = ()  # the model, which torch does not register; a copy of it has a copy of this
        self._paired: tuple[list[Tensor], list[Tensor]] | None = None

    def reach(self, fields: Sequence[str]) -> None:
        """Be told the fields that the first input is computed from, before the model connects it."""
        self.inputs = (*self.inputs[: self._own], *fields)

    def remember(self, model: Model) -> None:
        """Make the slow copy, as the model is now.

        Raises:
            ObjectiveError: The first input is no node's output.
        """
        if model.node_of(self.inputs[0]) is None:
            raise self.error(f"expected a node, got the field {self.inputs[0]!r}, of which there is no slow copy.")
        self._of = (model,)
        self.encoder = frozen(model.copied(self.inputs[0]))
        for part in self.slow_parts:
            self.add_module(f"slow_{part}", frozen(copy.deepcopy(self.get_submodule(part))))
        self._paired = None
        self.train(self.training)

    def of_draw(self, draw: int, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """What `forward` was given, on one draw: the inputs that the objective names, then the fields.

        Args:
            draw: Its place among the views' draws.
            inputs: All that `forward` was given.
        """
        return tuple(inputs[draw :: len(inputs) // len(self.inputs)])

    @torch.no_grad()
    def slow(self, fields: Sequence[Tensor]) -> Tensor:
        """What the momentum encoder gives, without gradient.

        Args:
            fields: The values that the first input is computed from, as `of_draw` ends with them.

        Raises:
            ObjectiveError: It is in no model.
        """
        if self.encoder is None:
            raise self.error("there is no momentum encoder before it is an objective of a model.")
        return self.encoder(dict(zip(self.inputs[self._own :], fields, strict=True)))[self.inputs[0]]

    @torch.no_grad()
    def begin(self) -> None:
        """Let the slow copy be the model as learning starts; only the first call counts."""
        begun = self.get_buffer("begun")
        if not begun:
            for slow, fast in self._beside(statistics=True):  # in place: an average of the model may have noted them
                slow.copy_(fast)
            begun.fill_(True)

    @torch.no_grad()
    def after_update(self, epoch: float = 0.0, epochs: float = 1.0) -> None:
        """Move the slow copy on, after an update of the weights.

        Args:
            epoch: Epochs that the phase has behind it, with the share of the open one; a schedule follows it.
            epochs: How many it has.
        """
        momentum = self.momentum.at(epoch, epochs) if isinstance(self.momentum, WeightSchedule) else self.momentum
        slow, fast = self._pairs()
        torch._foreach_lerp_(slow, fast, 1 - momentum)

    @torch.no_grad()
    def outgrow(self, model: Model, index_map: IndexMap) -> None:
        """Take the slow copy along when the model has grown: what is fresh is as it is in the model.

        Args:
            model: The one that this is an objective of.
            index_map: Where its parameters come from.
        """
        before = {name: tensor for part in self._slow() for name, tensor in part}
        self.remember(model)
        own = next(name for name, module in model.named_modules() if module is self)
        for part in self._slow():
            for name, fresh in part:
                # a part of the objective's own is known to the map by the name of what it is the copy of
                known = f"{own}.{name.removeprefix('slow_')}" if name.startswith("slow_") else name
                old = before.get(index_map.before.get(known, "").removeprefix(f"{own}."), before.get(name))
                if old is not None:
                    fresh.copy_(index_map.carry(known, old, fresh))

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode."""
        super().train(mode)
        if self.slow_evaluates and self.encoder is not None:
            for part in (self.encoder, *(self.get_submodule(f"slow_{part}") for part in self.slow_parts)):
                part.eval()
        return self

    def _slow(self) -> list[list[tuple[str, Tensor]]]:
        """The slow copy's tensors by name: as the model names what they are copies of, or with ``slow_`` as here."""
        own = [(f"slow_{part}", self.get_submodule(f"slow_{part}")) for part in self.slow_parts]
        encoder = [] if self.encoder is None else [*self.encoder.named_buffers()]
        return [encoder, *([*module.named_buffers(prefix)] for prefix, module in own)]

    def _beside(self, *, statistics: bool) -> list[tuple[Tensor, Tensor]]:
        """The slow copy's tensors, each beside what it is a copy of; with the buffers among these, or without."""
        fast: dict[str, Tensor] = {}
        for prefix, module in (("", *self._of), ("slow_", self)):
            for name, tensor in module.named_parameters():
                fast[prefix + name] = tensor
            for name, tensor in module.named_buffers() if statistics else ():
                fast[prefix + name] = tensor
        return [(slow, fast[name]) for part in self._slow() for name, slow in part if name in fast]

    def _pairs(self) -> tuple[list[Tensor], list[Tensor]]:
        """What moves, and what it follows; looked up once, and again when tensors are others."""
        if self._paired is None:
            pairs = [pair for pair in self._beside(statistics=self.slow_evaluates) if pair[0].is_floating_point()]
            self._paired = [slow for slow, _ in pairs], [fast for _, fast in pairs]
        return self._paired

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self._paired = None  # buffers that move to another device are other tensors
        return super()._apply(fn, recurse)
