"""How good a model is, as records."""

from __future__ import annotations

from jumpml.core._record import Curve, Figure, Grid, Record


class Calibration(Record):
    """Whether a stated confidence is the share of times that it is right."""

    error: float
    """Expected calibration error: the mean distance of confidence and accuracy over bins, weighted by rows."""
    null_low: float
    """2.5% of perfectly calibrated models with these confidences have an error below this."""
    null_high: float
    """2.5% of them have an error above this: only beyond it is miscalibration shown."""
    confidence: tuple[float, ...]
    """Mean confidence of each bin that has rows."""
    accuracy: tuple[float, ...]
    """Share of right answers in each of those bins."""
    count: tuple[int, ...]
    """Answers in each of those bins: one a row, of a multilabel task one a row and label, of a task that decides at
    positions one a position."""


class LabelCounts(Record):
    """How often one label of a multilabel task was decided rightly and wrongly."""

    right: int
    """Rows that have the label and were given it."""
    missed: int
    """Rows that have it and were not given it."""
    wrong: int
    """Rows that do not have it and were given it."""


class Reconstruction(Record):
    """A picture and what the model makes of it."""

    row: int
    original: Grid
    """As rows and columns: the mean over channels."""
    reconstruction: Grid
    """Of the same shape."""
    error: float
    """The mean squared difference of all their values."""


class DecidedMap(Record):
    """A class at each pixel of a picture, true and decided."""

    row: int
    true: Grid
    """From 0, the first class, to 1, the last; NaN where it is not known."""
    decided: Grid
    """Of the same shape."""
    right: float
    """The share of known pixels that were decided rightly."""


class LabelledText(Record):
    """A class at each token of a text, true and decided."""

    row: int
    tokens: tuple[str, ...]
    """As its tokenizer takes it apart; the first ones of a long text."""
    true: tuple[int, ...]
    """The code of each token's class; -1 where it is not known."""
    decided: tuple[int, ...]
    """Likewise."""
    right: float
    """The share of the row's known tokens that were decided rightly."""


class Continuation(Record):
    """How a text goes on, in truth and by the model."""

    row: int
    start: str
    """What the model was given."""
    true: str
    """What follows it, as far as the other goes."""
    drawn: str
    """Tokens that were drawn one after the other from what the model holds likely, each of all before it."""


class TaskEvaluation(Record):
    """One task's figures on one split."""

    kind: str
    target: str
    rows: int
    """Rows with a target."""
    missing: int
    """Rows without one, which are left out."""
    positions: int = 0
    """Of a task that decides at positions, those with a target, in all rows."""
    classes: tuple[str, ...] = ()
    figures: dict[str, Figure]
    """By metric."""
    higher_is_better: dict[str, bool | None]
    """By metric; None where nobody said."""
    confusion: tuple[tuple[int, ...], ...] | None = None
    """Rows by true class, columns by predicted class."""
    labels: tuple[LabelCounts, ...] = ()
    """Of each class of a multilabel task."""
    calibration: Calibration | None = None
    curves: dict[str, tuple[Curve, ...]] = {}
    """Lines to draw, by the picture's title."""
    reconstructions: tuple[Reconstruction, ...] = ()
    """Of a reconstruction task on pictures, a few, the worst first."""
    maps: tuple[DecidedMap, ...] = ()
    """Of a segmentation, a few, the worst first."""
    texts: tuple[LabelledText, ...] = ()
    """Of token labelling, a few, the worst first."""
    continuations: tuple[Continuation, ...] = ()
    """Of language modelling, a few."""


class AdaptedTask(Record):
    """One task's figures by a model that adapts to the rows that it predicts."""

    figures: dict[str, Figure]
    """By metric."""
    headline: str
    """The metric whose change is told."""
    change: Figure
    """That of the adapted model less that of the model as it is, on the same rows, with the interval of paired rows."""


class AdaptedEvaluation(Record):
    """What an adapting copy of the model made of the same rows."""

    method: str
    episodic: bool
    """Whether each batch began with the unadapted model."""
    moved: int
    """Numbers of the copy that moved: weights and statistics."""
    batches: int
    checked: bool
    """Whether a probe could have undone it."""
    undone: tuple[str, ...] = ()
    """By batch that was predicted by the unadapted model, why."""
    tasks: dict[str, AdaptedTask]


class EvaluationRecord(Record):
    """All tasks' figures on one split."""

    split: str
    tasks: dict[str, TaskEvaluation]
    averaged_weights: bool = False
    """Whether the weights are an exponential moving average."""
    notes: tuple[str, ...] = ()
    """What a reader of the figures must know."""
    adapted: AdaptedEvaluation | None = None
    """The same rows by a copy that adapts to them, where the learner file asks for one."""
