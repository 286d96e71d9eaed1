"""The model file: what the model is."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from jumpml.core._objective_spec import ObjectiveSpec, TaskObjectiveSpec
from jumpml.core._spec import About, FileSpec, InputName, Name, Seed, Spec

Inputs = str | tuple[str, ...] | dict[str, str]


class InputSpec(Spec):
    """What a field looks like to the model, after its features."""

    shape: tuple[PositiveInt, ...]
    """The shape of one row, without the batch."""
    dtype: Literal["float32", "int64", "bool"] = "float32"
    """The type of its elements; a mask's is `bool`."""


class NodeSpec(Spec):
    """One named module and what it reads."""

    module: str
    """The dotted name of a class: `torch.nn.*`, `jumpml.blocks.*`, or one from a package that you trust by name."""
    inputs: Inputs
    """A name, a list (positional arguments) or a mapping (by argument name) of fields, nodes or `node.part`. A text
    also has a mask, `field.mask`: bool `[batch, length]`, true where a token is."""
    args: dict[str, Any] = {}
    """The class's own arguments."""


class TaskSpec(Spec):
    """An output node, a target field and a kind, which brings objective, prediction, metrics and pictures."""

    kind: Literal["multiclass", "binary", "multilabel", "regression"]
    """What is predicted: one class of several, yes or no, any number of labels, or numbers."""
    output: str
    """The node whose output is the prediction: logits, or the numbers."""
    target: str
    """The field that holds the truth."""
    metrics: tuple[str, ...] | None = None
    """Names of metrics, where the kind's own are not wanted."""
    objective: TaskObjectiveSpec | None = TaskObjectiveSpec()
    """Changes to the task's objective; `null` switches it off."""

    @model_validator(mode="after")
    def _options_fit_the_kind(self) -> Self:
        for option, kinds in (("label_smoothing", ["multiclass"]), ("positive_weight", ["binary", "multilabel"])):
            if self.objective and getattr(self.objective, option) is not None and self.kind not in kinds:
                raise ValueError(f"objective.{option} is for {' and '.join(kinds)} tasks; this task is {self.kind}")
        return self


class ModelAbout(About):
    """What people should know of the model; it goes to the report card."""

    intended_use: str = ""
    """What it is for, and for whom."""
    limits: str = ""
    """What it is not for; where it fails."""
    owner: str = ""
    """Who answers for it."""


class ModelSpec(FileSpec):
    """The model file: what the model is."""

    seed: Seed | None = None
    """Makes the initial weights repeatable without touching torch's global generator."""
    data: str | None = None
    """A data file that gives shapes and classes, so that they need not be written twice."""
    inputs: dict[InputName, InputSpec] = {}
    """Shapes of the fields that nodes read, and of texts' masks; may be left out where the data is known."""
    nodes: Annotated[dict[Name, NodeSpec], Field(min_length=1)]
    """The modules by name."""
    tasks: dict[Name, TaskSpec] = {}
    """What is predicted, by name."""
    objectives: dict[Name, ObjectiveSpec] = {}
    """What is minimised beside the tasks, by name."""
    about: ModelAbout = ModelAbout()
    """For the report card."""
