"""An end to a phase that no longer gets better."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from jumpml.core import LearnerError
from jumpml.learn._hook import Hook
from jumpml.learn._validation import Best

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jumpml.core import EpochRecord
    from jumpml.learn._learner import Learner
    from jumpml.learn._stage import Stage


@final
class EarlyStop(Hook):
    """Ends a phase when a figure on the validation rows has not become better for a while.

    Phases in which nothing is measured run their epochs. In a loop of your own, ask `take` after each validation.

    Args:
        metric: ``val/<task>/<metric>`` or ``val/loss``.
        patience: Epochs without a better figure that are put up with.
        min_delta: What counts as better differs by more than this.
        mode: ``max``, ``min``, or ``auto``, which asks the metric.

    Raises:
        LearnerError: ``patience`` or ``min_delta`` is below 0.

    Example:
        >>> stop = EarlyStop("val/loss", patience=1)
        >>> [stop.take(loss) for loss in (0.5, 0.4, 0.6, 0.5)]
        [False, False, False, True]
    """

    name = "early_stop"

    def __init__(
        self, metric: str = "val/loss", *, patience: int = 5, min_delta: float = 0.0, mode: str = "auto"
    ) -> None:
        if patience < 0 or min_delta < 0:
            raise LearnerError(f"early stopping: expected 0 or more, got patience {patience}, min_delta {min_delta:g}.")
        self._metric, self._patience, self._min_delta, self._mode = metric, patience, min_delta, mode
        self.figures = (metric,)
        self._learner: Learner | None = None
        self._best, self._waited = Best(), 0

    def take(self, value: float) -> bool:
        """Look at an epoch's figure.

        Returns:
            Whether it has not become better for too long.
        """
        better = self._best.take(self._metric, value, mode=self._mode, min_delta=self._min_delta)
        self._waited = 0 if better else self._waited + 1
        return self._waited > self._patience

    def attach(self, learner: Learner) -> None:
        """Its phases are ended."""
        self._learner = learner

    def enter(self, stage: Stage) -> None:
        """Each phase has its own best."""
        self._best, self._waited = Best(), 0

    def closed(self, record: EpochRecord) -> None:
        """Look at the figure, and end the phase."""
        if (told := self.judge(record)) and self._learner is not None:
            self._learner.end_phase(f"early stop: {told}")

    def judge(self, record: EpochRecord) -> str:
        """Look at an epoch's figure.

        Returns:
            That it has not become better for too long, in words; nothing where it has, or was not measured.
        """
        value = record.val.get(self._metric.removeprefix("val/"))
        if value is None or not self.take(value):
            return ""
        best = "none was finite" if self._best.value is None else f"{self._best.value:.6g}"
        return f"{self._metric} has not been better than {best} for {self._waited} epochs"

    def state_dict(self) -> dict[str, Any]:
        """The best figure, and the epochs since."""
        return {"best": self._best.value, "waited": self._waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a state."""
        self._best, self._waited = Best(state["best"]), state["waited"]

    def identity(self) -> str:
        """All of its options."""
        return f"{self._metric} {self._mode}, patience {self._patience}, min_delta {self._min_delta:g}"
