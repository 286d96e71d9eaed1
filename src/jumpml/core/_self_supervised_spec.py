"""Objectives that need no target."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from jumpml.core._objective_base import ObjectiveBase, Strength


class VICRegSpec(ObjectiveBase):
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
