"""Everything that is diagnosed of one model."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import torch

from jumpml.core import DiagnosisError, DiagnosisRecord, did_you_mean
from jumpml.diagnose._attribution import attribute
from jumpml.diagnose._embedding import embedding_node
from jumpml.diagnose._hard_examples import hard_examples
from jumpml.diagnose._health import training_warnings
from jumpml.diagnose._map import draw_map, mapped_nodes
from jumpml.diagnose._out_of_domain import out_of_domain
from jumpml.diagnose._summary import summary
from jumpml.evaluate import Positions, evaluation_mode, predict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jumpml.core import Attribution, EmbeddingMap, HardExample, History, OutOfDomain
    from jumpml.data import DataLoaders
    from jumpml.diagnose._map import MappedNode
    from jumpml.evaluate import Predictions
    from jumpml.graph import Model


@final
@dataclass(frozen=True)
class Diagnosis:
    """Why a model answers as it does, where it struggles, and what is foreign to it.

    Attributes:
        record: All of it, for the report card.
    """

    record: DiagnosisRecord

    def summary(self) -> str:
        """The main figures, warnings and notes as plain text."""
        return summary(self.record)

    def __str__(self) -> str:
        return self.summary()


def diagnose(
    loaders: DataLoaders,
    model: Model,
    history: History | None = None,
    *,
    maps: Sequence[MappedNode] = (),
    seed: int = 0,
) -> Diagnosis:
    """Ask why a model answers as it does, where it struggles, and what is foreign to it.

    The model and torch's global generators are as they were when this returns.

    Args:
        loaders: The data.
        model: The model.
        history: Of the learner that trained it (``learner.history``); without it hard examples and training health are
            left out, which the notes say.
        maps: Nodes whose values are laid flat, beside those that the outputs of tasks of classes read.
        seed: Of the rows that are drawn, the random orders and the strangers.

    Raises:
        DiagnosisError: The history is of another model or of other data; an output or embedding is not finite.
        EvaluationError: The model has no task.

    Example:
        >>> from jumpml.core import Task
        >>> from jumpml.data import Column, DataLoaders, random_split
        >>> from jumpml.graph import Model, Node
        >>> x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0))
        >>> columns = {"x": Column(x, "tensor"), "y": Column((x[:, 0] > 0).long(), "category", ("no", "yes"))}
        >>> loaders = DataLoaders(columns, random_split(100))
        >>> model = Model(
        ...     inputs={"x": loaders.info("x")},
        ...     nodes={"out": Node(torch.nn.Linear(3, 2), "x")},
        ...     tasks={"positive": Task(kind="multiclass", output="out", target="y")},
        ... )
        >>> record = diagnose(loaders, model).record
        >>> [part.field for part in record.attributions], [part.method for part in record.out_of_domain]
        (['x'], ['mahalanobis', 'knn'])
    """
    examples = history.examples if history else {}
    for task in examples:
        if task not in model.tasks:
            near = did_you_mean(task, model.tasks)
            raise DiagnosisError(f"the history is of a task {task!r}, which the model lacks. {near}")
    warnings, notes = _training(loaders, model, history)
    hard: list[HardExample] = []
    for task, recorded in examples.items():
        found, doubts = hard_examples(loaders, model, task, recorded)
        hard += found
        warnings += doubts
    with _undisturbed(model):
        attributions, foreign, left_out = _probe(loaders, model, seed)
        drawn, undrawn = _maps(loaders, model, maps, seed)
    return Diagnosis(
        DiagnosisRecord(
            attributions=tuple(attributions),
            hard_examples=tuple(hard),
            out_of_domain=tuple(foreign),
            warnings=tuple(warnings),
            maps=tuple(drawn),
            notes=(*notes, *left_out, *undrawn),
        )
    )


def _training(loaders: DataLoaders, model: Model, history: History | None) -> tuple[list[str], list[str]]:
    """Warnings of training health, and what the history lacks."""
    if history is None:
        fix = "give diagnose the learner's: diagnose(loaders, model, learner.history)."
        return [], [f"hard examples and training health are left out, for want of a history; {fix}"]
    weights = {name: objective.weight for name, objective in model.objectives.items()}
    fix = "the learner records them while it trains the tasks (record_examples: true)."
    if loaders.mixes_rows:
        fix = "augmentation mixes rows with each other, so that no loss is one row's own."
    notes = [] if history.examples else [f"hard examples are left out: the history holds no examples; {fix}"]
    return training_warnings(history.epochs, weights, list(model.tasks)), notes


def _probe(loaders: DataLoaders, model: Model, seed: int) -> tuple[list[Attribution], list[OutOfDomain], list[str]]:
    """What is asked of the model itself: attributions by task, out-of-domain scores by embedding."""
    predictions = predict(loaders, model, "test")
    _validate_outputs(predictions)
    attributions: list[Attribution] = []
    foreign: list[OutOfDomain] = []
    notes: list[str] = []
    for task in model.tasks:
        found, left_out = attribute(loaders, model, task, predictions[task], seed)
        attributions += found
        notes += left_out
    for node in dict.fromkeys(embedding_node(model, task) for task in model.tasks):
        scores, left_out = out_of_domain(loaders, model, node, seed)
        foreign += scores
        notes += left_out
    return attributions, foreign, notes


def _maps(
    loaders: DataLoaders, model: Model, named: Sequence[MappedNode], seed: int
) -> tuple[list[EmbeddingMap], list[str]]:
    """The maps, and what was left out."""
    found = [draw_map(loaders, model, mapped, seed) for mapped in mapped_nodes(loaders, model, named)]
    return [drawn for drawn, _ in found if drawn is not None], [note for _, note in found if note]


def _validate_outputs(predictions: Mapping[str, Predictions | Positions]) -> None:
    for task, predicted in predictions.items():
        rows = len(predicted.present)
        if isinstance(predicted, Positions):
            wrong = int((~predicted.finite).sum())
        else:
            wrong = int((~predicted.output.reshape(rows, -1).isfinite()).any(1).sum())
        if wrong:
            raise DiagnosisError(
                f"task {task!r}: the model's output is NaN or infinite in {wrong} of {rows} test rows. Look at the "
                "losses: training may have diverged."
            )


@contextmanager
def _undisturbed(model: Model) -> Iterator[None]:
    """Evaluation mode, and afterwards the model's modes and torch's generators as they were."""
    devices = {parameter.device for parameter in model.parameters() if parameter.device.type == "cuda"}
    with torch.random.fork_rng(devices=list(devices)), evaluation_mode(model):
        yield
