"""Objectives that need no target, on the steps of series, sounds and texts."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from jumpml.core._objective_base import ObjectiveBase, Share


class TS2VecSpec(ObjectiveBase):
    """Vectors of steps agree on two views, told from other rows and other steps at every scale of time.

    Yue et al. 2022, https://arxiv.org/abs/2106.10466.
    """

    kind: Literal["ts2vec"]
    """The objective's kind."""
    inputs: str
    """The node, `[batch, steps, width]`."""
    views: str | tuple[str, str]
    """One policy, drawn twice, or two policies; they must leave steps where they are."""
    instance: Share = 0.5
    """How much the contrast with other rows counts; that with other steps counts the rest."""


class CPCSpec(ObjectiveBase):
    """A context foretells the latent vectors to come, told from those of the batch's other rows.

    Contrastive predictive coding, van den Oord et al. 2018, https://arxiv.org/abs/1807.03748.
    """

    kind: Literal["cpc"]
    """The objective's kind."""
    inputs: str | tuple[str, str]
    """The latent vectors, `[batch, steps, width]`, and the context of as many steps that reads them up to there; the
    latent vectors themselves where it is left out."""
    ahead: PositiveInt = 4
    """How many steps are foretold."""


class NextValueSpec(ObjectiveBase):
    """A causal node foretells at each step the next values of the series that it reads."""

    kind: Literal["next_value"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The node, `[batch, steps, width]`, and the series."""
    horizon: PositiveInt = 1
    """How many steps are foretold."""


class NextTokenSpec(ObjectiveBase):
    """A causal node foretells at each token of a text the next one."""

    kind: Literal["next_token"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The node, `[batch, length, width]`, and the text."""
    vocabulary: PositiveInt | None = None
    """How many tokens there are; what the data says where left out."""
