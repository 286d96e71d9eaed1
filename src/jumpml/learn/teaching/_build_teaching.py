"""From what a file says to a teacher in the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.curriculum import build_teacher
from jumpml.learn.teaching._axes import Classes, Difficulty, Views
from jumpml.learn.teaching._rewards import (
    SPG,
    GradientNorm,
    LossDrop,
    LossReward,
    MetricGain,
    PredictionGain,
    TargetGain,
)
from jumpml.learn.teaching._teaching import Teaching

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import ArmAxis, CurriculumSpec, RewardSpec
    from jumpml.learn.examples._build_examples import HowHard
    from jumpml.learn.teaching._axes import Axis
    from jumpml.learn.teaching._rewards import Reward

_KINDS = (SPG, PredictionGain, TargetGain, LossReward, LossDrop, MetricGain, GradientNorm)
_REWARDS: Mapping[str, type[Reward]] = {one.kind: one for one in _KINDS}


def build_teaching(spec: CurriculumSpec | None, how_hard: HowHard) -> Teaching | None:
    """The hook that a file asks for; None where it has no teacher.

    Args:
        spec: What it says.
        how_hard: Tells how hard rows are, where arms differ in that.

    Raises:
        SpecError: It cannot.
    """
    if spec is None or spec.teacher is None or spec.arms is None:
        return None
    said = spec.arms if isinstance(spec.arms, tuple) else (spec.arms,)
    return Teaching(
        build_teacher(spec.teacher),
        [_axis(one, how_hard) for one in said],
        _reward(spec.reward),
        floor=spec.floor,
        every=spec.every,
        when=spec.when,
    )


def _axis(said: ArmAxis, how_hard: HowHard) -> str | Axis:
    if isinstance(said, str):
        return said
    if said.classes is not None:
        return Classes(said.classes) if said.share is None else Classes(said.classes, said.share)
    if said.difficulty is not None:
        found = how_hard()
        return Difficulty(said.difficulty, "data" if isinstance(found, str) else found)  # own is refused by the spec
    return Views(said.views or ())


def _reward(said: RewardSpec) -> Reward:
    return _REWARDS[said.kind](**said.model_dump(exclude={"kind"}))
