"""`check_teacher`: whether a teacher keeps the rules that teachers keep."""

from __future__ import annotations

import copy
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import torch

from jumpml.curriculum import Teacher
from jumpml.testing._run import chosen, run
from jumpml.testing._teacher_checks import (
    TeacherCase,
    check_afresh,
    check_constant,
    check_draws,
    check_extremes,
    check_identity,
    check_order,
    check_refusal,
    check_rewards,
    check_saving,
    check_shares,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

TEACHER_CHECKS: Mapping[str, Callable[[TeacherCase], str]] = MappingProxyType(
    {
        "shares": check_shares,
        "draws": check_draws,
        "rewards": check_rewards,
        "order": check_order,
        "constant": check_constant,
        "extremes": check_extremes,
        "refusal": check_refusal,
        "saving": check_saving,
        "afresh": check_afresh,
        "identity": check_identity,
    }
)


def check_teacher(teacher: Teacher | Callable[[], Teacher], *, without: Collection[str] = ()) -> None:
    """Check that a teacher can choose for any run: of any arms and rewards, stopped and resumed.

    It is copied, or made anew, for every check. The global generators are left as they were.

    - ``shares``: of 1, 2 and 5 arms, at any time, probabilities are float64, sum to 1, and none is below its part of
      the floor; asking for them changes nothing.
    - ``draws``: a proposal draws one number of the generator that it is given, and none of a global one; an arm whose
      share is 0 is never proposed.
    - ``rewards``: where it learns, rewards change shares; where it says that it does not, they change nothing.
    - ``order``: arms in another order have the same shares. Leave it out where a teacher means an order.
    - ``constant``: where every reward is the same, arms that are alike have shares from half to twice an even one.
    - ``extremes``: rewards of any size leave probabilities that are some, without a warning of NumPy's.
    - ``refusal``: a reward that is NaN or infinite is refused by the arm's name, and changes nothing.
    - ``saving``: another one that loads the ``state_dict``, as a checkpoint keeps it, goes on with the same choices and
      shares; a state stays what it was while its teacher goes on.
    - ``afresh``: with `begin` it forgets all.
    - ``identity``: its kind and identity are texts that say something, and stay the same whatever it learns.

    Args:
        teacher: One, whose copies are checked, or what makes one.
        without: Checks that do not apply, by name.

    Raises:
        ConformanceError: Checks fail; the text names each, what was expected and what came.
        ValueError: ``without`` names no check.

    Example:
        >>> import numpy as np
        >>> from jumpml.curriculum import Exp3S, Teacher
        >>> from jumpml.testing import ConformanceError
        >>> check_teacher(Exp3S(eta=0.3))
        >>> class Last(Teacher):
        ...     kind = "last"
        ...     place = 0
        ...     def shares(self):
        ...         return np.eye(len(self.arms))[self.place]
        ...     def learn(self, arm, reward, drawn):
        ...         self.place = arm
        ...     def identity(self):
        ...         return self.kind
        >>> try:
        ...     check_teacher(Last)
        ... except ConformanceError as error:
        ...     print(*error.findings)
        rewards constant saving afresh
    """
    checks = chosen(TEACHER_CHECKS, without)
    made = teacher if isinstance(teacher, Teacher) else teacher()

    def make() -> Teacher:
        return copy.deepcopy(made)

    state = np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            run(f"check_teacher: {type(made).__name__}", checks, TeacherCase(make))
    finally:
        np.random.set_state(state)
