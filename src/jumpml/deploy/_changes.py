"""What can be done to a model before it is exported."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jumpml.core import NonFiniteLossError, Training, derive_seed
from jumpml.deploy._export import export_onnx, verify_export
from jumpml.deploy._exportable import Exportable
from jumpml.deploy._factorize import factorize
from jumpml.deploy._quantize import quantize_static
from jumpml.deploy._rows import decoded_rows
from jumpml.deploy._study import fixed_nodes, study

if TYPE_CHECKING:
    from pathlib import Path

    from jumpml.core import Trainer
    from jumpml.data import DataLoaders
    from jumpml.graph import Model


@final
@dataclass(frozen=True, kw_only=True)
class Base:
    """What every change starts from.

    Attributes:
        model: The original's copy, in evaluation mode, on the CPU; not to be changed.
        file: Its float32 ONNX file.
        loaders: The data.
        trainer: Trains a model in place.
    """

    model: Model
    file: Path
    loaders: DataLoaders
    trainer: Trainer


@final
@dataclass(frozen=True, kw_only=True)
class Made:
    """A variant's file is written.

    Attributes:
        change: What was done, in words.
        module: What the file was exported from; its outputs' names and fields are the file's.
        rounded: Whether the file computes with whole numbers.
        notes: What a reader must know.
    """

    change: str
    module: Exportable
    rounded: bool = False
    notes: tuple[str, ...] = ()


class Change(ABC):
    """One way to another form of the model."""

    @abstractmethod
    def make(self, name: str, base: Base, file: Path) -> Made:
        """Write the variant's ONNX file.

        Args:
            name: The variant's, for progress.
            base: What to start from.
            file: Where.

        Raises:
            DeploymentError: It cannot be made of this model.
            NonFiniteLossError: Its training ran away.
        """


@final
@dataclass(frozen=True, kw_only=True)
class Lessons:
    """Training after a change.

    Attributes:
        epochs: Passes over the train rows.
        lr: Adam's learning rate.
    """

    epochs: int
    lr: float


@final
@dataclass(frozen=True, kw_only=True)
class Unchanged(Change):
    """The model as it is."""

    def make(self, name: str, base: Base, file: Path) -> Made:
        """Export it."""
        return _exported("unchanged", base.model, base.loaders, file)


@final
@dataclass(frozen=True, kw_only=True)
class Quantize(Change):
    """Static int8; see `quantize_static`.

    Attributes:
        calibration_rows: Train rows that set the ranges of activations, drawn once by the data's seed.
    """

    calibration_rows: int

    def make(self, name: str, base: Base, file: Path) -> Made:
        """Quantize the float32 file."""
        module = Exportable(base.model, base.loaders)
        rows = decoded_rows(base.loaders, "train", module.fields, most=self.calibration_rows)
        quantize_static(base.file, file, rows)
        count = len(next(iter(rows.values())))
        return Made(
            change=f"int8 weights and activations, calibrated on {count} train rows", module=module, rounded=True
        )


@final
@dataclass(frozen=True, kw_only=True)
class Factorize(Change):
    """Linear layers as two thin ones; see `factorize`.

    Attributes:
        rank: The share of the singular values that stays.
        fine_tune: Training afterwards.
    """

    rank: float
    fine_tune: Lessons | None = None

    def make(self, name: str, base: Base, file: Path) -> Made:
        """Factorize a copy, train it, export it."""
        model = copy.deepcopy(base.model)
        done = factorize(model, map(model.node, model.node_names), self.rank)
        change = f"{done.thinned} of {done.layers} linear layers with {self.rank:g} of their singular values"
        if self.fine_tune:
            _train(f"fine-tuning {name}", study(model, base.loaders.fields), base, self.fine_tune)
            change += f", then {_passes(self.fine_tune)}"
        return _exported(change, model, base.loaders, file)


@final
@dataclass(frozen=True, kw_only=True)
class Distill(Change):
    """A smaller model that learns the outputs of this one.

    Attributes:
        student: With the same tasks; it is trained in place.
        source: What to call it, such as its file's name.
        temperature: What the logits of both are divided by.
        lessons: Its training.
    """

    student: Model
    source: str
    temperature: float
    lessons: Lessons

    def make(self, name: str, base: Base, file: Path) -> Made:
        """Train the student, export it."""
        base.loaders.bind(self.student.inputs)
        pair = study(self.student, base.loaders.fields, copy.deepcopy(base.model), self.temperature)
        _train(f"distilling {name}", pair, base, self.lessons)
        change = f"distilled into {self.source} at temperature {self.temperature:g} by {_passes(self.lessons)}"
        others = [objective for objective in self.student.objectives if objective not in self.student.tasks]
        why = "had no part: a student learns from its tasks' own objectives and from its source."
        notes = (f"In {self.source} {', '.join(others)} {why}",) if others else ()
        return _exported(change, self.student, base.loaders, file, notes)


def _exported(change: str, model: Model, loaders: DataLoaders, file: Path, notes: tuple[str, ...] = ()) -> Made:
    module = Exportable(model.cpu(), loaders)
    export_onnx(module, decoded_rows(loaders, "train", module.fields, most=1), file)
    verify_export(module, decoded_rows(loaders, "test", module.fields), file)
    return Made(change=change, module=module, notes=notes)


def _train(purpose: str, model: Model, base: Base, lessons: Lessons) -> None:
    seed = derive_seed(base.loaders.seed, purpose)
    training = Training(epochs=lessons.epochs, lr=lessons.lr, seed=seed, purpose=purpose, freeze=fixed_nodes(model))
    try:
        base.trainer(model, base.loaders, training)
    except NonFiniteLossError as error:  # of the variant, which the learner does not know of
        raise NonFiniteLossError(f"{purpose}: {error}") from error
    if not all(bool(parameter.isfinite().all()) for parameter in model.parameters()):
        raise NonFiniteLossError(f"{purpose}: the weights became non-finite by one of its last updates. Lower its lr.")


def _passes(lessons: Lessons) -> str:
    return f"{lessons.epochs} epoch{'s' * (lessons.epochs != 1)} of training"
