"""A variant's figures, from its file in its real runtime."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import torch

from jumpml.core import Figure, GateAnswer, VariantRecord
from jumpml.deploy._difference import TOLERANCE, largest_difference, scale
from jumpml.deploy._rows import decoded_rows, row_positions
from jumpml.deploy._session import Session
from jumpml.diagnose import Mahalanobis
from jumpml.evaluate import compare, measure

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from jumpml.core import Task
    from jumpml.data import DataLoaders
    from jumpml.deploy._changes import Made
    from jumpml.deploy._gate import Gate
    from jumpml.evaluate import EvalResults, Predictions

TRAIN_ROWS = 5000  # that the embeddings' spread is learned from; more would change it little
BELOW = 0.95  # share of the validation rows below the out-of-domain threshold


@final
@dataclass(frozen=True, kw_only=True)
class Domain:
    """What a task's embeddings look like on the rows that the model knows.

    Attributes:
        node: Whose value they are.
        spread: Fitted on train rows.
        threshold: 95% of the validation rows are nearer.
    """

    node: str
    spread: Mahalanobis
    threshold: float


@final
@dataclass(frozen=True, kw_only=True)
class Measured:
    """A variant that ran.

    Attributes:
        record: What is told of it.
        file: Its ONNX file.
        fields: The fields that it reads.
        outputs: Raw outputs on the test rows by task, ``[rows, ...]``.
        tolerance: By task, by how much they may differ on another machine.
        domains: By task.
    """

    record: VariantRecord
    file: Path
    fields: tuple[str, ...]
    outputs: dict[str, NDArray]
    tolerance: dict[str, float]
    domains: dict[str, Domain]


def measure_variant(
    made: Made, file: Path, originals: Mapping[str, Predictions], results: EvalResults, gate: Gate | None
) -> Measured:
    """Run a variant on all test rows and measure it.

    Args:
        made: What was made.
        file: Its ONNX file.
        originals: The original model's predictions on the test rows.
        results: Which metrics, on which data.
        gate: What it must hold.

    Raises:
        EvaluationError: A metric fails on its outputs.
    """
    tasks, loaders, session = made.module.model.tasks, results.loaders, Session(file)
    rows = decoded_rows(loaders, "test", made.module.fields)
    outputs = _by_task(session.run(rows), "output")
    predictions = {task: _predictions(outputs[task], originals[task]) for task in tasks}
    apart = {task: largest_difference(outputs[task], originals[task].output.numpy()) for task in tasks}
    answer = _judge(gate, tasks, results.metrics, originals, predictions) if gate else None
    record = VariantRecord(
        change=made.change,
        bytes=file.stat().st_size,
        parameters=made.module.parameter_count(),
        milliseconds=session.milliseconds(rows),
        max_difference=max(apart.values()),
        figures=_figures(tasks, results.metrics, predictions),
        gate=answer,
        bundled=gate is None or answer is None or gate.admits(answer),
        notes=made.notes,
    )
    return Measured(
        record=record,
        file=file,
        fields=made.module.fields,
        outputs=outputs,
        # Whole-number kernels round otherwise on another processor, at most as far as rounding moved anything here.
        tolerance={task: TOLERANCE * scale(outputs[task]) + apart[task] * made.rounded for task in tasks},
        domains=_domains(session, made, loaders),
    )


def _by_task(outputs: Mapping[str, NDArray], kind: str) -> dict[str, NDArray]:
    return {name.rpartition(".")[0]: values for name, values in outputs.items() if name.endswith(f".{kind}")}


def _predictions(output: NDArray, original: Predictions) -> Predictions:
    return replace(original, output=torch.from_numpy(output).reshape(original.output.shape))


def _figures(
    tasks: Mapping[str, Task], metrics: Mapping[str, Sequence[Any]], predictions: Mapping[str, Predictions]
) -> dict[str, Figure]:
    return {
        f"{name}/{metric}": figure
        for name, task in tasks.items()
        for metric, figure in measure(task.kind, metrics[name], predictions[name]).items()
    }


def _judge(
    gate: Gate,
    tasks: Mapping[str, Task],
    metrics: Mapping[str, Sequence[Any]],
    originals: Mapping[str, Predictions],
    predictions: Mapping[str, Predictions],
) -> GateAnswer:
    task, _, metric = gate.metric.partition("/")
    change = compare(tasks[task].kind, metrics[task], metric, originals[task], predictions[task])
    if not gate.higher_is_better:
        return gate.judge(change)
    return gate.judge(Figure(value=0 - change.value, low=0 - change.high, high=0 - change.low, n=change.n))


def _known(loaders: DataLoaders, split: str, embeddings: NDArray, needs: Collection[str]) -> Tensor:
    """The embeddings of the rows whose data set has what they are made of."""
    covered, values = loaders.covered(needs, split), torch.from_numpy(embeddings)
    return values if covered is None else values[covered[row_positions(loaders, split, TRAIN_ROWS)]]


def _domains(session: Session, made: Made, loaders: DataLoaders) -> dict[str, Domain]:
    """Where the embeddings of known rows lie, in the variant's own numbers."""
    nodes = made.module.embeddings
    if not nodes:
        return {}
    train, val = (
        _by_task(session.run(decoded_rows(loaders, split, made.module.fields, most=TRAIN_ROWS)), "embedding")
        for split in ("train", "val")
    )
    domains = {}
    for task, node in nodes.items():
        needs = made.module.model.needs(node)
        spread = Mahalanobis.fit(_known(loaders, "train", train[task], needs))
        distance = spread.score(_known(loaders, "val", val[task], needs)).double()
        domains[task] = Domain(node=node, spread=spread, threshold=float(distance.quantile(BELOW)))
    return domains
