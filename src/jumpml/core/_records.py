"""What a run leaves behind, as plain records: the report card is built from these alone.

Every record is a frozen pydantic model: ``record.model_dump_json()`` and ``Class.model_validate_json(text)`` are exact
inverses. Pictures are small nested lists of numbers; drawing them is the report's business.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

Grid = tuple[tuple[float, ...], ...]


class Record(BaseModel):
    """The base of all records."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants", use_attribute_docstrings=True)


class Figure(Record):
    """A measured number with its 95% interval."""

    value: float
    """The measurement."""
    low: float
    """Lower end of the interval."""
    high: float
    """Upper end of the interval."""
    n: int
    """Rows it was measured on."""

    def __str__(self) -> str:
        return f"{self.value:.4g} [{self.low:.4g}, {self.high:.4g}]"

    def __float__(self) -> float:
        return self.value


class Curve(Record):
    """A line to draw."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    x_label: str
    y_label: str
    label: str = ""
    """What the line is, where several share a picture."""


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
    """Answers in each of those bins: one a row, of a multilabel task one a row and label."""


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


class EvaluationRecord(Record):
    """All tasks' figures on one split."""

    split: str
    tasks: dict[str, TaskEvaluation]
    averaged_weights: bool = False
    """Whether the weights are an exponential moving average."""
    notes: tuple[str, ...] = ()
    """What a reader of the figures must know."""


class AttributedExample(Record):
    """One row with the share of each input element in the decision."""

    row: int
    target: str
    predicted: str
    value: Grid
    """The decoded input as rows and columns (an image's mean over channels; one row for a vector)."""
    attribution: Grid
    """Of the same shape."""


class Attribution(Record):
    """Integrated gradients of one field for one task, checked against a random ranking."""

    task: str
    field: str
    kind: str
    """The field's kind."""
    mean_absolute: Grid
    """Mean absolute attribution of each element."""
    examples: tuple[AttributedExample, ...]
    insertion: Figure
    """Area under the confidence as elements are put back, most important first; high is good."""
    random_insertion: Figure
    """The same for a random order."""
    deletion: Figure
    """Area under the confidence as elements are taken away, most important first; low is good."""
    random_deletion: Figure
    """The same for a random order."""
    convergence: float
    """Largest error of completeness: attributions must sum to the output's difference from the baseline's."""


class HardExample(Record):
    """A train row that stayed hard."""

    task: str
    row: int
    target: str
    suggestion: str = ""
    """The class, or the set of labels, that the model kept preferring, or empty."""
    margin: float
    """Area under the margin of `ExampleHistory`, over all epochs; negative: mostly wrong."""
    loss: float
    """Mean loss over the epochs."""
    suspicious: bool = False
    """Whether its margin is so low that the label itself is doubtful."""
    picture: Grid | None = None
    """The row's image, where it has one."""


class OutOfDomain(Record):
    """A score of how foreign a row is to the train rows, from one node's output."""

    method: str
    """``mahalanobis`` or ``knn``."""
    node: str
    threshold: float
    """95% of the validation rows score below it."""
    test_above: Figure
    """Share of the test rows above it; about .05 where they are like the train rows."""
    auroc: dict[str, Figure]
    """How well the score tells test rows from strangers, by the kind of stranger."""


class DiagnosisRecord(Record):
    """Why the model answers as it does, where it struggles, and what is foreign to it."""

    attributions: tuple[Attribution, ...] = ()
    hard_examples: tuple[HardExample, ...] = ()
    out_of_domain: tuple[OutOfDomain, ...] = ()
    warnings: tuple[str, ...] = ()
    """Training health: what a reader should look into, with what to do."""
    notes: tuple[str, ...] = ()
    """What was left out, and why."""


class GateAnswer(Record):
    """Whether a variant holds what was asked of it."""

    answer: str
    """``pass``, ``refuse`` or ``undecided``."""
    metric: str
    max_drop: float
    drop: Figure
    """How much worse than the original, on the same rows; negative where it is better."""
    reason: str


class VariantRecord(Record):
    """One deployed form of the model, measured in its own runtime."""

    change: str
    """What was done, in words."""
    bytes: int
    """The ONNX file's size."""
    parameters: int
    milliseconds: float
    """Median time for one batch of one row in ONNX Runtime, one thread."""
    max_difference: float
    """Largest absolute difference of its raw outputs from the PyTorch original's, on the test rows."""
    figures: dict[str, Figure]
    """By ``task/metric``, on the test rows, from the ONNX file."""
    gate: GateAnswer | None = None
    bundled: bool
    notes: tuple[str, ...] = ()


class DeploymentRecord(Record):
    """What was exported, verified and bundled."""

    bundle: str
    """The bundle's folder."""
    rows: int
    """Test rows that every variant was measured on."""
    variants: dict[str, VariantRecord]


class EpochRecord(Record):
    """One line of the history."""

    phase: str
    epoch: int
    """1-based within the phase."""
    step: int
    """Optimizer steps since the start of the run."""
    losses: dict[str, float]
    """Mean over the epoch, by objective, and `total`."""
    val: dict[str, float] = {}
    """On the validation rows, by ``task/metric`` and `loss`, where something reads them."""
    lr: float
    seconds: float
    notes: tuple[str, ...] = ()
    """What happened at its end, in words: the phase ended early, a node grew."""

    def figures(self) -> dict[str, float]:
        """Everything measured in it, by the names of its curves: ``loss``, ``loss/<objective>``, ``val/<figure>``."""
        named = {f"loss/{name}": value for name, value in self.losses.items() if name != "total"}
        total = {"loss": self.losses["total"]} if "total" in self.losses else {}
        return {**total, **named, **{f"val/{name}": value for name, value in self.val.items()}}


class WeightsRecord(Record):
    """What of some weights from elsewhere went into a module."""

    source: str
    """The file."""
    sha256: str
    """Its checksum."""
    matched: tuple[str, ...]
    """What the module took, by its own names."""
    missing: tuple[str, ...] = ()
    """What the module has and the file has not; it keeps its first values."""
    unexpected: tuple[str, ...] = ()
    """What the file has and the module has not, by the file's names."""
    unlike: dict[str, str] = {}
    """What both have with other shapes or types, by the module's names, each with both in words; not taken."""

    @property
    def whole(self) -> bool:
        """Whether module and file have the same weights."""
        return not (self.missing or self.unexpected or self.unlike)

    def __str__(self) -> str:
        count = len(self.matched) + len(self.missing) + len(self.unlike)
        parts = [f"{len(self.matched)} of {count} weights from {self.source}"]
        parts += [f"not in the file: {_few(self.missing)}"] if self.missing else []
        parts += [f"not in the module: {_few(self.unexpected)}"] if self.unexpected else []
        parts += (
            [f"of another shape: {_few(tuple(f'{k} ({v})' for k, v in self.unlike.items()))}"] if self.unlike else []
        )
        return "; ".join(parts)


def _few(names: tuple[str, ...], most: int = 5) -> str:
    """Some of many names, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
