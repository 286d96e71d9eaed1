"""A variant's figures, from its file in its real runtime."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np
import torch

from jumpml.core import Figure, GateAnswer, VariantRecord
from jumpml.deploy._difference import TOLERANCE, largest_difference, scale
from jumpml.deploy._rows import decoded_rows, golden_rows, row_positions
from jumpml.deploy._session import Session
from jumpml.diagnose import Mahalanobis
from jumpml.evaluate import PositionCounter, compare, measure

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from jumpml.core import Task
    from jumpml.data import DataLoaders
    from jumpml.deploy._changes import Made
    from jumpml.deploy._exportable import Exportable
    from jumpml.deploy._gate import Gate
    from jumpml.evaluate import EvalResults, Predictions

    Predicted = Any  # `Predictions`, or `Positions` where a task decides at positions

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
        golden: Raw outputs of the golden rows by task, ``[rows, ...]``.
        tolerance: By task, by how much they may differ on another machine.
        domains: By task.
    """

    record: VariantRecord
    file: Path
    fields: tuple[str, ...]
    golden: dict[str, NDArray]
    tolerance: dict[str, float]
    domains: dict[str, Domain]


@final
@dataclass(frozen=True)
class Original:
    """What variants are compared with.

    Attributes:
        module: The original on the CPU; it computes again what is too large to be held.
        predictions: By task, on the test rows.
    """

    module: Exportable
    predictions: Mapping[str, Predicted]


@dataclass(kw_only=True)
class Ran:
    """What a file gave on the test rows.

    Attributes:
        predictions: By task.
        golden: By task, the raw outputs of the golden rows.
        apart: By task, the largest difference from the original's outputs.
        size: By task, what the tolerance is a share of.
    """

    predictions: dict[str, Predicted]
    golden: dict[str, NDArray]
    apart: dict[str, float]
    size: dict[str, float]


def measure_variant(made: Made, file: Path, original: Original, results: EvalResults, gate: Gate | None) -> Measured:
    """Run a variant on all test rows and measure it.

    Args:
        made: What was made.
        file: Its ONNX file.
        original: The original model, and its predictions on the test rows.
        results: Which metrics, on which data.
        gate: What it must hold.

    Raises:
        EvaluationError: A metric fails on its outputs.
    """
    tasks, loaders, session = made.module.model.tasks, results.loaders, Session(file)
    rows = decoded_rows(loaders, "test", {*made.module.fields, *original.module.fields})
    ran = _run(session, rows, tasks, original)
    answer = _judge(gate, tasks, results.metrics, original.predictions, ran.predictions) if gate else None
    record = VariantRecord(
        change=made.change,
        bytes=file.stat().st_size,
        parameters=made.module.parameter_count(),
        milliseconds=session.milliseconds(rows),
        max_difference=max(ran.apart.values()),
        figures=_figures(tasks, results.metrics, ran.predictions),
        gate=answer,
        bundled=gate is None or answer is None or gate.admits(answer),
        notes=made.notes,
    )
    return Measured(
        record=record,
        file=file,
        fields=made.module.fields,
        golden=ran.golden,
        # Whole-number kernels round otherwise on another processor, at most as far as rounding moved anything here.
        tolerance={task: TOLERANCE * ran.size[task] + ran.apart[task] * made.rounded for task in tasks},
        domains=_domains(session, made, loaders),
    )


def _run(session: Session, rows: Mapping[str, NDArray], tasks: Mapping[str, Task], original: Original) -> Ran:
    """All test rows, a few at a time; outputs of tasks that decide at positions are reduced at once."""
    held = [name for name, task in tasks.items() if task.brings.at == "row"]
    counters = {name: _counter(original, name, tasks[name]) for name in tasks if name not in held}
    parts: dict[str, list[NDArray]] = {name: [] for name in held}
    apart, size = dict.fromkeys(tasks, 0.0), dict.fromkeys(tasks, 1.0)
    for place, given in session.batches(rows):
        outputs = _by_task(given, "output")
        expected = original.module.outputs({field: values[place] for field, values in rows.items()}) if counters else {}
        for name in held:
            parts[name].append(outputs[name])
        for name, counter in counters.items():
            truth = original.predictions[name].truths[place].long()
            counter.add(torch.from_numpy(outputs[name]), truth)
            apart[name] = max(apart[name], largest_difference(outputs[name], expected[name]))
            size[name] = max(size[name], scale(outputs[name]))
    predictions: dict[str, Predicted] = {name: counter.positions() for name, counter in counters.items()}
    for name in held:
        output, before = np.concatenate(parts[name]), original.predictions[name]
        predictions[name] = _predictions(output, before)
        apart[name] = largest_difference(output, before.output.numpy())
        size[name] = scale(output)
    golden = golden_rows(len(next(iter(rows.values()))))
    some = _by_task(session.run({field: values[golden] for field, values in rows.items()}), "output")
    return Ran(predictions=predictions, golden=some, apart=apart, size=size)


def _counter(original: Original, name: str, task: Task) -> PositionCounter:
    shape = original.module.model.values[task.output].shape
    before = original.predictions[name]
    return PositionCounter(
        task.kind,
        tuple(before.truths.shape[1:]),
        shape[0] if task.brings.at == "pixels" else shape[-1],
        by_class=before.classes.shape[2] > 0,
    )


def _by_task(outputs: Mapping[str, NDArray], kind: str) -> dict[str, NDArray]:
    return {name.rpartition(".")[0]: values for name, values in outputs.items() if name.endswith(f".{kind}")}


def _predictions(output: NDArray, original: Predictions) -> Predictions:
    return replace(original, output=torch.from_numpy(output).reshape(original.output.shape))


def _figures(
    tasks: Mapping[str, Task], metrics: Mapping[str, Sequence[Any]], predictions: Mapping[str, Predicted]
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
    originals: Mapping[str, Predicted],
    predictions: Mapping[str, Predicted],
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


def _embeddings(session: Session, rows: Mapping[str, NDArray]) -> dict[str, NDArray]:
    """By task; the outputs beside them may be too large to be held."""
    parts = [_by_task(given, "embedding") for _, given in session.batches(rows)]
    return {task: np.concatenate([part[task] for part in parts]) for task in parts[0]}


def _domains(session: Session, made: Made, loaders: DataLoaders) -> dict[str, Domain]:
    """Where the embeddings of known rows lie, in the variant's own numbers."""
    nodes = made.module.embeddings
    if not nodes:
        return {}
    train, val = (
        _embeddings(session, decoded_rows(loaders, split, made.module.fields, most=TRAIN_ROWS))
        for split in ("train", "val")
    )
    domains = {}
    for task, node in nodes.items():
        needs = made.module.model.needs(node)
        spread = Mahalanobis.fit(_known(loaders, "train", train[task], needs))
        distance = spread.score(_known(loaders, "val", val[task], needs)).double()
        domains[task] = Domain(node=node, spread=spread, threshold=float(distance.quantile(BELOW)))
    return domains
