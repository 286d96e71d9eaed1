"""Objectives that need no target: embeddings of two views that shall agree."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from jumpml.core._objective_base import ObjectiveBase, Positive, Share, Strength, WeightSpec


class TwoViewsSpec(ObjectiveBase):
    """What all say that compare two views of a row."""

    inputs: str
    """The node whose outputs on two views shall agree, `[batch, width]`."""
    views: str | tuple[str, str]
    """One policy, drawn twice, or two policies."""
    projector: tuple[PositiveInt, ...] = (128, 128)
    """Widths of the projector's layers, none where `[]`; it belongs to the objective and is not deployed."""


class VICRegSpec(TwoViewsSpec):
    """Variance-invariance-covariance regularization of two views (Bardes et al. 2022, https://arxiv.org/abs/2105.04906)."""

    kind: Literal["vicreg"]
    """The objective's kind."""
    invariance: Strength = 25.0
    """Weight of the squared difference between the two views."""
    variance: Strength = 25.0
    """Weight of the hinge that keeps each dimension's standard deviation above 1."""
    covariance: Strength = 1.0
    """Weight of the squared covariances between dimensions."""


class NTXentSpec(TwoViewsSpec):
    """SimCLR: a view finds the other view of its row among all of the batch.

    Chen et al. 2020, https://arxiv.org/abs/2002.05709.
    """

    kind: Literal["nt_xent"]
    """The objective's kind."""
    temperature: Positive = 0.5
    """What cosines are divided by."""


class CLIPSpec(ObjectiveBase):
    """Two nodes in one space: each row's two embeddings find each other among the batch's.

    Radford et al. 2021, https://arxiv.org/abs/2103.00020.
    """

    kind: Literal["clip"]
    """The objective's kind."""
    inputs: tuple[str, str]
    """Two nodes of one width, `[batch, width]` each."""
    temperature: Positive = 0.07
    """What cosines are divided by at first; it is learned."""


class BarlowTwinsSpec(TwoViewsSpec):
    """Dimensions agree between two views and tell nothing of each other (Zbontar et al. 2021, https://arxiv.org/abs/2103.03230)."""

    kind: Literal["barlow_twins"]
    """The objective's kind."""
    redundancy: Strength = 0.005
    """Weight of the squared correlations between different dimensions."""


class SimSiamSpec(TwoViewsSpec):
    """A predictor makes of one view the other, which gets no gradient (Chen & He 2021, https://arxiv.org/abs/2011.10566)."""

    kind: Literal["simsiam"]
    """The objective's kind."""
    predictor: tuple[PositiveInt, ...] = (32,)
    """Widths of the predictor's inner layers, one at least; it gives what the projector does."""


class MomentumSpec(TwoViewsSpec):
    """What all say whose target is a slow copy of the model, the momentum encoder."""

    momentum: Share | WeightSpec = 0.99
    """The share of the momentum encoder that stays at each update: a number, or a mapping with its way over the
    phase."""


class BYOLSpec(MomentumSpec):
    """What one view predicts is what a slow copy gives of the other (Grill et al. 2020, https://arxiv.org/abs/2006.07733)."""

    kind: Literal["byol"]
    """The objective's kind."""
    predictor: tuple[PositiveInt, ...] = (128,)
    """Widths of the predictor's inner layers, one at least; it gives what the projector does."""


class MoCoSpec(MomentumSpec):
    """A view finds a slow copy's other view among those of earlier batches (He et al. 2020, https://arxiv.org/abs/1911.05722)."""

    kind: Literal["moco"]
    """The objective's kind."""
    queue: PositiveInt = 1024
    """How many projections of earlier batches there are to be told from; two a row of a batch at least."""
    temperature: Positive = 0.2
    """What cosines are divided by."""


class DINOSpec(MomentumSpec):
    """A view tells a slow copy's distribution over prototypes of the others (Caron et al. 2021, https://arxiv.org/abs/2104.14294)."""

    kind: Literal["dino"]
    """The objective's kind."""
    crops: tuple[PositiveInt, PositiveInt] | None = None
    """Of two policies, global crops and local ones, how often each is drawn; `[2, 4]` where left out. The slow copy
    sees the global ones."""
    projector: tuple[PositiveInt, ...] = (128, 64)
    """Widths of the projector's layers, none where `[]`; it belongs to the objective and is not deployed."""
    prototypes: PositiveInt = 256
    """How many prototypes there are."""
    temperature: Positive = 0.1
    """What the model's products with prototypes are divided by."""
    slow_temperature: Positive = 0.04
    """What the slow copy's are divided by, lower than that."""
    center_momentum: Share = 0.9
    """The share of the slow copy's mean that stays at each update."""


class SwAVSpec(TwoViewsSpec):
    """A view tells to which prototypes the others belong (Caron et al. 2020, https://arxiv.org/abs/2006.09882)."""

    kind: Literal["swav"]
    """The objective's kind."""
    crops: tuple[PositiveInt, PositiveInt] | None = None
    """Of two policies, global crops and local ones, how often each is drawn; `[2, 4]` where left out. The global ones
    are assigned to prototypes."""
    prototypes: PositiveInt = 64
    """How many prototypes there are; not many more than rows in a batch."""
    temperature: Positive = 0.2
    """What scores are divided by; the paper has 0.1, for batches of thousands of rows."""
    epsilon: Positive = 0.05
    """What scores are divided by for the assignments: the smaller, the harder they are."""
    iterations: PositiveInt = 3
    """How often the assignments are balanced."""


class LeJEPASpec(TwoViewsSpec):
    """Views near each other, spread like a standard normal distribution (Balestriero & LeCun 2025, https://arxiv.org/abs/2511.08544)."""

    kind: Literal["lejepa"]
    """The objective's kind."""
    crops: tuple[PositiveInt, PositiveInt] | None = None
    """Of two policies, global crops and local ones, how often each is drawn; `[2, 4]` where left out. All lie near the
    mean of the global ones."""
    slices: PositiveInt = 256
    """Along how many random directions the distribution is looked at."""
    regularization: Share = 0.05
    """The share of the distribution in the loss; the rest is the distance between views."""
