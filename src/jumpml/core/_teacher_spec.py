"""What the learner file says of the teacher."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from jumpml.core._spec import ByName, Spec

_Positive = Annotated[float, Field(gt=0)]


class UniformSpec(Spec):
    """Every arm as often as every other."""

    kind: Literal["uniform"]
    """The kind."""


class ProportionalSpec(Spec):
    """Every arm as often as it has rows."""

    kind: Literal["proportional"]
    """The kind."""


class TemperatureSpec(Spec):
    """Shares by rows to the power of 1 over a temperature (Arivazhagan et al. 2019, https://arxiv.org/abs/1907.05019)."""

    kind: Literal["temperature"]
    """The kind."""
    temperature: _Positive = 5.0
    """1 is `proportional`; the higher, the nearer to `uniform`."""


class AnnealedSpec(Spec):
    """A temperature that moves within the phase (Stickland & Murray 2019, https://arxiv.org/abs/1902.02671)."""

    kind: Literal["annealed"]
    """The kind."""
    start: _Positive = 1.0
    """The temperature at the phase's start."""
    end: _Positive = 5.0
    """The temperature at its end; 1 over it moves in a straight line."""


class Exp3SSpec(Spec):
    """Exponential weights for rewards that move (Graves et al. 2017, https://arxiv.org/abs/1704.03003)."""

    kind: Literal["exp3s"]
    """The kind."""
    eta: _Positive = 0.1
    """How far one reward moves a weight; the paper's .001 is for runs of 100 000 updates."""


class TSCLSpec(Spec):
    """Where the learning curve is steepest, up or down (Matiisen et al. 2017, https://arxiv.org/abs/1707.00183)."""

    kind: Literal["tscl"]
    """The kind."""
    algorithm: Literal["online", "window", "sampling"] = "sampling"
    """A moving mean of rewards, the slope through an arm's last ones, or a draw from these. The paper's rewards are
    `loss_drop` and `metric_gain`."""
    alpha: Annotated[float, Field(gt=0, le=1)] | None = None
    """How much one reward counts in the moving mean, .1 where nothing is said; not of `sampling`."""
    window: Annotated[int, Field(ge=1)] | None = None
    """How many rewards of an arm are kept, 10 where nothing is said; not of `online`."""
    temperature: _Positive | None = None
    """Of a softmax, in the rewards' units, in place of the best arm alone; not of `sampling`."""

    @model_validator(mode="after")
    def _options_of_the_algorithm(self) -> Self:
        foreign = {"online": ("window",), "window": (), "sampling": ("alpha", "temperature")}[self.algorithm]
        for name in foreign:
            if getattr(self, name) is not None:
                raise ValueError(f"the algorithm {self.algorithm!r} has no {name}; leave it out")
        if self.algorithm == "window" and self.window == 1:
            raise ValueError("the algorithm 'window' needs a window of at least 2, through which a line can go")
        return self


class ThompsonSpec(Spec):
    """As often as an arm is likely to be the best (Qi et al. 2023, https://arxiv.org/abs/2305.10718)."""

    kind: Literal["thompson"]
    """The kind."""
    discount: Annotated[float, Field(gt=0, le=1)] = 0.99
    """What is left of a reward after another; 1 forgets nothing."""


class PolicyGradientSpec(Spec):
    """REINFORCE with a baseline (Williams 1992, https://doi.org/10.1007/BF00992696)."""

    kind: Literal["policy_gradient"]
    """The kind."""
    lr: _Positive = 0.1
    """The learning rate."""
    decay: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """How much of the baseline, a moving mean of rewards, stays with each reward."""


class PPOSpec(Spec):
    """A policy that goes by signs of progress, in clipped steps (Schulman et al. 2017, https://arxiv.org/abs/1707.06347)."""

    kind: Literal["ppo"]
    """The kind."""
    lr: _Positive = 0.03
    """Adam's learning rate."""
    clip: _Positive = 0.2
    """How far the ratio of an arm's shares, after and before, is rewarded for leaving 1."""
    horizon: Annotated[int, Field(ge=2)] = 16
    """Rewards between two improvements."""
    epochs: Annotated[int, Field(ge=1)] = 8
    """Steps an improvement."""
    discount: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """What a reward counts one update earlier."""
    entropy: Annotated[float, Field(ge=0)] = 0.01
    """The weight of the policy's entropy, which keeps shares alike."""


class OnlineMixingSpec(Spec):
    """More of what has a high loss, made for `reward: loss` (Albalak et al. 2023, https://arxiv.org/abs/2312.02406)."""

    kind: Literal["online_mixing"]
    """The kind."""
    alpha: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """How much of an arm's moving mean stays with each reward."""


TeacherSpec = Annotated[
    UniformSpec
    | ProportionalSpec
    | TemperatureSpec
    | AnnealedSpec
    | Exp3SSpec
    | TSCLSpec
    | ThompsonSpec
    | PolicyGradientSpec
    | PPOSpec
    | OnlineMixingSpec,
    Field(discriminator="kind"),
    ByName(),
]
