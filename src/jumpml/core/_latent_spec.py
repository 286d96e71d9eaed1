"""Objectives that foretell what a slow copy of the model makes of what a view hid."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from jumpml.core._objective_base import ObjectiveBase, Share, Strength, WeightSpec


class LatentPredictionSpec(ObjectiveBase):
    """The vectors of hidden positions are to become those that the momentum encoder gives of the whole row.

    After data2vec, Baevski et al. 2022, https://arxiv.org/abs/2202.03555.
    """

    kind: Literal["latent_prediction"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The node, and the field that the view hides parts of."""
    views: str
    """The view, whose step `hide` hides them; it is drawn once."""
    predictor: tuple[PositiveInt, ...] = ()
    """Widths of the layers before the linear one that foretells; they belong to the objective and are not deployed."""
    beta: Strength = 0.0
    """The difference at which a square becomes a line (smooth L1); 0 for squares everywhere."""
    momentum: Share | WeightSpec = 0.999
    """The share of the momentum encoder that stays at each update: a number, or a mapping with its way over the
    phase."""


class JEPASpec(ObjectiveBase):
    """A small transformer foretells the momentum encoder's vectors of hidden positions from the positions left.

    After I-JEPA, Assran et al. 2023, https://arxiv.org/abs/2301.08243.
    """

    kind: Literal["jepa"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The node, which gives a vector a position, and the field that the view hides parts of."""
    views: str
    """The view, whose step `hide` hides them; it is drawn once."""
    width: PositiveInt = 64
    """Of the transformer's vectors; a multiple of `heads`. It belongs to the objective and is not deployed."""
    depth: PositiveInt = 2
    """How many layers it has."""
    heads: PositiveInt = 4
    """Of each layer's attention."""
    beta: Strength = 1.0
    """The difference at which a square becomes a line (smooth L1); 0 for squares everywhere."""
    momentum: Share | WeightSpec = 0.996
    """The share of the momentum encoder that stays at each update: a number, or a mapping with its way over the
    phase."""
