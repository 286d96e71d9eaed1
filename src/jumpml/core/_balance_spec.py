"""What the learner file says of balancing."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from jumpml.core._spec import Spec

_Positive = Annotated[float, Field(gt=0)]


class _Balance(Spec):
    over: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """The objectives that are balanced, by name; the others are added with their own weights. All but penalties on
    parameters where nothing is said."""


class SumSpec(Spec):
    """Objectives are added up with their own weights."""

    kind: Literal["sum"]
    """The kind."""
    cosines: Annotated[int, Field(ge=1)] | None = None
    """After each so many updates, take gradients objective by objective too, and log the cosine between each two:
    below 0 they pull against each other. What is learned stays the same, to the bit."""
    at: str | None = None
    """With `cosines`: a node by whose value gradients are taken; by the parameters that objectives share where nothing
    is said."""
    over: Annotated[tuple[str, ...], Field(min_length=2)] | None = None
    """With `cosines`: the objectives that are compared, by name. All but penalties on parameters where nothing is
    said."""

    @model_validator(mode="after")
    def _of_cosines(self) -> Self:
        said = [name for name in ("at", "over") if getattr(self, name) is not None]
        if said and self.cosines is None:
            raise ValueError(f"{said[0]}: a sum compares no gradients. Say `cosines`, after how many updates it is to.")
        return self


class _Combined(_Balance):
    at: str | None = None
    """A node on whose value gradients are taken and combined, which leaves one backward pass of all before it; on the
    parameters that objectives share where nothing is said."""


class UncertaintySpec(_Balance):
    """A learned variance for each loss (Kendall et al. 2018, https://arxiv.org/abs/1705.07115)."""

    kind: Literal["uncertainty"]
    """The kind."""
    lr: _Positive = 0.01
    """The learning rate of the log-variances."""


class DWASpec(_Balance):
    """More for what falls slowly, by the last two epochs (Liu et al. 2019, https://arxiv.org/abs/1803.10704)."""

    kind: Literal["dwa"]
    """The kind."""
    temperature: _Positive = 2.0
    """The higher, the more alike multipliers are."""


class FAMOSpec(_Balance):
    """Log losses that fall alike (Liu et al. 2023, https://arxiv.org/abs/2306.03792)."""

    kind: Literal["famo"]
    """The kind."""
    lr: _Positive = 0.025
    """The learning rate of the logits."""
    decay: Annotated[float, Field(ge=0)] = 0.001
    """What pulls the logits together."""


class GradNormSpec(_Balance):
    """Weights that learn to make gradients equally long (Chen et al. 2018, https://arxiv.org/abs/1711.02257)."""

    kind: Literal["gradnorm"]
    """The kind."""
    at: str
    """The node on whose parameters gradients are taken: the last that all objectives share."""
    alpha: Annotated[float, Field(ge=0)] = 1.5
    """How strongly objectives that lag behind are pulled; 0 makes all gradients equally long."""
    lr: _Positive = 0.025
    """The learning rate of the weights."""


class FeatureNormSpec(_Balance):
    """Gradients of one length at a node (Lin et al. 2023, https://arxiv.org/abs/2308.12029)."""

    kind: Literal["feature_norm"]
    """The kind."""
    at: str
    """The node on whose value gradients are taken and combined."""
    log: bool = True
    """Let losses count by their logarithm, so that what comes after the node does not depend on their units either."""


class UPGradSpec(_Combined):
    """Gradients turned so far that none hurts another (Quinton & Rey 2024, https://arxiv.org/abs/2406.16232)."""

    kind: Literal["upgrad"]
    """The kind."""


class PCGradSpec(_Combined):
    """Gradients without what is against another (Yu et al. 2020, https://arxiv.org/abs/2001.06782).

    Who comes first is drawn, by the learner's seed.
    """

    kind: Literal["pcgrad"]
    """The kind."""


class CAGradSpec(_Combined):
    """Near the mean, the best for the worst off (Liu et al. 2021, https://arxiv.org/abs/2110.14048)."""

    kind: Literal["cagrad"]
    """The kind."""
    c: _Positive = 0.5
    """How far from the mean, as a share of its norm."""


class MGDASpec(_Combined):
    """The shortest convex combination of gradients (Sener & Koltun 2018, https://arxiv.org/abs/1810.04650)."""

    kind: Literal["mgda"]
    """The kind."""


class NashMTLSpec(_Combined):
    """What the objectives would agree on as players (Navon et al. 2022, https://arxiv.org/abs/2202.01017)."""

    kind: Literal["nash_mtl"]
    """The kind."""
    max_norm: _Positive | None = 1.0
    """The combined gradient is cut down to this norm where it is longer."""


class IMTLGSpec(_Combined):
    """Equally far along each gradient (Liu et al. 2021, https://openreview.net/forum?id=IMPnRXEWpvr)."""

    kind: Literal["imtl_g"]
    """The kind."""


class AlignedMTLSpec(_Combined):
    """Gradients made orthogonal and of one length (Senushkin et al. 2023, https://arxiv.org/abs/2305.19000)."""

    kind: Literal["aligned_mtl"]
    """The kind."""


BalanceSpec = Annotated[
    SumSpec
    | UncertaintySpec
    | DWASpec
    | FAMOSpec
    | GradNormSpec
    | FeatureNormSpec
    | UPGradSpec
    | PCGradSpec
    | CAGradSpec
    | MGDASpec
    | NashMTLSpec
    | IMTLGSpec
    | AlignedMTLSpec,
    Field(discriminator="kind"),
]
