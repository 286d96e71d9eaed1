"""Learning the outputs that the model itself had before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, cast, final

import torch

from jumpml.core import TASK_KINDS, GraphError, Loss
from jumpml.objectives._copied import frozen
from jumpml.objectives._distillation import Distillation
from jumpml.objectives._module import ObjectiveModule
from jumpml.objectives._temperature import checked_temperature

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor, nn

    from jumpml.core import ValueInfo, Weight
    from jumpml.graph import IndexMap, Model


@final
class LwF(ObjectiveModule):
    """Learning without forgetting: how far an output is from that of the model as it was, on the rows of now.

    At `consolidate` the model up to the output is copied, and the copy's output is learned by `Distillation` (Li &
    Hoiem 2016, https://arxiv.org/abs/1606.09282): for a task's classes the divergence of distributions at a temperature
    T, times T squared; for numbers, and for a node that is no task's output, the squared difference. No earlier rows
    are needed. Zero until `consolidate`; the copy is made when the model is built, for checkpoints to fill, and is in
    evaluation mode.

    Args:
        inputs: The output: a node, but not that of a task that decides at positions. The fields that it is computed
            from join it when the model is built; rows that lack a value of one do not count.
        temperature: What logits are divided by; above 0.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: More than one input is given, or the temperature is not above 0.

    Example:
        >>> from jumpml.core import Task, ValueInfo
        >>> from jumpml.graph import Model, Node
        >>> task = Task(kind="multiclass", output="out", target="y")
        >>> nodes = {"out": Node(torch.nn.Linear(4, 3), "x")}
        >>> model = Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, tasks={"out": task},
        ...     objectives={"before": LwF("out")})
        >>> model.objectives["before"].inputs
        ('out', 'x')
        >>> model.objectives["before"].consolidate(model)
    """

    def __init__(
        self,
        inputs: str | Sequence[str],
        *,
        temperature: float = 2.0,
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__(inputs, weight=weight, when=when)
        self.temperature = checked_temperature(self, temperature)
        self.before: nn.Module | None = None
        self._of: tuple[Any, ...] = ()  # the model, which torch does not register; a copy of it has a copy of this
        self.register_buffer("active", torch.zeros(()))
        self.register_load_state_dict_pre_hook(_fit_copy)

    def _validate_inputs(self) -> None:
        if len(self.inputs) != 1:
            raise self.error(f"expected one input, the output that is not to be forgotten; got {len(self.inputs)}.")

    def reach(self, fields: Sequence[str]) -> None:
        """Be told the fields that the output is computed from, before the model connects it."""
        self.inputs = (self.inputs[0], *fields)

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check for numbers that a gradient can change."""
        output = values[0]
        if output and output.dtype != "float32":
            raise self.error(f"expected an output of float32; {self.inputs[0]!r} is {output}. Name another node.")

    def remember(self, model: Model, surgeries_back: int = 0) -> None:
        """Make the copy that is compared with, as the model is now; `consolidate` says from when on.

        Args:
            model: The one that this is an objective of.
            surgeries_back: Of a model that has grown since the copy was made: without how many of the last surgeries.

        Raises:
            ObjectiveError: The output is no node's, or that of a task that decides at positions.
        """
        output = self.inputs[0]
        if model.node_of(output) is None:
            raise self.error(f"expected a node's output, got the field {output!r}, which nothing forgets.")
        kind = next((task.kind for task in model.tasks.values() if task.output == output), None)
        if kind is not None and TASK_KINDS[kind].at != "row":
            told = f"{output!r} is that of a {kind} task, which decides at {TASK_KINDS[kind].at}"
            fix = "Name a node before it, which is held by the squared difference."
            raise self.error(f"expected an output that decides once a row; {told}. {fix}")
        self._distance = Distillation((output, output), kind=kind or "regression", temperature=self.temperature)
        self._of = (model,)
        # by the names of the classes; of another node nobody knows which column is which
        self.follows_width = kind is not None
        self.before = frozen(model.copied(output, surgeries_back=surgeries_back)).eval()

    @torch.no_grad()
    def consolidate(self, model: Model) -> None:
        """Compare with the model as it is now, from now on.

        Args:
            model: The one that this is an objective of.
        """
        state = model.until(self.inputs[0]).state_dict()
        if self.before is None or self._unlike(state):
            self.remember(model)
        else:  # the very buffers stay: an average of the model may have noted them
            self.before.load_state_dict(state)
        self.get_buffer("active").fill_(1.0)

    def forward(self, output: Tensor, *fields: Tensor, present: Tensor | None = None) -> Loss:
        """The loss of each row.

        Args:
            output: The output now, ``[batch, *]``; of one that has more classes than then, those of then count,
                wherever they stand; the first ones where the model knows no classes by name.
            fields: What it was computed from, in the order of `inputs`.
            present: bool ``[batch]``, the rows that count; None where all do.

        Raises:
            ObjectiveError: It is in no model.
        """
        if self.before is None:
            raise self.error("there is nothing to compare with before it is an objective of a model.")
        with torch.no_grad():
            before = self.before(dict(zip(self.inputs[1:], fields, strict=True)))[self.inputs[0]]
        if output.ndim == before.ndim == 2 and output.shape[1] > before.shape[1]:
            output = self._of_then(output, before.shape[1])
        value, present = self._distance(output, before, present=present)
        return Loss(self.get_buffer("active") * value, present)

    def _of_then(self, output: Tensor, width: int) -> Tensor:
        """The columns that there were then: a class that came since is none that it could forget."""
        for task in self._of[0].tasks.values():
            if task.output == self.inputs[0] and task.target in self._of[0].fields:
                before = cast("Model", self.before).fields[task.target].classes
                now = self._of[0].fields[task.target].classes
                if (len(before), len(now)) == (width, output.shape[1]):
                    # stretches side by side: an index would have to be put on the device in each step
                    return torch.cat([output[:, start:end] for start, end in _stretches(before, now)], dim=1)
        return output[:, :width]

    def outgrow(self, model: Model, index_map: IndexMap) -> None:
        """Stay: what is compared with is the model as it was, in the shape that it had."""

    def _unlike(self, state: Mapping[str, Tensor], prefix: str = "") -> bool:
        """Whether a state is of a model that has grown since the copy was made, or had not yet."""
        mine = self.before.state_dict(prefix=prefix) if self.before is not None else {}
        theirs = {name: value.shape for name, value in state.items() if name.startswith(prefix)}
        return bool(theirs) and {name: value.shape for name, value in mine.items()} != theirs

    def train(self, mode: bool = True) -> Self:
        """Set training or evaluation mode; the copy stays in evaluation mode."""
        super().train(mode)
        if self.before is not None:
            self.before.eval()
        return self


def _stretches(before: Sequence[str], now: Sequence[str]) -> list[tuple[int, int]]:
    """Where classes of before stand now, in their order: from, and up to, by as few stretches as do."""
    found: list[tuple[int, int]] = []
    for place in map(now.index, before):
        if found and found[-1][1] == place:
            found[-1] = (found[-1][0], place + 1)
        else:
            found.append((place, place + 1))
    return found


def _fit_copy(objective: LwF, state: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
    """Copy anew, before a state is loaded, in the shape that the model had when it was copied."""
    back = 0
    while objective._of and objective._unlike(state, f"{prefix}before."):
        try:
            objective.remember(objective._of[0], back)
        except GraphError:  # of no shape that it has had; loading tells of the sizes
            return
        back += 1
