"""Task kinds as records of names; each layer resolves for itself the names that concern it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from jumpml.core._values import NEXT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, kw_only=True)
class TaskKind:
    """What a kind of task brings.

    Attributes:
        name: The kind.
        target: The kinds of field that can be its target.
        objective: The objective's kind.
        prediction: How the output becomes a decision: ``softmax``, ``sigmoid`` (of each logit), ``corn`` (classes in an
            order, each told by whether the next one is reached), ``unit`` (a vector of length 1) or ``identity``.
        metrics: The figures that are reported where none are named; the first is the kind's headline.
        decides: What is decided: a ``class``, any number of ``labels``, ``numbers``, or nothing yet, where rows are
            compared by an ``embedding``.
        others: Further kinds of objective that can take its place.
        at: Where it is decided: once a ``row``, at each of a picture's ``pixels``, or at each of a text's ``tokens``.
        truth: What of the target a batch holds the truth under: nothing for the field itself, or ``.next``.
    """

    name: str
    target: tuple[str, ...]
    objective: str
    prediction: str
    metrics: tuple[str, ...]
    decides: Literal["class", "labels", "numbers", "embedding"]
    others: tuple[str, ...] = ()
    at: Literal["row", "pixels", "tokens"] = "row"
    truth: str = ""

    @property
    def one_logit(self) -> bool:
        """Whether a single logit, that of the second of two classes, decides."""
        return self.decides == "class" and self.prediction == "sigmoid"


TASK_KINDS: Mapping[str, TaskKind] = MappingProxyType(
    {
        "multiclass": TaskKind(
            name="multiclass",
            target=("category",),
            objective="cross_entropy",
            prediction="softmax",
            metrics=("accuracy", "macro_f1", "auroc", "log_loss"),
            decides="class",
        ),
        "binary": TaskKind(
            name="binary",
            target=("category", "number"),
            objective="binary_cross_entropy",
            prediction="sigmoid",
            metrics=("accuracy", "f1", "auroc", "log_loss"),
            decides="class",
        ),
        "multilabel": TaskKind(
            name="multilabel",
            target=("multilabel",),
            objective="binary_cross_entropy",
            prediction="sigmoid",
            metrics=("micro_f1", "macro_f1", "average_precision", "subset_accuracy", "hamming_loss"),
            decides="labels",
        ),
        "ordinal": TaskKind(
            name="ordinal",
            target=("category",),
            objective="corn",
            prediction="corn",
            metrics=("accuracy", "mae", "quadratic_kappa", "log_loss"),
            decides="class",
        ),
        "regression": TaskKind(
            name="regression",
            target=("number", "tensor", "image", "series", "table"),
            objective="mse",
            others=("mae", "huber"),
            prediction="identity",
            metrics=("rmse", "mae", "r2"),
            decides="numbers",
        ),
        "segmentation": TaskKind(
            name="segmentation",
            target=("mask",),
            objective="cross_entropy",
            others=("dice",),
            prediction="softmax",
            metrics=("mean_iou", "dice", "pixel_accuracy", "log_loss"),
            decides="class",
            at="pixels",
        ),
        "token_labelling": TaskKind(
            name="token_labelling",
            target=("token_labels",),
            objective="cross_entropy",
            prediction="softmax",
            metrics=("token_accuracy", "macro_f1", "log_loss"),
            decides="class",
            at="tokens",
        ),
        "language_modelling": TaskKind(
            name="language_modelling",
            target=("text",),
            objective="cross_entropy",
            prediction="softmax",
            metrics=("perplexity", "log_loss", "bits_per_token", "token_accuracy"),
            decides="class",
            at="tokens",
            truth=NEXT,
        ),
        "forecasting": TaskKind(
            name="forecasting",
            target=("series",),
            objective="mse",
            prediction="identity",
            metrics=("mae", "rmse", "mase", "skill"),
            decides="numbers",
            others=("mae", "huber"),
        ),
        "retrieval": TaskKind(
            name="retrieval",
            target=("category",),
            objective="supervised_contrastive",
            prediction="unit",
            metrics=("recall_at_1", "recall_at_5", "mean_average_precision"),
            decides="embedding",
            others=("batch_hard_triplet",),
        ),
        "reconstruction": TaskKind(
            name="reconstruction",
            target=("number", "tensor", "image", "series", "table"),
            objective="mse",
            prediction="identity",
            metrics=("mse", "mae", "psnr"),
            decides="numbers",
            others=("mae", "huber"),
        ),
    }
)


WITH_QUANTILES = ("regression", "forecasting")
WITH_HISTORY = ("forecasting",)
_NEED_QUANTILES = ("pinball", "coverage", "width")
_OF_QUANTILES = ("mae", "rmse", *_NEED_QUANTILES)


def options_problem(
    kind: str,
    *,
    metrics: Sequence[str] = (),
    quantiles: Sequence[float] = (),
    history: str | None = None,
    season: int | None = None,
) -> str:
    """What is wrong with a task's own options; empty where nothing is.

    Args:
        kind: The task's.
        metrics: Those that are named.
        quantiles: As `Task` has them.
        history: Likewise.
        season: Likewise; None where it is left out.
    """
    for metric in metrics:
        if metric in _NEED_QUANTILES and kind in WITH_QUANTILES and not quantiles:
            return f"the metric {metric} needs the key quantiles, such as [0.1, 0.5, 0.9]"
        if metric == "seasonal_skill" and kind in WITH_HISTORY and (season or 1) == 1:
            return f"the metric {metric} needs the key season, of more than one step"
    given = {"quantiles": bool(quantiles), "history": history is not None, "season": season is not None}
    for key, kinds in (("quantiles", WITH_QUANTILES), ("history", WITH_HISTORY), ("season", WITH_HISTORY)):
        if given[key] and kind not in kinds:
            return f"{key} is for {' and '.join(kinds)} tasks; this task is {kind}"
    if kind in WITH_HISTORY and history is None:
        return f"a {kind} task needs history: the series field that ends where its target begins"
    if not quantiles:
        return ""
    shown = f"got {', '.join(map(str, quantiles))}"
    if list(quantiles) != sorted(set(quantiles)) or not 0 < quantiles[0] <= quantiles[-1] < 1:
        return f"quantiles: expected levels between 0 and 1, in rising order; {shown}"
    if 0.5 not in quantiles[1:-1]:
        return f"quantiles: expected 0.5, which is decided, with a level below and one above it; {shown}"
    return ""


def brought(kind: str, quantiles: Sequence[float] = (), season: int = 1) -> TaskKind:
    """What a kind of task brings with the task's own options; see `Task`.

    Example:
        >>> brought("regression").objective, brought("regression", (0.1, 0.5, 0.9)).objective
        ('mse', 'quantile')
    """
    brings = TASK_KINDS[kind]
    metrics = (*brings.metrics, "seasonal_skill") if season > 1 else brings.metrics
    if not quantiles:
        return replace(brings, metrics=metrics)
    more = tuple(metric for metric in metrics if metric not in {*_OF_QUANTILES, "r2"})
    return replace(brings, objective="quantile", others=(), metrics=(*_OF_QUANTILES, *more))


@dataclass(frozen=True, kw_only=True)
class Task:
    """An output node, a target field, and a kind.

    Attributes:
        kind: One of `TASK_KINDS`.
        output: The node, or ``node.part``.
        target: The field.
        metrics: Names of metrics; the kind's own where None.
        quantiles: The levels that are predicted of each number, in rising order with .5 among them; empty where it is
            one number each. The output then holds all levels of the target's first number, then of its second, ...
        history: Of a forecast: the series that ends where the target begins.
        season: Of a forecast: after how many steps the series resembles itself.
    """

    kind: str
    output: str
    target: str
    metrics: tuple[str, ...] | None = None
    quantiles: tuple[float, ...] = ()
    history: str | None = None
    season: int = 1

    @property
    def brings(self) -> TaskKind:
        """What the kind brings, with quantiles their own objective and metrics, with a season its own metric."""
        return brought(self.kind, self.quantiles, self.season)

    @property
    def truth(self) -> str:
        """What a batch holds the truth under: the target, or what follows each of a text's tokens (``text.next``)."""
        return self.target + self.brings.truth
