"""The Fisher information that an EWC penalty weighs parameters by."""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.func import functional_call, grad, vmap

from jumpml.core import LearnerError
from jumpml.evaluate import plain_losses
from jumpml.graph import probabilities
from jumpml.objectives import MeanSquaredError, reduce

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.graph import Model
    from jumpml.objectives import FisherKind

    Batch = dict[str, Tensor]
    Rows = Callable[[Batch], Iterator[dict[str, Tensor]]]

AT_ONCE = 1 << 25  # gradients' elements that are held together: 128 MiB of float32


def fisher_information(
    model: Model, loaders: DataLoaders, *, fisher: FisherKind = "observed", rows: int = 512, seed: int = 0
) -> dict[str, Tensor]:
    """The diagonal of the Fisher information of the tasks' losses on train rows.

    It is the mean over rows of the squared gradient of one row's loss, a gradient a row (``torch.func``'s ``vmap`` over
    ``grad`` takes many at once; a model that it cannot take goes row by row). The loss is at a target that is

    - ``observed``, the row's own: the empirical Fisher information. It is there for any loss of a row.
    - ``sampled``, drawn from what the model predicts, as the definition has it: for classes and labels a row, and for
      numbers by the mean squared error.
    - ``batched`` is another quantity that some programs take for it, the squared gradient of a batch's mean loss at the
      observed targets, averaged over batches. The rows' gradients cancel in the mean, so that it is smaller by about
      the batch size, and near nothing once a task is learned: a strength that is right for one is wrong for the other
      by orders of magnitude.

    Every module is in evaluation mode meanwhile, so that normalization neither mixes rows nor moves; the modes are put
    back.

    Args:
        model: Its parameters that train, or have trained until their task was left out of the phase, and its tasks'
            objectives with their weights, as far as they are one loss a row.
        loaders: The train rows are read: those of the data sets that are served.
        fisher: Of what it is made.
        rows: On how many rows, spread evenly; of ``batched``, as many batches as hold so many.
        seed: Of the targets that are drawn.

    Returns:
        By parameter, named as in ``model.named_parameters()``.

    Raises:
        LearnerError: No task has one loss a row, or its targets cannot be drawn.
    """
    problem = why_no_fisher(model, fisher)
    if problem:
        raise LearnerError(problem)
    tasks = _tasks(model)
    loss = _Loss(model, tasks)
    generator, count = torch.Generator().manual_seed(seed), 0
    with _evaluating(model), model.awake():
        parameters = {name: p for name, p in loss.named_parameters() if p.requires_grad}
        total = {name: torch.zeros_like(parameter, requires_grad=False) for name, parameter in parameters.items()}
        gradients = _by_batch(loss, parameters) if fisher == "batched" else _by_row(loss, parameters)
        for batch in _chosen(loaders, rows, whole=fisher == "batched"):
            drawn = _drawn(model, tasks, batch, generator) if fisher == "sampled" else {}
            for gradient in gradients(batch | drawn):
                count += len(next(iter(gradient.values())))
                for name, value in gradient.items():
                    total[name] += value.square().sum(0)
    return {name.removeprefix("model."): value / count for name, value in total.items()}


def why_no_fisher(model: Model, fisher: FisherKind) -> str:
    """Why a model's Fisher information cannot be estimated so; nothing where it can."""
    if not _tasks(model):
        return (
            "the Fisher information is made of gradients of the tasks' losses, row by row; no task of this model has "
            "an objective with one loss a row."
        )
    odd = next((name for name in _tasks(model) if not _drawable(model, name)), None) if fisher == "sampled" else None
    if odd is None:
        return ""
    return (
        "fisher: sampled draws targets of classes and labels a row, and of numbers where the loss is the mean squared "
        f"error; task {odd!r} is {model.tasks[odd].kind}, with {type(model.objectives[odd]).__name__}. Take fisher: "
        "observed."
    )


def _tasks(model: Model) -> list[str]:
    """Those whose loss is one a row of plain rows, which have no views."""
    own = {name: model.objectives[name] for name in model.tasks if name in model.objectives}
    return [name for name, objective in own.items() if objective.per_example and not objective.views]


class _Loss(nn.Module):
    """The weighted sum of the tasks' losses, as a function of parameters and rows."""

    def __init__(self, model: Model, tasks: list[str]) -> None:
        super().__init__()
        self.model = model
        self._tasks = tasks

    def forward(self, batch: Batch) -> Tensor:
        objectives = {name: self.model.objectives[name] for name in self._tasks}
        losses = plain_losses(self.model, objectives, batch)
        return torch.stack([reduce(loss) * objectives[name].weight for name, loss in losses.items()]).sum()


def _by_row(loss: _Loss, parameters: dict[str, nn.Parameter]) -> Rows:
    """A gradient a row, ``[rows, *shape]`` by parameter, some rows at a time."""
    at_once = max(1, AT_ONCE // max(1, sum(parameter.numel() for parameter in parameters.values())))
    values = {name: parameter.detach() for name, parameter in parameters.items()}

    def of_row(given: dict[str, Tensor], row: Batch) -> Tensor:
        return functional_call(loss, given, ({key: value.unsqueeze(0) for key, value in row.items()},))

    together: Any = vmap(grad(of_row), in_dims=(None, 0))
    able = True

    def gradients(batch: Batch) -> Iterator[dict[str, Tensor]]:
        nonlocal able
        for start in range(0, len(next(iter(batch.values()))), at_once):
            some = {key: value[start : start + at_once] for key, value in batch.items()}
            if able:
                try:
                    with warnings.catch_warnings():  # what has no rule of its own is slower, and right
                        warnings.filterwarnings("ignore", message="There is a performance drop")
                        yield together(values, some)
                    continue
                except (RuntimeError, NotImplementedError):  # such as one that asks for a value of a tensor
                    able = False
            yield from _one_by_one(loss, parameters, some)

    return gradients


def _one_by_one(loss: _Loss, parameters: dict[str, nn.Parameter], batch: Batch) -> Iterator[dict[str, Tensor]]:
    for row in range(len(next(iter(batch.values())))):
        yield _gradient(loss, parameters, {key: value[row : row + 1] for key, value in batch.items()})


def _by_batch(loss: _Loss, parameters: dict[str, nn.Parameter]) -> Rows:
    """The gradient of a batch's mean loss."""

    def gradients(batch: Batch) -> Iterator[dict[str, Tensor]]:
        yield _gradient(loss, parameters, batch)

    return gradients


def _gradient(loss: _Loss, parameters: dict[str, nn.Parameter], batch: Batch) -> dict[str, Tensor]:
    """The gradient of one loss, ``[1, *shape]`` by parameter; zeros where it depends on none."""
    found = torch.autograd.grad(loss(batch), [*parameters.values()], allow_unused=True)
    return {
        name: (torch.zeros_like(parameter) if gradient is None else gradient).unsqueeze(0)
        for (name, parameter), gradient in zip(parameters.items(), found, strict=True)
    }


def _chosen(loaders: DataLoaders, rows: int, *, whole: bool) -> Iterator[Batch]:
    """Train rows of the data sets that are served, spread evenly over them; or whole batches of these."""
    served = loaders.train.order(0).unique()
    step = loaders.batch_size if whole else 1
    units = -(-len(served) // step)
    number = min(units, -(-rows // step))
    taken = torch.linspace(0, units - 1, number).round().long()
    chosen = torch.zeros(len(loaders.train.rows), dtype=torch.bool)
    for unit in taken.tolist():
        chosen[served[unit * step : (unit + 1) * step]] = True
    start = 0
    for batch in loaders.train.plain():
        size = len(next(iter(batch.values())))
        mine = chosen[start : start + size].nonzero().flatten()
        start += size
        if len(mine):
            yield {key: value[mine.to(value.device)] for key, value in batch.items()}


@contextmanager
def _evaluating(model: Model) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _drawable(model: Model, name: str) -> bool:
    task = model.tasks[name]
    if task.brings.at != "row":
        return False
    return task.brings.decides in {"class", "labels"} or isinstance(model.objectives[name], MeanSquaredError)


@torch.no_grad()
def _drawn(model: Model, tasks: list[str], batch: Batch, generator: torch.Generator) -> Batch:
    """Targets as the model predicts them, one draw a row."""
    outputs = model(batch, outputs=[model.tasks[name].output for name in tasks])
    drawn = {}
    for name in tasks:
        task = model.tasks[name]
        output, truth = outputs[task.output].cpu(), batch[task.truth]
        if task.brings.decides == "numbers":
            # the mean of the squares of d differences is the negative log-likelihood where each has a variance of d/2
            each = output[0].numel()
            target = output + torch.randn(output.shape, generator=generator) * (each / 2) ** 0.5
        elif task.brings.decides == "class" and not task.brings.one_logit:
            target = torch.multinomial(probabilities(task.kind, output), 1, generator=generator).flatten()
        else:
            target = torch.bernoulli(probabilities(task.kind, output), generator=generator)
        drawn[task.truth] = target.reshape(truth.shape).to(truth)
    return drawn
