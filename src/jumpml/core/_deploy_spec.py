"""The deploy file: which variants of the model to make, and what they must hold."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from jumpml.core._spec import FileSpec, Name, Spec, exactly_one

Epochs = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]


class QuantizeSpec(Spec):
    """Whole-number weights and activations."""

    scheme: Literal["int8_static"] = "int8_static"
    """ONNX Runtime's static int8, calibrated on train rows."""
    calibration_rows: Annotated[int, Field(ge=1)] = 512
    """Train rows that set the ranges of activations."""


class FactorizeSpec(Spec):
    """Each linear layer as two thin ones, by singular values, where that saves weights."""

    rank: Annotated[float, Field(gt=0, le=1)]
    """The share of the singular values that stays."""


class FineTuneSpec(Spec):
    """Training after the change, on the train rows with the tasks' own objectives."""

    epochs: Epochs
    """Passes over the train rows."""
    lr: Positive = 1e-4
    """Adam's learning rate."""


class DistillSpec(Spec):
    """A smaller model that learns the outputs of this one (Hinton et al. 2015, https://arxiv.org/abs/1503.02531)."""

    into: str
    """The smaller model's file, from the deploy file's folder; it has the same tasks."""
    epochs: Epochs
    """Passes over the train rows."""
    temperature: Positive = 4.0
    """What the logits of both are divided by."""
    lr: Positive = 1e-3
    """Adam's learning rate."""


_CHANGES = ("quantize", "factorize", "distill")


class VariantSpec(Spec):
    """One changed copy of the model: exactly one of quantize, factorize and distill."""

    model_config = ConfigDict(
        json_schema_extra={**exactly_one(*_CHANGES), "dependentRequired": {"fine_tune": ["factorize"]}}
    )

    quantize: QuantizeSpec | None = None
    """Fewer bits."""
    factorize: FactorizeSpec | None = None
    """Thinner layers."""
    distill: DistillSpec | None = None
    """Another, smaller model."""
    fine_tune: FineTuneSpec | None = None
    """Training after factorization."""

    @model_validator(mode="after")
    def _one_change(self) -> Self:
        given = [change for change in _CHANGES if getattr(self, change) is not None]
        if len(given) != 1:
            raise ValueError(f"expected exactly one of {', '.join(_CHANGES)}; got {', '.join(given) or 'none'}")
        if self.fine_tune and not self.factorize:
            raise ValueError("fine_tune goes with factorize: quantize cannot be trained, distill trains already")
        return self


class GateSpec(Spec):
    """What a variant must hold on the test rows to be bundled."""

    metric: str
    """`<task>/<metric>`."""
    max_drop: Annotated[float, Field(ge=0)] = 0.01
    """The most that the figure may be worse than the original's."""
    accept_undecided: bool = False
    """Bundle also what the test rows are too few to decide."""


class DeploySpec(FileSpec):
    """The deploy file: which variants of the model to make, and what they must hold."""

    variants: dict[Name, VariantSpec] = {}
    """Changed copies by name. The unchanged `float32` is always there."""
    gate: GateSpec | None = None
    """What a variant must hold; without it every variant that runs is bundled."""
    bundle: str = "bundles/model"
    """The folder to write, from the run's folder or, without a run, the current one."""

    @model_validator(mode="after")
    def _gate_has_something_to_judge(self) -> Self:
        if self.gate and not self.variants:
            raise ValueError("the gate judges variants, and there are none")
        return self
