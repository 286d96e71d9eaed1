"""Objectives on how rows, or values of one row, stand to each other."""

from __future__ import annotations

from typing import Literal

from pydantic import NonNegativeInt

from jumpml.core._objective_base import ObjectiveBase, Positive


class ContrastiveSpec(ObjectiveBase):
    """Pairs that belong together are drawn near, the others pushed apart up to a margin.

    Hadsell et al. 2006, https://doi.org/10.1109/CVPR.2006.100.
    """

    kind: Literal["contrastive"]
    """The objective's kind."""
    inputs: tuple[str, str, str]
    """Both embeddings, and whether they belong together: a number that is 0 or 1, or a category of two classes."""
    margin: Positive = 1.0
    """The distance at which a pair is far enough apart."""


class SupervisedContrastiveSpec(ObjectiveBase):
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


class CosineSpec(ObjectiveBase):
    """One minus the cosine between two vectors."""

    kind: Literal["cosine"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """Two values of one shape, each row as one vector."""


class TripletSpec(ObjectiveBase):
    """An anchor is nearer to its like than to another, by a margin.

    Schroff et al. 2015, https://arxiv.org/abs/1503.03832.
    """

    kind: Literal["triplet"]
    """The objective's kind."""
    inputs: tuple[str, str, str]
    """The anchor, its like and another, of one shape."""
    margin: Positive = 1.0
    """By how much."""


class BatchHardTripletSpec(ObjectiveBase):
    """Each row with the farthest of its class and the nearest of any other in the batch, as a triplet.

    Hermans et al. 2017, https://arxiv.org/abs/1703.07737.
    """

    kind: Literal["batch_hard_triplet"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The embedding `[batch, width]` and class codes `[batch]`."""
    margin: Positive = 1.0
    """By how much the stranger is to be farther."""


class RankingSpec(ObjectiveBase):
    """Of each two rows the one with the larger target has the larger score.

    RankNet, Burges et al. 2005, https://doi.org/10.1145/1102351.1102363, or with a margin.
    """

    kind: Literal["ranking"]
    """The objective's kind."""
    inputs: tuple[str, str] | tuple[str, str, str]
    """The score, what orders the rows, and where only rows of one group are compared, the group's code."""
    margin: Positive | None = None
    """By how much scores are to differ; a smooth loss where left out."""


class CKASpec(ObjectiveBase):
    """One minus the centred kernel alignment of two nodes: 0 where their rows lie alike but for turning and scale.

    Kornblith et al. 2019, https://arxiv.org/abs/1905.00414.
    """

    kind: Literal["cka"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """Two nodes, or a node and a field."""


class DecorrelationSpec(ObjectiveBase):
    """Features that tell nothing of each other: the mean square of their correlations over the batch.

    After Cogswell et al. 2016, https://arxiv.org/abs/1511.06068.
    """

    kind: Literal["decorrelation"]
    """The objective's kind."""
    inputs: str | tuple[str, str]
    """One node, whose features are compared with each other, or two; `[batch, width]`."""


class JacobianSpec(ObjectiveBase):
    """The squared norm of a node's Jacobian with respect to a field or another node, by random projections.

    Hoffman et al. 2019, https://arxiv.org/abs/1908.02729. Each projection costs a backward pass, and another
    through it.
    """

    kind: Literal["jacobian"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """The output, and what it is differentiated by."""
    projections: NonNegativeInt = 1
    """How many random directions; 0 takes every direction once, which is exact."""
