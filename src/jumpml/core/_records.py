"""What a run leaves behind, as plain records: the report card is built from these alone.

Every record is a frozen pydantic model: ``record.model_dump_json()`` and ``Class.model_validate_json(text)`` are exact
inverses. Pictures are small nested lists of numbers; drawing them is the report's business.
"""

from __future__ import annotations

from jumpml.core._record import Figure, Grid, Record


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


class EmbeddingMap(Record):
    """A node's values on test rows, laid flat: a point a row."""

    node: str
    label: str = ""
    """The field whose classes colour the points; empty where none does."""
    layout: str
    """``pca`` or ``umap``."""
    x: tuple[float, ...]
    y: tuple[float, ...]
    """Of the same length."""
    codes: tuple[int, ...]
    """Each row's class, a place in ``classes``; -1 where that is not known."""
    classes: tuple[str, ...] = ()
    share: float | None = None
    """Of the values' variance, what both axes hold; only of ``pca``."""
    alike: float | None = None
    """How often a row's nearest other one is of its class, in all dimensions; by chance as often as classes are."""


class DiagnosisRecord(Record):
    """Why the model answers as it does, where it struggles, and what is foreign to it."""

    attributions: tuple[Attribution, ...] = ()
    hard_examples: tuple[HardExample, ...] = ()
    out_of_domain: tuple[OutOfDomain, ...] = ()
    maps: tuple[EmbeddingMap, ...] = ()
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
    failed: dict[str, str] = {}
    """By variant whose training gave values that are not finite, what happened; there is nothing of it to measure."""


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
    rows: dict[str, int] = {}
    """Rows that counted, by objective: those that have its target."""
    lr: float
    """Of the optimizer's first group, at its end."""
    rates: dict[str, float] = {}
    """By group of the optimizer, its learning rate, where groups have their own."""
    seconds: float
    notes: tuple[str, ...] = ()
    """What happened at its end, in words: the phase ended early, a node grew."""

    def place(self) -> dict[str, str | float]:
        """Which epoch it is, by ``phase``, ``epoch``, ``step``, ``lr``, ``lr/<group>`` and ``seconds``."""
        place = {"phase": self.phase, "epoch": self.epoch, "step": self.step}
        return {**place, **self.learning_rates(), "seconds": self.seconds}

    def learning_rates(self) -> dict[str, float]:
        """Its learning rates by the names of their curves: ``lr``, and ``lr/<group>`` where groups have their own."""
        return {"lr": self.lr, **{f"lr/{name}": value for name, value in self.rates.items()}}

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
