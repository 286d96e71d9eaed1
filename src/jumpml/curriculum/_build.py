"""From what a learner file says to a teacher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.curriculum._by_rows import Annealed, Proportional, Temperature
from jumpml.curriculum._exp3s import Exp3S
from jumpml.curriculum._online_mixing import OnlineMixing
from jumpml.curriculum._policy_gradient import PolicyGradient
from jumpml.curriculum._ppo import PPO
from jumpml.curriculum._thompson import Thompson
from jumpml.curriculum._tscl import TSCL
from jumpml.curriculum._uniform import Uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jumpml.core import TeacherSpec
    from jumpml.curriculum._teacher import Teacher

_KINDS: Mapping[str, Callable[..., Teacher]] = {
    kind.kind: kind
    for kind in (
        *(Uniform, Proportional, Temperature, Annealed),
        *(Exp3S, TSCL, Thompson, PolicyGradient, PPO, OnlineMixing),
    )
}


def build_teacher(spec: TeacherSpec) -> Teacher:
    """The teacher that a file asks for.

    Args:
        spec: What it says.

    Raises:
        LearnerError: Its options do not go together.
    """
    return _KINDS[spec.kind](**spec.model_dump(exclude={"kind"}))
