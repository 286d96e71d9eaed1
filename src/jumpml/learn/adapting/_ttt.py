"""Learn from the rows to predict what can be learned without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.learn.adapting._method import Descending
from jumpml.objectives import reduce

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.graph import LossPlan, Model

TEST_TIME = "test_time"


@final
class TTT(Descending):
    """Test-time training: minimise the model's objectives of the phase ``test_time`` on each batch, then predict it.

    Sun et al. 2020, https://arxiv.org/abs/1909.13231. Any objective without targets will do, best one that was learned
    beside the task: ``when: [supervised, test_time]``. What an objective has of its own (projectors, heads) stays.

    Args:
        nodes: Patterns of the nodes that may move; of these do so which an objective reads, or that lead there.
        lr: The learning rate, with a momentum of .9.
        steps: Steps a batch, all on the same draws.

    Raises:
        LearnerError: A number makes no sense.
    """

    name = "ttt"

    def __init__(self, *, nodes: str | Sequence[str] = "all", lr: float = 1e-3, steps: int = 1) -> None:
        super().__init__(nodes=nodes, lr=lr, steps=steps)
        self._plans: dict[frozenset[str], LossPlan] = {}

    def problem(self, model: Model) -> str:
        """That there is nothing to learn, or only with targets."""
        active = model.active(TEST_TIME)
        if not active:
            return "no objective is active at test time. Give one without targets `when: [supervised, test_time]`."
        targets = {task.target for task in model.tasks.values()} - {*model.inputs}
        for name in active:
            read = next((value for value in model.objectives[name].inputs if value in targets), None)
            if read:
                return f"objective {name!r} reads the target {read!r}, which rows to predict do not have."
        if not self.movable(model):
            return f"of {', '.join(self.nodes)} no node with parameters leads to {', '.join(active)}."
        return ""

    def draws(self, model: Model) -> tuple[str, ...]:
        """The draws that the objectives compare."""
        return model.draws(TEST_TIME)

    def reads(self, model: Model) -> tuple[str, ...]:
        """What the objectives read."""
        return tuple(value for name in model.active(TEST_TIME) for value in model.objectives[name].inputs)

    def movable(self, model: Model) -> list[str]:
        """The parameters of the nodes that the objectives are computed from."""
        return self.leading_to(model, self.reads(model))

    def adapt(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Step, and give the outputs after the steps."""
        keys = frozenset(batch)
        if keys not in self._plans:
            self._plans[keys] = self._model.plan_losses(TEST_TIME, keys)
        for _ in range(self.steps):
            losses, _ = self._plans[keys](batch)
            parts = [self._model.objectives[name].weight * reduce(loss) for name, loss in losses.items()]
            self._descent.differentiate(torch.stack(parts).sum())
            self._descent.step()
        return self.outputs(batch)
