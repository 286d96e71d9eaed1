"""What a model file may ask to be minimised."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt

from jumpml.core._spec import NodePattern, Spec

Strength = Annotated[float, Field(ge=0)]


class _ObjectiveSpec(Spec):
    weight: Strength = 1.0
    """What the loss is multiplied by in the sum."""
    when: tuple[str, ...] | Literal["all"] = ("supervised",)
    """The phases in which it is active."""


class CrossEntropySpec(_ObjectiveSpec):
    """Softmax cross entropy of logits `[batch, classes]` against class codes `[batch]`."""

    kind: Literal["cross_entropy"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The logits and the target field."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of the target that is spread over all classes."""


class BinaryCrossEntropySpec(_ObjectiveSpec):
    """Sigmoid cross entropy of logits against 0 and 1: one a row, or one a label, whose losses are averaged."""

    kind: Literal["binary_cross_entropy"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The logits and the target field."""
    positive_weight: Annotated[float, Field(gt=0)] = 1.0
    """What the loss of a positive row, or of a label that a row has, is multiplied by."""


class MeanSquaredErrorSpec(_ObjectiveSpec):
    """Squared difference, averaged over each row's elements."""

    kind: Literal["mse"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The prediction and the target."""


class VICRegSpec(_ObjectiveSpec):
    """Variance-invariance-covariance regularization of two views (Bardes et al. 2022, https://arxiv.org/abs/2105.04906)."""

    kind: Literal["vicreg"]
    """The objective's kind."""
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
    """The objective's kind."""
    inputs: str
    """The node."""


class L2Spec(_ObjectiveSpec):
    """Mean square of a node's output."""

    kind: Literal["l2"]
    """The objective's kind."""
    inputs: str
    """The node."""


class EWCSpec(_ObjectiveSpec):
    """Elastic weight consolidation: half the Fisher-weighted squared distance of parameters from their anchor.

    Kirkpatrick et al. 2017, https://arxiv.org/abs/1612.00796. Zero until a phase with `consolidate` has ended, or
    `Learner.consolidate()` was called.
    """

    kind: Literal["ewc"]
    """The objective's kind."""
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
