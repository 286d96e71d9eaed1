"""The model file: what the model is."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, model_validator

from jumpml.core._spec import About, FileSpec, InputName, Name, NodePattern, Seed, Spec

Inputs = str | tuple[str, ...] | dict[str, str]
Strength = Annotated[float, Field(ge=0)]


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


class _ObjectiveSpec(Spec):
    weight: Strength = 1.0
    """What the loss is multiplied by in the sum."""
    when: tuple[str, ...] | Literal["all"] = ("supervised",)
    """The phases in which it is active."""


class CrossEntropySpec(_ObjectiveSpec):
    """Softmax cross entropy of logits `[batch, classes]` against class codes `[batch]`."""

    kind: Literal["cross_entropy"]
    """The objective\'s kind."""
    inputs: tuple[str, str]
    """The logits and the target field."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of the target that is spread over all classes."""


class BinaryCrossEntropySpec(_ObjectiveSpec):
    """Sigmoid cross entropy of logits against 0 and 1: one a row, or one a label, whose losses are averaged."""

    kind: Literal["binary_cross_entropy"]
    """The objective\'s kind."""
    inputs: tuple[str, str]
    """The logits and the target field."""
    positive_weight: Annotated[float, Field(gt=0)] = 1.0
    """What the loss of a positive row, or of a label that a row has, is multiplied by."""


class MeanSquaredErrorSpec(_ObjectiveSpec):
    """Squared difference, averaged over each row's elements."""

    kind: Literal["mse"]
    """The objective\'s kind."""
    inputs: tuple[str, str]
    """The prediction and the target."""


class VICRegSpec(_ObjectiveSpec):
    """Variance-invariance-covariance regularization of two views (Bardes et al. 2022, https://arxiv.org/abs/2105.04906)."""

    kind: Literal["vicreg"]
    """The objective\'s kind."""
    inputs: str
    """The node whose outputs on two views shall agree."""
    views: str | tuple[str, str]
    """One policy, drawn twice, or two policies."""
    projector: tuple[PositiveInt, ...] = (128, 128)
    """Widths of the projector's layers; it belongs to the objective and is not deployed."""
    invariance: Strength = 25.0
    """Weight of the squared difference between the two views."""
    variance: Strength = 25.0
    """Weight of the hinge that keeps each dimension's standard deviation above 1."""
    covariance: Strength = 1.0
    """Weight of the squared covariances between dimensions."""


class L1Spec(_ObjectiveSpec):
    """Mean absolute value of a node's output."""

    kind: Literal["l1"]
    """The objective\'s kind."""
    inputs: str
    """The node."""


class L2Spec(_ObjectiveSpec):
    """Mean square of a node's output."""

    kind: Literal["l2"]
    """The objective\'s kind."""
    inputs: str
    """The node."""


class EWCSpec(_ObjectiveSpec):
    """Elastic weight consolidation: half the Fisher-weighted squared distance of parameters from their anchor.

    Kirkpatrick et al. 2017, https://arxiv.org/abs/1612.00796. Zero until a phase with `consolidate` has ended, or
    `Learner.consolidate()` was called.
    """

    kind: Literal["ewc"]
    """The objective\'s kind."""
    parameters: NodePattern | tuple[NodePattern, ...] = "all"
    """The nodes whose parameters are held."""


ObjectiveSpec = Annotated[
    CrossEntropySpec | BinaryCrossEntropySpec | MeanSquaredErrorSpec | VICRegSpec | L1Spec | L2Spec | EWCSpec,
    Field(discriminator="kind"),
]


class TaskObjectiveSpec(_ObjectiveSpec):
    """Changes to the objective that a task makes of itself."""

    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    """For multiclass tasks: the share of the target that is spread over all classes."""
    positive_weight: Annotated[float, Field(gt=0)] | None = None
    """For binary and multilabel tasks: what the loss of a positive row, or of a label that it has, is multiplied by."""


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
