"""Objectives that keep what was learned before."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jumpml.core._objective_base import ObjectiveBase, Positive
from jumpml.core._spec import NodePattern

Patterns = NodePattern | tuple[NodePattern, ...]


class EWCSpec(ObjectiveBase):
    """Elastic weight consolidation: half the Fisher-weighted squared distance of parameters from their anchors.

    Kirkpatrick et al. 2017, https://arxiv.org/abs/1612.00796. Zero until a phase with `consolidate` has ended, or
    `Learner.consolidate()` was called.
    """

    kind: Literal["ewc"]
    """The objective's kind."""
    parameters: Patterns = "all"
    """The nodes whose parameters are held."""
    fisher: Literal["observed", "sampled", "batched"] = "observed"
    """The Fisher information from one gradient a row, with the row's own target (`observed`) or one drawn from what the
    model predicts (`sampled`); or `batched`, from one gradient a batch: that is far smaller, by orders of magnitude, so
    that another `weight` is right."""
    rows: Annotated[int, Field(ge=1)] = 512
    """The train rows that it is estimated on, spread evenly over those of the phase."""
    gamma: Annotated[float, Field(ge=0, le=1)] | None = None
    """Online EWC (Schwarz et al. 2018, https://arxiv.org/abs/1805.06370): one anchor, the latest, and what the Fisher
    information was before counts so much; plain EWC, a term for each consolidation, where left out."""


class SISpec(ObjectiveBase):
    """Synaptic intelligence: parameters are held by what their steps have done for the loss.

    Zenke et al. 2017, https://arxiv.org/abs/1703.04200. Zero until a phase with `consolidate` has ended.
    """

    kind: Literal["si"]
    """The objective's kind."""
    parameters: Patterns = "all"
    """The nodes whose parameters are held."""
    damping: Positive = 0.1
    """What keeps the importance of a parameter that has hardly moved within bounds."""


class L2SPSpec(ObjectiveBase):
    """Half the squared distance of parameters from those that learning started with, or from earlier ones.

    Li et al. 2018, https://arxiv.org/abs/1802.01483.
    """

    kind: Literal["l2_sp"]
    """The objective's kind."""
    parameters: Patterns = "all"
    """The nodes whose parameters are held."""
    anchor: Literal["start", "consolidated"] = "start"
    """Where they are held: at the weights that learning starts from, or at those when a phase with `consolidate` ended,
    and nowhere before."""


class LwFSpec(ObjectiveBase):
    """Learning without forgetting: an output is to stay near that of the model as it was, on the rows of now.

    Li & Hoiem 2016, https://arxiv.org/abs/1606.09282. Zero until a phase with `consolidate` has ended.
    """

    kind: Literal["lwf"]
    """The objective's kind."""
    inputs: str
    """The node whose output it is, such as a task's."""
    temperature: Positive = 2.0
    """What the logits of classes and labels are divided by."""
