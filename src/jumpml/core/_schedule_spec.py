"""What the learner file says of how the learning rate moves."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from jumpml.core._spec import Spec, exactly_one

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
By = Literal["step", "epoch"]


class WarmupSpec(Spec):
    """A straight rise to the phase's learning rate, of so many epochs or steps."""

    model_config = ConfigDict(json_schema_extra=exactly_one("epochs", "steps"))

    epochs: Positive | None = None
    """Its epochs; fractions count."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Its steps."""
    start: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of the rate from which it rises; the first step is already above it."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(f"expected either epochs or steps, got {'neither' if self.epochs is None else 'both'}")
        return self


class ScheduleBase(Spec):
    """What every schedule says."""

    epochs: Positive | None = None
    """In a list: its length; the last schedule of a list takes what is left."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Likewise, in steps."""


class WarmedSpec(ScheduleBase):
    """What every schedule says that begins with the phase's learning rate."""

    warmup: Annotated[float, Field(gt=0, lt=1)] | WarmupSpec | None = None
    """A rise before it: the share of its steps, or a mapping with `epochs` or `steps`."""


class ConstantSpec(WarmedSpec):
    """The same rate throughout."""

    kind: Literal["constant"]
    """The schedule's kind."""
    lr: Positive | None = None
    """The rate; the phase's where nothing is said."""


class LinearSpec(WarmedSpec):
    """A straight line, in a list also to warm up."""

    kind: Literal["linear"]
    """The schedule's kind."""
    start_lr: NotNegative | None = None
    """The first rate; the phase's where nothing is said."""
    end_lr: NotNegative | None = 0.0
    """The last rate; the phase's where it is null."""
    by: By = "step"
    """Whether the rate moves with every step, or is the same within an epoch."""


class CosineSpec(WarmedSpec):
    """Half a cosine from the phase's learning rate to `min_lr` (Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983)."""

    kind: Literal["cosine"]
    """The schedule's kind."""
    min_lr: NotNegative = 0.0
    """The last learning rate."""
    by: By = "step"
    """Whether the rate moves with every step, or is the same within an epoch."""


class OneCycleSpec(ScheduleBase):
    """Warm up to `max_lr`, then anneal to nearly zero, over the phase (Smith & Topin 2018, https://arxiv.org/abs/1708.07120)."""

    kind: Literal["one_cycle"]
    """The schedule's kind."""
    max_lr: Positive
    """The highest learning rate."""
    warmup: Annotated[float, Field(gt=0, lt=1)] = 0.3
    """The share of the phase's steps that warm up."""
    by: By = "step"
    """Whether the rate moves with every step, or is the same within an epoch."""


class PlateauSpec(WarmedSpec):
    """Lower the rate whenever a figure on the validation rows has not become better for a while."""

    kind: Literal["plateau"]
    """The schedule's kind."""
    metric: str = "val/loss"
    """`val/<task>/<metric>`, `val/embedding/<node>/<figure>` or `val/loss`."""
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """What the rate is multiplied by."""
    patience: Annotated[int, Field(ge=0)] = 10
    """Epochs without a better figure that are put up with."""
    min_delta: NotNegative = 0.0
    """What counts as better differs by more than this."""
    cooldown: Annotated[int, Field(ge=0)] = 0
    """Epochs after a cut in which none is counted."""
    min_lr: NotNegative = 0.0
    """The rate does not fall below this."""
    mode: Literal["auto", "max", "min"] = "auto"
    """Whether more is better; `auto` asks the metric."""


class TorchSpec(WarmedSpec):
    """A class of `torch.optim.lr_scheduler`."""

    kind: Literal["torch"]
    """The schedule's kind."""
    name: str
    """The class, such as `StepLR`."""
    args: dict[str, Any] = {}
    """Its arguments, beside the optimizer."""
    by: By = "step"
    """Whether it is stepped after every step or every epoch: its arguments count these."""


ScheduleSpec = Annotated[
    OneCycleSpec | CosineSpec | ConstantSpec | LinearSpec | PlateauSpec | TorchSpec, Field(discriminator="kind")
]


def _one_or_several(value: Any) -> str:
    return "(several)" if isinstance(value, (list, tuple)) else "(one)"


Schedules = Annotated[
    Annotated[ScheduleSpec, Tag("(one)")] | Annotated[tuple[ScheduleSpec, ...], Field(min_length=1), Tag("(several)")],
    Discriminator(_one_or_several),
]
"""One schedule, or several that follow each other."""
