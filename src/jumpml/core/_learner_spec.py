"""The learner file: how to learn."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from jumpml.core._adapt_spec import AdaptSpec
from jumpml.core._balance_spec import BalanceSpec, SumSpec
from jumpml.core._curriculum_spec import CurriculumSpec
from jumpml.core._distribute_spec import DistributeSpec, OneProcessSpec
from jumpml.core._embeddings_spec import EmbeddingsSpec
from jumpml.core._grow_spec import GrowSpec
from jumpml.core._initialize_spec import InitializeSpec
from jumpml.core._optimizer_spec import OptimizerSpec
from jumpml.core._schedule_spec import Schedules
from jumpml.core._spec import FileSpec, Name, NodePattern, Seed, Spec, exactly_one

Positive = Annotated[float, Field(gt=0)]


class PhaseSpec(Spec):
    """A stretch of training: which nodes train, and for how long."""

    epochs: Annotated[int, Field(ge=0)] | None = None
    """Passes over the train rows; 10 where nothing is said, 0 leaves the phase out."""
    data: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """The data set of the data file whose train rows it learns from, or several; all of them where nothing is said."""
    train: NodePattern | tuple[NodePattern, ...] = "all"
    """The nodes that train; every other is frozen: no gradient, evaluation mode."""
    freeze: tuple[NodePattern, ...] = ()
    """Nodes that stay frozen though `train` names them."""
    lr: Positive | None = None
    """A learning rate for this phase; the optimizer's own where nothing is said. Its groups keep their ratio to it."""
    schedule: Schedules | None = None
    """A schedule for this phase; the learner's where nothing is said."""
    consolidate: bool = False
    """At the phase's end, let every objective that keeps what was learned (`ewc`, `si`, `lwf`, and `l2_sp` with
    `anchor: consolidated`) take the model as it is then."""


class EMASpec(Spec):
    """An exponential moving average of the weights, for evaluation and deployment."""

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.999
    """The share of the old average that stays at each step; less at first, so that a short run is not held back."""


class SWASpec(Spec):
    """The mean of the weights at the ends of a phase's last epochs (Izmailov et al. 2018, https://arxiv.org/abs/1803.05407)."""

    start: Annotated[float, Field(ge=0, lt=1)] = 0.75
    """The share of the phase's epochs that are over before the first is averaged."""
    lr: Positive | None = None
    """The rate at which weights are averaged; the phase's schedule goes on where nothing is said."""
    anneal: Annotated[float, Field(ge=0)] = 1.0
    """With `lr`: epochs that the way to it takes, from where the schedule has come to."""
    phase: str = "supervised"
    """The phase."""


class TaskStopSpec(Spec):
    """When a task has learned enough, and is left out while others go on."""

    metric: str
    """A metric of the task, on the validation rows: `accuracy`, `rmse`."""
    patience: Annotated[int, Field(ge=0)] = 5
    """Epochs of the phase without a better figure that are put up with, however many of their updates the task had."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """What counts as better differs by more than this."""
    mode: Literal["auto", "max", "min"] = "auto"
    """Whether more is better; `auto` asks the metric."""


class EarlyStopSpec(Spec):
    """When a phase is over before its epochs are, and when a task is."""

    metric: str | None = None
    """`val/<task>/<metric>`, `val/embedding/<node>/<figure>` or `val/loss`. Phases in which it is not measured run all
    their epochs. Where nothing is said, `val/loss`, or none where `tasks` are named."""
    patience: Annotated[int, Field(ge=0)] = 5
    """Epochs without a better figure that are put up with."""
    min_delta: Annotated[float, Field(ge=0)] = 0.0
    """What counts as better differs by more than this."""
    mode: Literal["auto", "max", "min"] = "auto"
    """Whether more is better; `auto` asks the metric."""
    tasks: dict[str, TaskStopSpec] = {}
    """By task, when it is left out of what remains of a phase: its losses no longer count, and the nodes that no other
    task reads are frozen. Where all are, the phase is over."""

    @property
    def watched(self) -> str | None:
        """The figure that the phase goes by."""
        return self.metric or (None if self.tasks else "val/loss")


class EverySpec(Spec):
    """How often a checkpoint is written: by epochs or by steps."""

    model_config = ConfigDict(json_schema_extra=exactly_one("epochs", "steps"))

    epochs: Annotated[int, Field(ge=1)] | None = None
    """After so many epochs."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """After so many steps."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(f"expected either epochs or steps, got {'neither' if self.epochs is None else 'both'}")
        return self


class BestSpec(Spec):
    """Which checkpoint is the best, by a figure on the validation rows."""

    metric: str
    """`val/<task>/<metric>`, `val/embedding/<node>/<figure>` or `val/loss`."""
    mode: Literal["auto", "max", "min"] = "auto"
    """Whether more is better; `auto` asks the metric."""


class CheckpointSpec(Spec):
    """When checkpoints are written, and which are kept."""

    every: EverySpec = EverySpec(epochs=1)
    """How often; one is written at each phase's start and end too."""
    keep: Annotated[int, Field(ge=1)] = 3
    """How many of the newest stay."""
    best: BestSpec | None = None
    """Keep the best too, and evaluate and deploy it; the last where nothing is said."""


class _ReplaySpec(Spec):
    rows: Annotated[int, Field(ge=1)] = 500
    """How many rows are kept, each as likely as any other that was served."""
    batch: Annotated[int, Field(ge=1)] = 32
    """How many of them are learned again at each step."""
    when: tuple[str, ...] | Literal["all"] = "all"
    """The phases in which rows are kept and replayed; they must learn from the same fields."""


class ReservoirSpec(_ReplaySpec):
    """Learn rows of before again (Vitter 1985, https://doi.org/10.1145/3147.3165, says which are kept)."""

    kind: Literal["reservoir"]
    """The rows and their targets."""
    beta: Positive = 1.0
    """What their losses are multiplied by, beside the objectives' weights."""


class DERSpec(_ReplaySpec):
    """Dark experience replay: outputs are to stay what they were, too (Buzzega et al. 2020, https://arxiv.org/abs/2004.07211)."""

    kind: Literal["der++"]
    """The rows, their targets, and the tasks' outputs when they came by."""
    alpha: Positive = 0.5
    """What the mean squared difference from those outputs is multiplied by."""
    beta: Annotated[float, Field(ge=0)] = 1.0
    """What their losses are multiplied by, beside the objectives' weights; 0 leaves the outputs alone."""


ReplaySpec = Annotated[ReservoirSpec | DERSpec, Field(discriminator="kind")]


LogKind = Literal["progress", "jsonl", "csv", "tensorboard", "mlflow", "wandb"]


class CompileSpec(Spec):
    """How `torch.compile` compiles."""

    backend: str = "inductor"
    """What compiles."""
    mode: Literal["reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"] | None = None
    """What inductor takes the trouble to do; its own default where nothing is said."""


class LearnerSpec(FileSpec):
    """The learner file: how to learn."""

    optimizer: OptimizerSpec = OptimizerSpec()
    """For `jumpml run`; one that is given in code wins."""
    seed: Seed = 0
    """Another seed draws other orders, augmentations and dropout masks."""
    device: str = "auto"
    """`auto`, `cpu`, `cuda`, `cuda:1`, `mps`. Of several processes each takes a GPU of its own, where it is `auto` or
    `cuda`."""
    distribute: DistributeSpec = OneProcessSpec(kind="none")
    """With `ddp`, the processes that `torchrun` has started learn together: each from its share of every batch, and
    `batch_size` is that of the whole batch. One process learns as without."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Batches of an update. Their rows together are as one batch, however the missing targets are spread: what a step
    needs in memory is one batch, what it learns from is so many."""
    clip_norm: Positive | None = None
    """Scale the gradient down to this norm where it is longer."""
    clip_value: Positive | None = None
    """Cut each element of the gradient off at this size."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """What matrices are multiplied in. Weights, optimizer and validation are float32 in any case; with `float16` losses
    are scaled, and an update whose gradients overflow is left out."""
    compile: bool | CompileSpec = False
    """Make code of each phase's forward pass and losses, which takes a while at the phase's start; or a mapping that
    says how."""
    channels_last: bool = False
    """Let images and their weights lie in memory pixel by pixel, which convolutions are often quicker on."""
    schedule: Schedules | None = None
    """How the learning rate moves within a phase; a list of schedules that follow each other will do too."""
    initialize: InitializeSpec = InitializeSpec()
    """The weights that it begins with; a run that goes on has its own."""
    phases: dict[Name, PhaseSpec] = {}
    """Phases by name, in their order. `self_supervised` and `supervised` are there already."""
    balance: BalanceSpec = SumSpec(kind="sum")
    """What each objective counts beside its own weight: their sum as it is, or by what their losses or gradients are
    like."""
    curriculum: CurriculumSpec | None = None
    """What is learned from next, by what it brings: what comes, which rows may come yet, and what single rows count."""
    replay: ReplaySpec | None = None
    """Keep rows that were learned from, and learn them again beside those of later phases."""
    ema: EMASpec | None = None
    """Average the weights."""
    swa: SWASpec | None = None
    """Average the weights of the last epochs instead."""
    early_stop: EarlyStopSpec | None = None
    """End a phase that no longer gets better."""
    statistics: bool = False
    """Log, by node, the gradient's norm, the update's size beside the weights', the share of units without a gradient,
    and the size of what the node gives; of one step each time that the log is written."""
    embeddings: tuple[EmbeddingsSpec, ...] = ()
    """Nodes whose values are measured as embeddings at the ends of epochs, with labels or without; the card shows a map
    of each. A node stands here once."""
    grow: tuple[GrowSpec, ...] = ()
    """What is done to the model while it learns, and when; it computes the same afterwards, and can learn more."""
    adapt: AdaptSpec | None = None
    """Let a copy of the model adapt to the test rows, without their labels, and tell its figures beside the model's."""
    checkpoint: CheckpointSpec | None = CheckpointSpec()
    """What is saved; `null` saves nothing, and then nothing can be resumed."""
    record_examples: bool = True
    """Keep loss, margin and correctness by example and epoch: hard examples need no second run. Not where augmentation
    mixes rows (mixup, cutmix): no loss is one row's own then."""
    log: tuple[LogKind, ...] = ("progress", "jsonl", "tensorboard")
    """Where figures go while learning: a terminal, files of the run's folder, or a service of experiments, which stays
    on this machine unless MLFLOW_TRACKING_URI or WANDB_MODE says otherwise."""
