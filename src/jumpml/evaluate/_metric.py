"""What a metric is: a name, a table's entry, a torchmetrics object or a user's function, all in one form."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from jumpml.core import EvaluationError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jumpml.evaluate._sample import AnySample

NEEDS = ("probabilities", "logits")
FEWEST = 40  # resamples: a 2.5% percentile of fewer would be their extreme


class UndefinedError(Exception):
    """A metric has no value on these rows; the text says why."""


class Metric(Protocol):
    """One figure, or several by name, of a sample.

    Attributes:
        name: What follows ``task/``.
        higher_is_better: Whether more is better; None where nobody said.
        resamples: The most resamples to draw for an interval; None for the usual number.
    """

    @property
    def name(self) -> str: ...
    @property
    def higher_is_better(self) -> bool | None: ...
    @property
    def resamples(self) -> int | None: ...

    def compute(self, sample: AnySample) -> dict[str, float]:
        """Figures by full name: `name` itself, or ``name.key``.

        Raises:
            UndefinedError: There is no value on these rows.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class FunctionMetric:
    """A user's function as a metric; made by `metric`."""

    function: Callable[..., Any]
    name: str
    needs: tuple[str, ...] = ()
    higher_is_better: bool | None = None
    resamples: int = 200

    def compute(self, sample: AnySample) -> dict[str, float]:
        """Call the function with decided predictions and targets."""
        missing = [need for need in self.needs if not hasattr(sample, need)]
        if missing:
            why = "they are not held for every position of a split; a function gets what was decided there"
            raise EvaluationError(f"the metric {self.name!r} needs {' and '.join(missing)}: {why}.")
        more = {need: getattr(sample, need) for need in self.needs}
        return numbers(self.name, self.function(sample.decided, sample.target, **more))


def metric(
    function: Callable[..., Any],
    *,
    needs: str | Sequence[str] = (),
    name: str | None = None,
    higher_is_better: bool | None = None,
    resamples: int = 200,
) -> FunctionMetric:
    """Say more of a function that is used as a metric.

    Args:
        function: ``f(predictions, targets, **needs) -> float | dict[str, float]``, on CPU tensors of a whole split:
            class codes int64 ``[rows]``, at positions ``[rows, *positions]`` with -1 among the targets where the class
            is not known, of several labels 0 and 1 int64 ``[rows, classes]``, or numbers in raw units ``[rows]`` or
            ``[rows, elements]``.
        needs: What else it takes, as keyword arguments: ``probabilities`` or ``logits``, ``[rows, classes]`` for
            multiclass and multilabel, ``[rows]`` for binary; no task that decides at positions has them.
        name: What follows ``task/`` in the results; the function's own name where None.
        higher_is_better: Whether more is better.
        resamples: How often it is called for its interval, at least 40.

    Raises:
        EvaluationError: It cannot be called, has no name, or asks for something unknown.

    Example:
        >>> def confidence(predictions, targets, probabilities):
        ...     return probabilities.amax(1).mean()
        >>> metric(confidence, needs=["probabilities"]).name
        'confidence'
    """
    if not callable(function):
        raise EvaluationError(f"expected a function f(predictions, targets), got {function!r}.")
    name = name or getattr(function, "__name__", None)
    if name is None or not name.isidentifier():
        raise EvaluationError(
            f"{function!r} has no name that could stand in results: metric(f, name=...) gives it one."
        )
    asked = (needs,) if isinstance(needs, str) else tuple(needs)
    for need in asked:
        if need not in NEEDS:
            raise EvaluationError(
                f"the metric {name!r} needs {need!r}, which there is not. {did_you_mean(need, NEEDS)}"
            )
    if resamples < FEWEST:
        raise EvaluationError(f"the metric {name!r}: expected {FEWEST} resamples or more, got {resamples}.")
    return FunctionMetric(
        function=function, name=name, needs=asked, higher_is_better=higher_is_better, resamples=resamples
    )


@dataclass(frozen=True, kw_only=True)
class ObjectMetric:
    """A `torchmetrics.Metric` as a metric: updated once with all probabilities (or numbers) and targets.

    Of a task that decides at positions it gets the decided codes in place of probabilities.
    """

    original: Any
    resamples: int = 200

    @property
    def name(self) -> str:
        """The class's name."""
        return type(self.original).__name__

    @property
    def higher_is_better(self) -> bool | None:
        """As its class says."""
        return getattr(self.original, "higher_is_better", None)

    def compute(self, sample: AnySample) -> dict[str, float]:
        """Compute it on a copy, so that the user's object keeps its state."""
        copy = self.original.clone()
        copy.reset()
        copy.update(getattr(sample, "probabilities", sample.decided), sample.target)
        return numbers(self.name, copy.compute())


def numbers(name: str, answer: Any) -> dict[str, float]:
    """What a user's metric answered, as figures by name.

    Raises:
        EvaluationError: It is neither a number nor a dict of them.
    """
    several = isinstance(answer, Mapping) and answer
    named = {f"{name}.{key}": value for key, value in answer.items()} if several else {name: answer}
    return {key: _number(key, value) for key, value in named.items()}


def _number(name: str, value: Any) -> float:
    try:
        if isinstance(value, str):
            raise TypeError
        return float(value)
    except (TypeError, ValueError, RuntimeError):
        expected = "expected a number, or a dict of numbers by name"
        raise EvaluationError(f"the metric {name!r} returned {_shown(value)}; {expected}.") from None


def _shown(value: Any) -> str:
    shape = getattr(value, "shape", None)
    text = f"a {type(value).__name__} of shape {list(shape)}" if shape is not None else repr(value)
    return text if len(text) < 80 else f"a {type(value).__name__}"
