"""Teacher-student curriculum learning: where the learning curve is steepest, up or down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, final

import numpy as np

from jumpml.core import LearnerError, positive
from jumpml.curriculum._teacher import Arm, Array, Teacher

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ALIKE = 1e-9  # of the largest: two slopes through points of one line are alike but for rounding
_OPTIONS = {"online": ("alpha", "temperature"), "window": ("alpha", "window", "temperature"), "sampling": ("window",)}


@final
class TSCL(Teacher):
    r"""Chooses where the student's learning curve is steepest, whether it gets better or forgets.

    Teacher-student curriculum learning (Matiisen et al. 2017, https://arxiv.org/abs/1707.00183), its algorithms 2 to 4.
    A reward is by how much an arm came on since its last visit (``loss_drop`` and ``metric_gain`` are the paper's, of a
    loss and of a score), so that the curve is the sum of its rewards.

    - ``online``: :math:`Q \leftarrow \alpha r + (1 - \alpha) Q` for the arm; the one with the largest :math:`|Q|` is
      chosen.
    - ``window``: the same with the slope of a line through the last points of the arm's curve for :math:`r`.
    - ``sampling``: one of each arm's last rewards is drawn, and the arm whose is largest by size is chosen: Thompson
      sampling of what was seen. An arm of which nothing was seen comes first; the paper has it draw 1, which is the
      same where rewards are below that.

    The floor is the paper's :math:`\epsilon` of a greedy choice; arms that are alike share. The authors' own program
    (tambetm/TSCL on GitHub) differs from the paper: each step tells it the scores of all tasks, sizes are an option
    of it (``--abs``), and ``window`` takes the slope itself for :math:`Q`, as ``alpha=1`` does, and 1 for that of
    an arm with fewer than two points.

    Args:
        algorithm: The algorithm.
        alpha: How much one reward counts in :math:`Q`; .1 where nothing is said.
        window: How many rewards of an arm are kept; 10 where nothing is said.
        temperature: Of a softmax of :math:`|Q|`, in the rewards' units, in place of the greedy choice.

    Raises:
        LearnerError: There is no such algorithm, it does not have an option, or one is out of its bounds.

    Example:
        >>> from jumpml.curriculum import Arm
        >>> teacher = TSCL("online")
        >>> teacher.begin([Arm("digit", rows=900), Arm("ink", rows=100)], floor=0.2)
        >>> teacher.observe(0, 0.1)
        >>> teacher.observe(1, -0.3)  # it forgets
        >>> teacher.probabilities()
        array([0.1, 0.9])
    """

    kind = "tscl"

    def __init__(
        self,
        algorithm: Literal["online", "window", "sampling"] = "sampling",
        *,
        alpha: float | None = None,
        window: int | None = None,
        temperature: float | None = None,
    ) -> None:
        if algorithm not in _OPTIONS:
            raise LearnerError(f"tscl: expected one of {', '.join(_OPTIONS)}, got {algorithm!r}.")
        for name, value in {"alpha": alpha, "window": window, "temperature": temperature}.items():
            if value is not None and name not in _OPTIONS[algorithm]:
                raise LearnerError(f"tscl: its algorithm {algorithm!r} has no {name}. Leave it out.")
        self._algorithm = algorithm
        self._alpha = positive(self.kind, "alpha", 0.1 if alpha is None else alpha)
        self._window = 10 if window is None else window
        self._temperature = None if temperature is None else positive(self.kind, "a temperature", temperature)
        if self._alpha > 1:
            raise LearnerError(f"tscl: expected alpha of at most 1, got {alpha!r}.")
        if self._window < 1 + (algorithm == "window"):
            raise LearnerError(f"tscl: expected a window of at least {1 + (algorithm == 'window')}, got {window!r}.")

    def begin(self, arms: Sequence[Arm], floor: float = 0.0) -> None:
        """Nothing was seen."""
        super().begin(arms, floor)
        self._q, self._time = np.zeros(len(arms)), 0
        self._curves: list[list[list[float]]] = [[] for _ in arms]  # of each arm its last points: time, height

    def shares(self) -> Array:
        """The steepest, a softmax, or how likely each is to have the largest draw."""
        if self._algorithm == "sampling":
            return _shares_of_draws([np.abs([height for _, height in curve]) for curve in self._curves])
        sizes = np.abs(self._q)
        if self._temperature is None:
            return (sizes >= (1 - _ALIKE) * sizes.max()).astype(np.float64)
        return np.exp((sizes - sizes.max()) / self._temperature)

    def learn(self, arm: int, reward: float, drawn: Array) -> None:
        """Take in how far an arm came."""
        self._time += 1
        curve = self._curves[arm]
        if self._algorithm == "window":
            curve.append([float(self._time), (curve[-1][1] if curve else 0.0) + reward])
            reward = _slope(np.array(curve[-self._window :]))
        elif self._algorithm == "sampling":
            curve.append([float(self._time), reward])
        del curve[: -self._window]
        self._q[arm] += self._alpha * (reward - self._q[arm])

    def state_dict(self) -> dict[str, Any]:
        """What is expected of each arm, and the last points of its curve."""
        own = {"q": self._q.tolist(), "time": self._time, "curves": [[list(p) for p in c] for c in self._curves]}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        super().load_state_dict(state)
        self._q, self._time = np.array(state["q"]), state["time"]
        self._curves = [[list(point) for point in curve] for curve in state["curves"]]

    def identity(self) -> str:
        """Its algorithm and options."""
        options = {"alpha": self._alpha, "window": self._window, "temperature": self._temperature}
        said = [f"{name} {options[name]:g}" for name in _OPTIONS[self._algorithm] if options[name] is not None]
        return ", ".join([f"{self.kind} {self._algorithm}", *said])


def _slope(points: Array) -> float:
    """Of the line through points ``[count, 2]`` with the least squares; 0 of a single one."""
    across, up = (points - points.mean(axis=0)).T
    return float(across @ up / max(across @ across, 1e-12))


def _shares_of_draws(sizes: list[Array]) -> Array:
    """How likely each arm's draw from its own sizes is the largest; those that are alike share.

    With b and t the chances that another arm's draw is below a size and equal to it, the arm's part of a tie is the
    integral of the product of ``b + t x`` for x from 0 to 1, which Gauss's nodes give exactly.
    """
    count = len(sizes)
    seen = [np.sort(each) if len(each) else np.array([np.inf]) for each in sizes]
    values = np.unique(np.concatenate(seen))
    below = np.array([np.searchsorted(each, values, side="left") / len(each) for each in seen])
    equal = np.array([np.searchsorted(each, values, side="right") / len(each) for each in seen]) - below
    nodes, weights = np.polynomial.legendre.leggauss((count + 1) // 2)
    chances = below[..., None] + equal[..., None] * (nodes + 1) / 2  # [arms, values, nodes]
    found = np.zeros(count)
    for arm in range(count):
        others = np.delete(chances, arm, axis=0).prod(axis=0)
        found[arm] = equal[arm] @ (others @ weights) / 2
    return found
