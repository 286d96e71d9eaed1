"""What a model file may ask to be minimised."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, PositiveInt

from jumpml.core._errors import did_you_mean
from jumpml.core._spec import NodePattern, Spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core._tasks import TaskKind

Strength = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Power = Annotated[float, Field(ge=0)]
ClassWeights = Literal["balanced"] | tuple[Strength, ...] | dict[str, Strength]
PositiveWeight = Literal["balanced"] | Positive


class _ObjectiveSpec(Spec):
    weight: Strength = 1.0
    """What the loss is multiplied by in the sum."""
    when: tuple[str, ...] | Literal["all"] = ("supervised",)
    """The phases in which it is active."""


class CrossEntropySpec(_ObjectiveSpec):
    """Softmax cross entropy of logits `[batch, classes, *]` against class codes `[batch, *]`.

    A row's loss is the mean over its positions (pixels, tokens) whose code is there.
    """

    kind: Literal["cross_entropy"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The logits and the target field."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of the target that is spread over all classes."""
    class_weights: ClassWeights | None = None
    """What the loss of each class is multiplied by: a list, weights by the classes' names (1 where one is left out), or
    `balanced`, by the counts of the train rows."""
    focal: Power = 0.0
    """The power of one minus a class's probability that its loss is multiplied by, so that what is learned already
    counts less (Lin et al. 2017, https://arxiv.org/abs/1708.02002, who take 2); 0 switches it off."""


class BinaryCrossEntropySpec(_ObjectiveSpec):
    """Sigmoid cross entropy of logits against 0 and 1: one a row, or one a label, whose losses are averaged."""

    kind: Literal["binary_cross_entropy"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The logits and the target field."""
    positive_weight: PositiveWeight = 1.0
    """What the loss of a positive row, or of a label that a row has, is multiplied by; with `balanced` the train rows'
    negatives over their positives, of a category of two classes."""
    focal: Power = 0.0
    """The power of one minus the probability of what is true that a loss is multiplied by, so that what is learned
    already counts less (Lin et al. 2017, https://arxiv.org/abs/1708.02002, who take 2); 0 switches it off."""


class MeanSquaredErrorSpec(_ObjectiveSpec):
    """Squared difference, averaged over each row's elements."""

    kind: Literal["mse"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The prediction and the target."""


class QuantileSpec(_ObjectiveSpec):
    """Pinball loss, whose least is at the quantiles of the target (Koenker & Bassett 1978, https://doi.org/10.2307/1913643)."""

    kind: Literal["quantile"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The prediction, one number for each element and quantile (the last axis, or the innermost of a flat row), and the
    target."""
    quantiles: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1)] = (0.1, 0.5, 0.9)
    """In (0, 1), rising."""


class ContrastiveSpec(_ObjectiveSpec):
    """Pairs that belong together are drawn near, the others pushed apart up to a margin.

    Hadsell et al. 2006, https://doi.org/10.1109/CVPR.2006.100.
    """

    kind: Literal["contrastive"]
    """The objective's kind."""
    inputs: tuple[str, str, str]
    """Both embeddings, and whether they belong together: a number that is 0 or 1, or a category of two classes."""
    margin: Positive = 1.0
    """The distance at which a pair is far enough apart."""


class SupervisedContrastiveSpec(_ObjectiveSpec):
    """Rows of one class are drawn together and apart from the batch's others.

    Khosla et al. 2020, https://arxiv.org/abs/2004.11362.
    """

    kind: Literal["supervised_contrastive"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The embedding `[batch, width]` and class codes `[batch]`."""
    temperature: Positive = 0.1
    """What similarities are divided by."""
    views: str | tuple[str, str] | None = None
    """One policy, drawn twice, or two policies; without one the plain rows are compared."""


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
    CrossEntropySpec
    | BinaryCrossEntropySpec
    | MeanSquaredErrorSpec
    | QuantileSpec
    | ContrastiveSpec
    | SupervisedContrastiveSpec
    | VICRegSpec
    | L1Spec
    | L2Spec
    | EWCSpec,
    Field(discriminator="kind"),
]


OBJECTIVE_SPECS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {get_args(spec.model_fields["kind"].annotation)[0]: spec for spec in get_args(get_args(ObjectiveSpec)[0])}
)


class TaskObjectiveSpec(_ObjectiveSpec):
    """Changes to the objective that a task makes of itself, or another kind in its place with that kind's options."""

    kind: str | None = None
    """Another kind of objective that fits the task, such as `huber` for a regression; the task's own where left out."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Of `cross_entropy`: the share of the target that is spread over all classes."""
    class_weights: ClassWeights | None = None
    """Of `cross_entropy`: what the loss of each class is multiplied by: a list, weights by the classes' names, or
    `balanced`."""
    focal: Power | None = None
    """Of `cross_entropy` and `binary_cross_entropy`: the power of one minus the probability of what is true that a loss
    is multiplied by."""
    positive_weight: PositiveWeight | None = None
    """Of `binary_cross_entropy`: what the loss of a positive row, or of a label that it has, is multiplied by, or
    `balanced`."""

    def options(self) -> dict[str, Any]:
        """The options of the objective's kind that are given."""
        return self.model_dump(exclude_none=True, exclude={"kind", "weight", "when"})

    def misfit(self, task: TaskKind) -> str:
        """What does not fit a kind of task, or nothing."""
        fitting = (task.objective, *task.others)
        kind = self.kind or task.objective
        if kind not in fitting:
            return f"objective.kind: {kind!r} does not fit a {task.name} task. {did_you_mean(kind, fitting)}"
        for option in self.options():
            if option not in OBJECTIVE_SPECS[kind].model_fields:
                owners = [name for name, spec in OBJECTIVE_SPECS.items() if option in spec.model_fields]
                whose = f"the objective of this {task.name} task is {kind}"
                return f"objective.{option} is an option of {' and '.join(owners)}; {whose}"
        return ""
