"""Task kinds as records of names; each layer resolves for itself the names that concern it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from jumpml.core._values import NEXT

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class TaskKind:
    """What a kind of task brings.

    Attributes:
        name: The kind.
        target: The kinds of field that can be its target.
        objective: The objective's kind.
        prediction: How the output becomes a decision: ``softmax``, ``sigmoid`` (of each logit) or ``identity``.
        metrics: The figures that are reported where none are named; the first is the kind's headline.
        decides: What is decided: a ``class``, any number of ``labels``, or ``numbers``.
        others: Further kinds of objective that can take its place.
        at: Where it is decided: once a ``row``, at each of a picture's ``pixels``, or at each of a text's ``tokens``.
        truth: What of the target a batch holds the truth under: nothing for the field itself, or ``.next``.
    """

    name: str
    target: tuple[str, ...]
    objective: str
    prediction: str
    metrics: tuple[str, ...]
    decides: Literal["class", "labels", "numbers"]
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
        "regression": TaskKind(
            name="regression",
            target=("number", "tensor", "image", "series"),
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
    }
)


@dataclass(frozen=True, kw_only=True)
class Task:
    """An output node, a target field, and a kind.

    Attributes:
        kind: One of `TASK_KINDS`.
        output: The node, or ``node.part``.
        target: The field.
        metrics: Names of metrics; the kind's own where None.
    """

    kind: str
    output: str
    target: str
    metrics: tuple[str, ...] | None = None

    @property
    def brings(self) -> TaskKind:
        """What the kind brings."""
        return TASK_KINDS[self.kind]

    @property
    def truth(self) -> str:
        """What a batch holds the truth under: the target, or what follows each of a text's tokens (``text.next``)."""
        return self.target + self.brings.truth
