"""Whether a model can learn one batch by heart; what cannot learn that will learn nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch.nn.modules.dropout import _DropoutNd

from jumpml.core import TASK_KINDS, LearnerError, NonFiniteLossError, Record, text_table
from jumpml.drawing import Line, draw_panels, line_panel
from jumpml.graph import decide
from jumpml.learn.steps._meter import NonFinite
from jumpml.learn.steps._window import rows_of
from jumpml.learn.trials._trial import phase_of, read, trial_of, without_schedules
from jumpml.objectives import EWC, L1, L2, Orthogonality, TotalVariation

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import Tensor, nn

    from jumpml.graph import Model
    from jumpml.learn._learner import Learner
    from jumpml.learn.processes._processes import Processes

_NEAR = 0.05  # of the first loss that is left: the floor of a loss without a floor of its own is zero
_STILL = 0.98  # a loss that falls by less than 2% between the last two tenths of the steps is level
_PENALTIES = (EWC, L1, L2, Orthogonality, TotalVariation)
_WORDS = {
    "learned": "learned",
    "falling": "still falling: give it more steps, or a higher learning rate",
    "level": "fell, and falls no more: its floor, or as far as this model comes",
    "stuck": "not learned",
    "penalty": "a penalty, which holds back rather than teaches",
}


class OverfitObjective(Record):
    """How one objective did on the batch."""

    verdict: Literal["learned", "falling", "level", "stuck", "penalty"]
    """Near its floor; not there yet; as low as it gets; hardly below where it began; or not a loss of the batch."""
    losses: tuple[float, ...]
    """Its mean at each step."""
    right: float | None
    """Of a task that decides a class, the share of the batch that is decided rightly at the end."""


class OverfitReport(Record):
    """Whether a model learned one batch by heart; ``print`` shows it in words, a notebook as a picture."""

    phase: str
    """The phase whose objectives were learned."""
    rows: int
    """Rows of the batch."""
    objectives: dict[str, OverfitObjective]
    """By name."""
    silent: dict[str, str]
    """By node that should learn and does not, what is the matter with its weights."""

    @property
    def learned(self) -> bool:
        """Whether every objective that a batch teaches came near its floor, and every node took part."""
        taught = {objective.verdict for objective in self.objectives.values()} - {"penalty", "level"}
        return taught <= {"learned"} and not self.silent

    def __str__(self) -> str:
        """What to make of it."""
        steps = max(len(objective.losses) for objective in self.objectives.values())
        rows = [
            [
                name,
                f"{each.losses[0]:.4g}",
                f"{each.losses[-1]:.4g}",
                "" if each.right is None else f"{each.right:.1%}",
                _WORDS[each.verdict],
            ]
            for name, each in self.objectives.items()
        ]
        head = f"one batch of {self.rows} rows, {steps} steps of the phase {self.phase!r}; dropout off"
        table = text_table(["objective", "first", "last", "right", ""], rows, "lrrrl")
        return "\n".join([head, table, *(f"node {node!r}: {text}" for node, text in self.silent.items())])

    def draw(self) -> str:
        """Each objective's loss by step.

        Returns:
            An ``svg`` element that refers to nothing outside itself.
        """
        panels = [
            line_panel(
                f"{name}: {each.verdict}",
                [Line(range(1, len(each.losses) + 1), each.losses)],
                alt=f"{name} goes from {each.losses[0]:.4g} to {each.losses[-1]:.4g}.",
                x_label="step",
                whole=True,
                falls=True,
                size=(320, 220),
            )
            for name, each in self.objectives.items()
        ]
        note = f"{self.rows} rows, phase {self.phase}"
        return draw_panels("One batch learned by heart", panels, columns=3, note=note)

    def _repr_svg_(self) -> str:
        return self.draw()


def overfit_batch(learner: Learner, steps: int, phase: str | None) -> OverfitReport:
    """See `Learner.overfit_batch`."""
    if steps < 10:
        raise LearnerError(f"expected at least 10 steps, got {steps}.")
    name = phase_of(learner, phase)
    with trial_of(learner, phases=without_schedules(learner.phases)) as trial, trial._loop.random:
        for module in trial.model.modules():
            if isinstance(module, _DropoutNd):
                module.p = 0.0
        trial._loop.teaching = None  # one batch, and all that is to be learned of it
        stage = trial._run.enter(name)
        batch = next(trial.remaining())
        watched, begun = _Watch(trial.model, stage.trained), trial.progress.step
        for _ in range(steps):
            trial.step(batch)
            watched.look()
        losses = _losses(trial, begun)
        right = _right(trial.model, stage.plan(batch)[1], batch, trial.processes)
        silent = dict(watched.silent())
        rows = sum(trial.processes.gather(rows_of(batch)))
        penalties = {key for key, each in trial.model.objectives.items() if isinstance(each, _PENALTIES)}
    objectives = {
        key: OverfitObjective(
            verdict=_verdict(values, right.get(key), penalty=key in penalties), losses=values, right=right.get(key)
        )
        for key, values in losses.items()
    }
    return OverfitReport(phase=name, rows=rows, objectives=objectives, silent=silent)


def _losses(trial: Learner, begun: int) -> dict[str, tuple[float, ...]]:
    try:
        records = read(trial)
    except NonFinite as signal:
        raise NonFiniteLossError(
            f"the loss of objective {signal.objective!r} became non-finite at step {signal.step - begun}"
            " of learning one batch by heart. Lower the learning rate, or look at the rows of the first batch."
        ) from None
    return {name: tuple(record.losses[name] for record in records) for name in records[0].losses if name != "total"}


def _verdict(
    losses: tuple[float, ...], right: float | None, *, penalty: bool
) -> Literal["learned", "falling", "level", "stuck", "penalty"]:
    if penalty:
        return "penalty"
    tenth = max(1, len(losses) // 10)
    before, last = (sum(part) / tenth for part in (losses[-2 * tenth : -tenth], losses[-tenth:]))
    if (right is not None and right > 0.999) or last <= _NEAR * losses[0]:
        return "learned"
    if last < _STILL * before:
        return "falling"
    return "stuck" if right is not None or last > 0.5 * losses[0] else "level"


@torch.no_grad()
def _right(
    model: Model, values: Mapping[str, Tensor], batch: Mapping[str, Tensor], processes: Processes
) -> dict[str, float]:
    """By task that decides a class, the share of known rows or positions that are decided rightly."""
    counts = {}
    for name, task in model.tasks.items():
        if TASK_KINDS[task.kind].decides == "class" and task.output in values and task.truth in batch:
            truth = batch[task.truth]
            known = truth >= 0
            decided = decide(task.kind, values[task.output]).reshape(truth.shape)
            counts[name] = torch.stack([((decided == truth) & known).sum(), known.sum()])
    counted = zip(counts, processes.sum([*counts.values()]), strict=True)
    return {name: (own[0] / own[1].clamp(min=1)).item() for name, own in counted}


class _Watch:
    """Which of the weights that should learn get a gradient, and which move."""

    def __init__(self, model: Model, trained: list[nn.Parameter]) -> None:
        ids = {id(parameter) for parameter in trained}
        self._weights = {
            (node, name): parameter
            for node in model.node_names
            for name, parameter in model.node(node).named_parameters()
            if id(parameter) in ids
        }
        self._first = {key: parameter.detach().clone() for key, parameter in self._weights.items()}
        self._reached: set[tuple[str, str]] = set()
        self._greatest: dict[tuple[str, str], Tensor] = {}

    def look(self) -> None:
        """Note a step's gradients, without reading the device."""
        for key, parameter in self._weights.items():
            if parameter.grad is not None:
                self._reached.add(key)
                greatest = parameter.grad.detach().abs().amax() if parameter.grad.numel() else parameter.new_zeros(())
                before = self._greatest.get(key)
                self._greatest[key] = greatest if before is None else torch.maximum(before, greatest)

    def silent(self) -> Iterator[tuple[str, str]]:
        """By node, what is the matter."""
        for node in dict.fromkeys(node for node, _ in self._weights):
            own = [key for key in self._weights if key[0] == node]
            lost = [key for key in own if key not in self._reached]
            zero = [key for key in own if key in self._reached and not self._greatest[key]]
            still = [
                key
                for key in own
                if key not in lost and key not in zero and torch.equal(self._first[key], self._weights[key])
            ]
            for keys, text in (
                (lost, "no gradient reaches"),
                (zero, "the gradient is always zero of"),
                (still, "the optimizer does not move"),
            ):
                if keys:
                    yield node, f"{text} {'its weights' if len(keys) == len(own) else _listed(keys)}."
                    break


def _listed(keys: list[tuple[str, str]]) -> str:
    names = [name for _, name in keys]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
