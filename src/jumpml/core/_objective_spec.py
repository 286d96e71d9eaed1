"""What a model file may ask to be minimised."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import BaseModel, Field

from jumpml.core._continual_spec import EWCSpec, L2SPSpec, LwFSpec, SISpec
from jumpml.core._errors import did_you_mean
from jumpml.core._foreign_spec import BroughtLossSpec, FunctionSpec, LossModuleSpec
from jumpml.core._latent_spec import JEPASpec, LatentPredictionSpec
from jumpml.core._masked_spec import MaskedSpec, PretextSpec, VIMESpec
from jumpml.core._objective_base import ClassWeights, ObjectiveBase, Positive, PositiveWeight, Power
from jumpml.core._penalty_spec import L1Spec, L2Spec, OrthogonalitySpec, TotalVariationSpec
from jumpml.core._relation_spec import (
    BatchHardTripletSpec,
    CKASpec,
    ContrastiveSpec,
    CosineSpec,
    DecorrelationSpec,
    JacobianSpec,
    RankingSpec,
    SupervisedContrastiveSpec,
    TripletSpec,
)
from jumpml.core._self_supervised_spec import (
    BarlowTwinsSpec,
    BYOLSpec,
    CLIPSpec,
    DINOSpec,
    LeJEPASpec,
    MoCoSpec,
    NTXentSpec,
    SimSiamSpec,
    SwAVSpec,
    VICRegSpec,
)
from jumpml.core._semi_supervised_spec import FixMatchSpec, MeanTeacherSpec, PseudoLabelSpec
from jumpml.core._sequence_spec import CPCSpec, NextTokenSpec, NextValueSpec, TS2VecSpec
from jumpml.core._supervised_spec import (
    BinaryCrossEntropySpec,
    CornSpec,
    CrossEntropySpec,
    CTCSpec,
    DiceSpec,
    GaussianNLLSpec,
    HuberSpec,
    KullbackLeiblerSpec,
    MeanAbsoluteErrorSpec,
    MeanSquaredErrorSpec,
    PoissonNLLSpec,
    QuantileSpec,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core._tasks import TaskKind

ObjectiveSpec = Annotated[
    CrossEntropySpec
    | BinaryCrossEntropySpec
    | CornSpec
    | MeanSquaredErrorSpec
    | MeanAbsoluteErrorSpec
    | HuberSpec
    | GaussianNLLSpec
    | PoissonNLLSpec
    | QuantileSpec
    | KullbackLeiblerSpec
    | CTCSpec
    | DiceSpec
    | CosineSpec
    | ContrastiveSpec
    | SupervisedContrastiveSpec
    | TripletSpec
    | BatchHardTripletSpec
    | RankingSpec
    | CKASpec
    | DecorrelationSpec
    | JacobianSpec
    | VICRegSpec
    | NTXentSpec
    | CLIPSpec
    | BarlowTwinsSpec
    | SimSiamSpec
    | BYOLSpec
    | MoCoSpec
    | DINOSpec
    | SwAVSpec
    | LeJEPASpec
    | MaskedSpec
    | VIMESpec
    | PretextSpec
    | PseudoLabelSpec
    | FixMatchSpec
    | MeanTeacherSpec
    | LatentPredictionSpec
    | JEPASpec
    | TS2VecSpec
    | CPCSpec
    | NextValueSpec
    | NextTokenSpec
    | L1Spec
    | L2Spec
    | OrthogonalitySpec
    | TotalVariationSpec
    | EWCSpec
    | SISpec
    | L2SPSpec
    | LwFSpec
    | BroughtLossSpec
    | LossModuleSpec
    | FunctionSpec,
    Field(discriminator="kind"),
]
OBJECTIVE_SPECS: Mapping[str, type[BaseModel]] = MappingProxyType(
    {get_args(spec.model_fields["kind"].annotation)[0]: spec for spec in get_args(get_args(ObjectiveSpec)[0])}
)


class TaskObjectiveSpec(ObjectiveBase):
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
    delta: Positive | None = None
    """Of `huber`: the difference at which the line begins."""
    smooth: Positive | None = None
    """Of `dice`: what is added above and below, so that a class that is neither predicted nor there loses nothing."""
    module: str | None = None
    """Of `module`: the dotted name of a loss, such as `torch.nn.SmoothL1Loss`."""
    function: str | None = None
    """Of `function`: such as `my_package.losses:log_cosh`."""
    args: dict[str, Any] | None = None
    """Of `module` and `function`: the loss's own arguments."""
    per_example: bool | None = None
    """Of `function`: whether it returns one loss a row."""
    temperature: Positive | None = None
    """Of `supervised_contrastive`: what similarities are divided by."""
    margin: Positive | None = None
    """Of `batch_hard_triplet`: by how much a row of another class is to be farther."""

    def options(self) -> dict[str, Any]:
        """The options of the objective's kind that are given."""
        return self.model_dump(exclude_none=True, exclude={"kind", "weight", "when"})

    def misfit(self, task: TaskKind) -> str:
        """What does not fit a kind of task, or nothing."""
        fitting = (task.objective, *task.others, "module", "function")
        kind = self.kind or task.objective
        if kind not in fitting:
            return f"objective.kind: {kind!r} does not fit a {task.name} task. {did_you_mean(kind, fitting)}"
        given = self.options()
        for option, needed in OBJECTIVE_SPECS[kind].model_fields.items():
            if needed.is_required() and option not in {*given, "kind", "inputs"}:
                return f"objective.{option} is missing; kind: {kind} needs it"
        for option in given:
            if option not in OBJECTIVE_SPECS[kind].model_fields:
                owners = [name for name, spec in OBJECTIVE_SPECS.items() if option in spec.model_fields]
                whose = f"the objective of this {task.name} task is {kind}"
                return f"objective.{option} is an option of {' and '.join(owners)}; {whose}"
        return ""
