"""Whether a variant holds what is asked of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jumpml.core import Figure, GateAnswer


@final
@dataclass(frozen=True, kw_only=True)
class Gate:
    """What a variant must hold on the test rows to be bundled.

    The drop is how much worse a figure of the variant is than the original's, with a paired 95% interval (see
    `jumpml.evaluate.compare`). Where the interval's worse end is allowed the answer is ``pass``; where not even its
    better end is, ``refuse``; in between the rows are too few to tell: ``undecided``.

    Attributes:
        metric: ``<task>/<metric>``.
        max_drop: The largest drop that is allowed.
        higher_is_better: Whether more of the metric is better.
        accept_undecided: Whether to bundle also what the rows are too few to decide.

    Example:
        >>> gate = Gate(metric="digit/accuracy", max_drop=0.01)
        >>> gate.judge(Figure(value=0.0, low=-0.002, high=0.004, n=2000)).answer
        'pass'
        >>> gate.judge(Figure(value=0.007, low=-0.004, high=0.018, n=270)).answer
        'undecided'
    """

    metric: str
    max_drop: float
    higher_is_better: bool = True
    accept_undecided: bool = False

    def judge(self, drop: Figure) -> GateAnswer:
        """The answer to a drop, with the reason in words."""
        measured = (
            f"{self.metric} is {_change(drop.value)} (95% interval of the drop: {drop.low:.3g} to {drop.high:.3g})"
        )
        if drop.high <= self.max_drop:
            answer, why = "pass", f"a drop of {self.max_drop:g} is allowed"
        elif drop.low > self.max_drop:
            answer, why = "refuse", f"only a drop of {self.max_drop:g} is allowed"
        else:
            answer, why = (
                "undecided",
                f"{drop.n} rows are too few to tell whether it is more than the allowed {self.max_drop:g}",
            )
        return GateAnswer(
            answer=answer, metric=self.metric, max_drop=self.max_drop, drop=drop, reason=f"{measured}: {why}."
        )

    def admits(self, answer: GateAnswer) -> bool:
        """Whether a variant with this answer is bundled."""
        return answer.answer == "pass" or (answer.answer == "undecided" and self.accept_undecided)


def _change(drop: float) -> str:
    if drop == 0:
        return "the same"
    return f"{'worse' if drop > 0 else 'better'} by {abs(drop):.3g}"
