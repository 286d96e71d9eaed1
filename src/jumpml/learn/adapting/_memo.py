"""Let a model agree with itself on changed copies of the row that it predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import torch

from jumpml.core import LearnerError
from jumpml.learn.adapting._certainty import chances_of, classifies, entropy_of, no_classes
from jumpml.learn.adapting._method import Descending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.graph import Model


@final
class MEMO(Descending):
    """Lower the entropy of the mean answer over several draws of each row, and predict; then begin anew.

    Marginal entropy minimization with one test point (Zhang et al. 2022, https://arxiv.org/abs/2110.09506). A batch is
    adapted to at once, to the mean over its rows; with batches of one row it is the paper's. Each batch begins with the
    unadapted model.

    Args:
        view: The view that is drawn.
        copies: How often.
        nodes: Patterns of the nodes that may move; of these do so that lead to the output of a task with classes.
        lr: The learning rate.
        steps: Steps a batch, with a momentum of .9, all on the same draws.

    Raises:
        LearnerError: A number makes no sense.
    """

    name = "memo"
    always_episodic = True

    def __init__(
        self, view: str, *, copies: int = 8, nodes: str | Sequence[str] = "all", lr: float = 1e-3, steps: int = 1
    ) -> None:
        super().__init__(nodes=nodes, lr=lr, steps=steps)
        if copies < 2:
            raise LearnerError(f"memo: expected copies of 2 or more, got {copies}.")
        self.view, self.copies = view, copies

    def problem(self, model: Model) -> str:
        """That no task decides classes, or nothing moves."""
        if problem := no_classes(model):
            return problem
        if not self.movable(model):
            return f"of {', '.join(self.nodes)} no node with parameters leads to a task with classes."
        return ""

    def draws(self, model: Model) -> tuple[str, ...]:
        """So many draws of the view."""
        return tuple(f"{self.view}.{number}" for number in range(self.copies))

    def movable(self, model: Model) -> list[str]:
        """The parameters of the nodes that classes are decided by."""
        return self.leading_to(model, [task.output for task in model.tasks.values() if classifies(task)])

    def adapt(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Step, and give the outputs of the rows as they are."""
        copies = self._copies(batch)
        for _ in range(self.steps):
            found = chances_of(self._model, self._model(copies), copies).values()
            marginal = [chances.values.unflatten(0, (self.copies, -1)).mean(0) for chances in found]
            self._descent.differentiate(torch.stack([entropy_of(chances).mean() for chances in marginal]).sum())
            self._descent.step()
        return self.outputs(batch)

    def _copies(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The rows on the first draw, then those on the second, ...; what the view does not touch as it is."""
        plain = [key for key in batch if "@" not in key]
        draws = self.draws(self._model)
        return {key: torch.cat([batch.get(f"{key}@{draw}", batch[key]) for draw in draws]) for key in plain}
