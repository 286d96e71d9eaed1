"""Objectives that learn from rows without a target what the model itself says of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jumpml.core._objective_base import ObjectiveBase, Positive, Share, WeightSpec

Threshold = Annotated[float, Field(gt=0, lt=1)]


class PseudoLabelSpec(ObjectiveBase):
    """The model's own decision as the target, where it is sure enough (Lee 2013)."""

    kind: Literal["pseudo_label"]
    """The objective's kind."""
    inputs: str | tuple[str, str]
    """A task's output; and its target, whose rows with a value are left out, as in the paper. Without it all rows
    count."""
    threshold: Threshold = 0.95
    """The probability from which on a decision is learned."""


class FixMatchSpec(ObjectiveBase):
    """The decision on a weak view as the target of a strong one, where it is sure enough.

    Sohn et al. 2020, https://arxiv.org/abs/2001.07685.
    """

    kind: Literal["fixmatch"]
    """The objective's kind."""
    inputs: str
    """A task's output."""
    views: tuple[str, str]
    """The weak policy and the strong one."""
    threshold: Threshold = 0.95
    """The probability on the weak view from which on it is learned."""
    temperature: Positive | None = None
    """Where given, the target is the weak view's distribution, its logits divided by this, and not the likeliest class
    alone (Xie et al. 2020, https://arxiv.org/abs/1904.12848)."""


class MeanTeacherSpec(ObjectiveBase):
    """An output on one view agrees with that of a slow copy of the model, the momentum encoder, on another.

    Tarvainen & Valpola 2017, https://arxiv.org/abs/1703.01780.
    """

    kind: Literal["mean_teacher"]
    """The objective's kind."""
    inputs: str
    """A task's output."""
    views: str | tuple[str, str]
    """One policy, drawn twice, or two: the model's own, then the momentum encoder's."""
    momentum: Share | WeightSpec = 0.999
    """The share of the momentum encoder that stays at each update: a number, or a mapping with its way over the
    phase."""
