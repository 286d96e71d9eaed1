"""What takes a growth back that something beside the model could not follow."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, final

from jumpml.learn.optimizers._joint import members_of

if TYPE_CHECKING:
    from jumpml.learn._loop import Loop


@final
class Undo:
    """A loop before its model grows. What a growth does not touch is held, not copied.

    Args:
        loop: The loop.
    """

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._lineage, self._stage, self._groups = loop.model.lineage, loop.stage, loop.groups
        self._weights, self._metered = dict(loop.weights.now), dict(loop.meter.weights)
        self._options = [{**group, "params": [*group["params"]]} for group in loop.optimizer.param_groups]
        self._moments = [
            {parameter: dict(state) for parameter, state in member.state.items()}
            for member in members_of(loop.optimizer)
        ]
        self._hooks = [(hook, copy.deepcopy(hook.state_dict())) for hook in loop.hooks]

    def back(self) -> None:
        """Let all be as it was; hooks that have heard of the growth hear that it was taken back."""
        loop = self._loop
        heard, loop.hooks.heard = loop.hooks.heard, []
        undone = loop.model.regrow(self._lineage)
        for group, was in zip(loop.optimizer.param_groups, self._options, strict=True):
            group.clear()
            group.update(was)
        for member, moments in zip(members_of(loop.optimizer), self._moments, strict=True):
            member.state.clear()
            member.state.update(moments)
        for weights, were in ((loop.weights.now, self._weights), (loop.meter.weights, self._metered)):
            weights.clear()
            weights.update(were)
        loop.stage, loop.groups = self._stage, self._groups
        for hook in heard:
            for growth in undone:
                hook.grew(growth)
        for hook, state in self._hooks:
            hook.load_state_dict(state)
