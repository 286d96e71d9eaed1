"""What a self-supervised method must hold to, check by check; each says what was expected and what came, or nothing."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Adam

from jumpml.core import ObjectiveError
from jumpml.evaluate import embed_split, rank_me, spread
from jumpml.graph import Model
from jumpml.learn import Hook, Learner, Phase, Saving
from jumpml.objectives import reduce

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jumpml.core import Loss
    from jumpml.data import DataLoaders
    from jumpml.graph import Node
    from jumpml.learn import Step

NAME = "method"
TOLERANCE = 1e-4  # relative, and absolute: float32 adds up in another order
GARBAGE = 1e3
LEAST_RANK = 1.5  # dimensions that unit embeddings make use of around their mean


class _First(Hook):
    """Keeps the first batch that was learned from."""

    name = "first"
    batch: Mapping[str, Tensor] | None = None

    def learned(self, step: Step) -> None:
        if self.batch is None:
            self.batch = step.batch


class _Stopped(Exception):  # noqa: N818 (nothing is wrong)
    """What a killed process would be."""


class _Stop(Hook):
    """Stops the run at a step; at none where that is 0."""

    name = "stop"

    def __init__(self, at: int = 0) -> None:
        self._at = at

    def updated(self, step: Step) -> None:
        if step.number == self._at:
            raise _Stopped


@dataclass(frozen=True)
class SelfSupervisedCase:
    """What is checked, and on what.

    Attributes:
        objective: Not connected, active in any phase.
        loaders: The data.
        nodes: What it reads.
        epochs: How long it trains.
        lr: Adam's learning rate.
        least_spread: How alive embeddings must stay.
    """

    objective: Any
    loaders: DataLoaders
    nodes: Mapping[str, Node]
    epochs: int
    lr: float
    least_spread: float

    @property
    def node(self) -> str:
        """Whose values are the embeddings."""
        return self.objective.inputs[0]

    def learner(self, folder: Path | None = None, hooks: Sequence[Hook] = ()) -> Learner:
        """One like any other: of a model with the same first weights."""
        read = {name for node in self.nodes.values() for name in _read_by(node)}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.loaders.bind([name for name in self.loaders.readable if name in read])
            model = Model(
                inputs={name: self.loaders.info(name) for name in self.loaders.readable if name in read},
                nodes=copy.deepcopy(dict(self.nodes)),
                objectives={NAME: copy.deepcopy(self.objective)},
                fields=self.loaders.fields,
                seed=0,
            )
        return Learner(
            self.loaders,
            model,
            Adam(model.parameters(), lr=self.lr),
            phases={"supervised": Phase(epochs=self.epochs)},  # the one that can be run epoch by epoch
            saving=None if folder is None else Saving(folder=folder, epochs=None, steps=1),
            hooks=hooks,
            log=(),
        )

    @cached_property
    def trained(self) -> tuple[Learner, Mapping[str, Tensor]]:
        """A learner that has learned, and the first batch that it saw."""
        first = _First()
        learner = self.learner(hooks=[first])
        for _ in learner.epochs():
            learner.train_epoch()
        if first.batch is None:
            raise ValueError("there is no batch to learn from.")
        return learner, first.batch

    def loss(self, model: Model, batch: Mapping[str, Tensor]) -> Tensor:
        """The mean over the batch, with the same draws each time."""
        torch.manual_seed(0)
        return model.losses(batch)[NAME].mean()

    def called(self) -> tuple[Any, list[Tensor]]:
        """The objective of a model in training, and what it was given of the first batch, in the order of its call."""
        learner, batch = self.learner(), self.trained[1]
        objective, given = learner.model.train().objectives[NAME], []

        def note(_: nn.Module, values: tuple[Tensor, ...], named: dict[str, Any]) -> None:
            given.extend(value.detach() for value in values)

        before = copy.deepcopy(objective)
        if not isinstance(objective, nn.Module):
            raise ValueError("expected an objective that is a torch.nn.Module.")
        handle = objective.register_forward_pre_hook(note, with_kwargs=True)
        learner.model.losses(batch)
        handle.remove()
        return before, given


def check_order(case: SelfSupervisedCase) -> str:
    """A batch's rows in another order have the same loss."""
    batch, model = case.trained[1], case.learner().model.train()
    order = torch.arange(len(next(iter(batch.values())))).flip(0)
    expected = case.loss(copy.deepcopy(model), batch)
    got = case.loss(model, {name: value[order] for name, value in batch.items()})
    if torch.isclose(got, expected, TOLERANCE, TOLERANCE):
        return ""
    return f"expected the same loss for any order of a batch's rows, {_told(expected)}; got {_told(got)}."


def check_encoder_gradient(case: SelfSupervisedCase) -> str:
    """A finite gradient reaches the node that it reads."""
    model = case.learner().model.train()
    case.loss(model, case.trained[1]).backward()
    own = model.node_of(case.node)
    gradients = [] if own is None else [p.grad for p in model.node(own).parameters() if p.grad is not None]
    if not any(bool((gradient != 0).any()) for gradient in gradients):
        return f"expected a gradient of what {case.node!r} learns; it has none."
    wrong = [name for name, p in model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    return f"expected finite gradients; that of {wrong[0]} is not." if wrong else ""


def check_momentum(case: SelfSupervisedCase) -> str:
    """No gradient reaches a momentum encoder, which follows the weights all the same."""
    learner, _ = case.trained
    objective, fresh = (one.model.objectives[NAME] for one in (learner, case.learner()))
    slow = {name: value for name, value in _tensors(objective).items() if _is_slow(name)}
    trains = next((name for name, value in slow.items() if value.requires_grad or value.grad is not None), None)
    if trains:
        return f"expected nothing of the momentum encoder to train; {trains} does. Make its tensors buffers."
    before, weights = _tensors(fresh), [name for name in slow if "running_" not in name and "num_batches" not in name]
    moved = any(not torch.equal(slow[name], before[name]) for name in weights)
    return "" if moved or not slow else "expected the momentum encoder to follow the weights; it is where it began."


def check_collapse(case: SelfSupervisedCase) -> str:
    """Embeddings of a trained encoder are neither one and the same nor on a line."""
    learner, _ = case.trained
    positions = torch.arange(len(case.loaders.train.rows))
    rows = embed_split(case.loaders, learner.model.eval(), case.node, "train", positions)
    if not rows.isfinite().all():
        return "expected finite embeddings after training, got some that are not."
    alive, unit = spread(rows), nn.functional.normalize(rows.double(), dim=1)
    used = rank_me(unit - unit.mean(0))
    if alive < case.least_spread:
        told = f"a spread of {case.least_spread:g} at least; it is {alive:.2g}"
        return f"expected embeddings that differ from row to row after {case.epochs} epochs, {told}."
    if used < min(LEAST_RANK, rows.shape[1]):
        return f"expected embeddings of more than one dimension after {case.epochs} epochs; they lie on a line."
    return ""


def check_checkpoint(case: SelfSupervisedCase) -> str:
    """A run that is stopped within an epoch and resumed ends with the same bits."""
    whole = case.learner(hooks=[_Stop()])
    steps = len(case.loaders.train)
    with tempfile.TemporaryDirectory() as folder:
        stopped, resumed = (case.learner(Path(folder), [_Stop(at)]) for at in (steps + steps // 2 + 1, 0))
        try:
            _run(stopped, 3)
        except _Stopped:
            resumed.resume()
        _run(whole, 3)
        _run(resumed, 3)
        resumed.save()  # and wait for what is being written
    expected, got = whole.model.state_dict(), resumed.model.state_dict()
    unlike = next((name for name, value in expected.items() if not torch.equal(value, got[name])), None)
    if unlike:
        fix = "Make what it remembers between steps a buffer."
        return f"expected a run that is resumed to end with the same bits; {unlike} differs. {fix}"
    return ""


def check_one_row(case: SelfSupervisedCase) -> str:
    """A batch of one row is refused, where the loss is of the whole batch; a loss a row has one."""
    one = {name: value[:1] for name, value in case.trained[1].items()}
    model = case.learner().model.eval()
    try:
        loss = case.loss(model, one)
    except ObjectiveError:
        return "expected a loss of one row, got an ObjectiveError." if case.objective.per_example else ""
    if not case.objective.per_example:
        return f"expected an ObjectiveError for a batch of one row, got the loss {_told(loss)}."
    return "" if loss.isfinite() else f"expected a finite loss of one row, got {_told(loss)}."


def check_absent_rows(case: SelfSupervisedCase) -> str:
    """Rows that ``present`` leaves out change nothing, whatever stands in them."""
    objective, given = case.called()
    present = torch.arange(len(given[0])) % 2 == 0
    draws = len(given) // len(objective.inputs)
    spoilt = []
    for place, value in enumerate(given):
        spoilt.append(value.clone())
        if value.is_floating_point():
            of_node = objective.inputs[place // draws] in case.nodes
            spoilt[-1][~present] = GARBAGE if of_node else float("nan")
    got = _reduced(copy.deepcopy(objective), spoilt, present)
    expected = _reduced(copy.deepcopy(objective), [value[present] for value in given])
    if torch.isclose(got, expected, TOLERANCE, TOLERANCE):
        return ""
    return f"expected absent rows to change nothing, {_told(expected)}; got {_told(got)}."


def _run(learner: Learner, epochs: int) -> None:
    for _ in learner.epochs():
        learner.train_epoch()
        if learner.progress.closed("supervised") == epochs:
            return


def _reduced(objective: Any, values: Sequence[Tensor], present: Tensor | None = None) -> Tensor:
    torch.manual_seed(0)
    loss: Loss = objective(*values) if present is None else objective(*values, present=present)
    return reduce(loss).detach()


def _told(loss: Tensor) -> str:
    return f"{float(loss.detach()):.6g}"


def _tensors(objective: Any) -> dict[str, Tensor]:
    return {**dict(objective.named_parameters()), **dict(objective.named_buffers())}


def _read_by(node: Node) -> list[str]:
    inputs = node.inputs
    return [inputs] if isinstance(inputs, str) else [*(inputs.values() if isinstance(inputs, Mapping) else inputs)]


def _is_slow(name: str) -> bool:
    return name.startswith(("encoder.", "slow_"))
