"""The data file's features: what stands between a decoded field and a model."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, model_validator

from jumpml.core._spec import Fraction, Name, OneOf, Seed, Spec, as_tuple

Count = Annotated[int, Field(ge=2)]
CyclePart = Literal["hour", "weekday", "day_of_year", "month"]


class Standardize(Spec):
    """Subtract the mean and divide by the standard deviation of the train rows; a missing value becomes the mean.

    One mean and deviation a channel of an image, a recording or a series, else one an element. A table must be of
    numbers alone.
    """

    fill: bool = True
    """Whether a missing value becomes the mean. With `false` it stays missing, as a target's must."""


class RobustScale(Spec):
    """Subtract the median and divide by the distance of two quantiles of the train rows; what is missing becomes 0."""

    low: Fraction = 0.25
    """The level of the lower quantile."""
    high: Fraction = 0.75
    """The level of the higher one."""


class Quantile(Spec):
    """Map numbers through the train rows' distribution to a uniform or a normal one; what is missing to its middle."""

    to: Literal["uniform", "normal"] = "uniform"
    """`uniform`: from 0 to 1; `normal`: with mean 0 and deviation 1."""
    quantiles: Count = 1000
    """How many quantiles are kept; the map is linear between them."""


class Clip(Spec):
    """Numbers outside of two bounds become the nearer bound; what is missing stays missing."""

    low: float | None = None
    """The least that passes."""
    high: float | None = None
    """The most that passes."""
    quantiles: Annotated[tuple[Fraction, Fraction] | None, BeforeValidator(as_tuple)] = None
    """Two levels instead: the bounds are these quantiles of the train rows."""


class Log(Spec):
    """The logarithm: `sign(x) * log(1 + |x|)`, or with an offset `log(x + offset)`; what is missing stays missing."""

    offset: float | None = None
    """What is added, so that every train number is above 0."""


class Impute(Spec):
    """Fill what is missing with a number of the train rows, or with a constant."""

    strategy: Literal["mean", "median", "most_frequent", "constant"] = "mean"
    """Which number."""
    value: float = 0.0
    """The constant."""
    indicator: bool = False
    """Add a column a number: 1 where it was missing, else 0."""


class OneHot(Spec):
    """A category as a vector of zeros with a one; all zeros where it is missing or no train row has it."""


class Index(Spec):
    """A category as a whole number for an embedding: 0 where it is missing, then the classes, then the rare ones."""

    min_count: PositiveInt = 1
    """Classes with fewer train rows share one index."""
    unknown: Literal["missing", "rare"] = "missing"
    """What a class counts as that no train row has."""


class Hash(Spec):
    """A category as one of a few indices, by a checksum of its name; 0 where it is missing."""

    buckets: PositiveInt
    """How many indices there are beside 0."""
    seed: Seed = 0
    """Another one shuffles the buckets."""


class TargetEncode(Spec):
    """A category as the mean target of the train rows that have it; a train row itself is encoded by other rows."""

    target: Name
    """The target's field: a number, or a category, whose classes' shares are taken."""
    smoothing: Annotated[float, Field(ge=0)] = 10.0
    """How many rows of the overall mean count along in each class's."""
    folds: Count = 5
    """Into how many parts the train rows fall; each is encoded by the others."""


class Cycles(Spec):
    """A date as sines and cosines of where it stands in a day, a week and a year; zeros where it is missing."""

    parts: Annotated[tuple[CyclePart, ...], Field(min_length=1), BeforeValidator(as_tuple)] = (
        "hour",
        "weekday",
        "day_of_year",
        "month",
    )
    """Which."""


class Elapsed(Spec):
    """A date as a number: 0 is the train rows' mean, 1 a standard deviation later; 0 where it is missing."""


class Bag(Spec):
    """A text as how often each token stands in it."""

    binary: bool = False
    """Say only that a token stands there."""


class TfIdf(Spec):
    """A text as its tokens' counts, weighted by how few train texts hold them, scaled to length 1."""

    sublinear: bool = False
    """Take `1 + log(count)` for a count."""


class Resize(Spec):
    """Pictures of another size, bilinear, smoothed where they shrink."""

    height: PositiveInt
    """In pixels."""
    width: PositiveInt
    """In pixels."""


class CenterCrop(Spec):
    """The middle of pictures."""

    height: PositiveInt
    """In pixels."""
    width: PositiveInt
    """In pixels."""


class Normalize(Spec):
    """Pictures less a given mean a channel, divided by a given deviation."""

    mean: Annotated[tuple[float, ...], Field(min_length=1), BeforeValidator(as_tuple)]
    """One a channel, for pictures in [0, 1]."""
    std: Annotated[tuple[PositiveFloat, ...], Field(min_length=1), BeforeValidator(as_tuple)]
    """One a channel."""


class Greyscale(Spec):
    """Pictures of red, green and blue as their brightness."""


class LogMel(Spec):
    """A recording as the logarithm of its power in bands as wide as the ear's, frame by frame."""

    mels: PositiveInt = 64
    """How many bands."""
    window: Count = 400
    """Samples a frame."""
    hop: PositiveInt = 160
    """Samples from a frame to the next."""
    low: Annotated[float, Field(ge=0)] = 0.0
    """The lowest frequency, in Hz."""
    high: PositiveFloat | None = None
    """The highest frequency, in Hz; half the sampling rate where it is left out."""
    rate: PositiveInt | None = None
    """Samples a second; the field's own where it is left out."""


class Mfcc(LogMel):
    """A recording as mel-frequency cepstral coefficients, frame by frame."""

    coefficients: PositiveInt = 13
    """How many, at most as many as mels."""


class Lags(Spec):
    """Each step of a series beside earlier ones, as further channels; the first steps, which lack some, go."""

    lags: Annotated[tuple[PositiveInt, ...], Field(min_length=1), BeforeValidator(as_tuple)]
    """How many steps earlier."""


class Difference(Spec):
    """Each step of a series less an earlier one; the first steps, which have none, go."""

    lag: PositiveInt = 1
    """How many steps earlier."""
    order: PositiveInt = 1
    """How often."""


class ZNorm(Spec):
    """Each window of a series on its own scale, channel by channel; what is missing becomes 0."""


class Encode(Spec):
    """A table's columns as one vector: standardized numbers, indicators of missing ones, categories."""

    categories: Literal["one_hot", "index"] = "one_hot"
    """`index`: a whole number for an embedding, 0 where it is missing, then the classes."""


class ModuleStep(Spec):
    """Any trusted `torch.nn.Module` as a step; one with a method `fit(values)` learns from the train rows."""

    name: str
    """The class, such as `torch.nn.Flatten`."""
    args: dict[str, Any] = {}
    """What it is made with."""


class Pretrained(Spec):
    """What a frozen model makes of the field; its answers are kept on disk."""

    file: str | None = None
    """An ONNX file, or weights of `module` (safetensors, `torch.save`'s, a checkpoint's folder), from the data file's
    folder."""
    module: str | None = None
    """The class that the weights are of."""
    args: dict[str, Any] = {}
    """What the class is made with, or the model of timm."""
    transformers: str | None = None
    """A model of the Hugging Face hub, or a folder from the data file's (`./name`), in the place of a file."""
    sentences: str | None = None
    """A model of sentences, as `sentence-transformers` saves one: a name on the hub, or a folder (`./name`)."""
    timm: str | None = None
    """A model of timm, by its name. It reads pictures in [0, 1]."""
    output: str | int | None = None
    """Which of several outputs, by name or place; the first where it is left out."""

    @model_validator(mode="after")
    def _one_origin(self) -> Pretrained:
        origins = ("file", "transformers", "sentences", "timm")
        said = [name for name in origins if getattr(self, name) is not None]
        if len(said) != 1:
            raise ValueError(f"expected exactly one of {', '.join(origins)}; got {' and '.join(said) or 'none'}")
        if self.module is not None and said != ["file"]:
            raise ValueError("`module` is the class of the weights in a `file`, which is missing")
        if self.args and self.module is None and said != ["timm"]:
            raise ValueError("`args` are those of `module` or of a `timm` model, which are missing")
        if self.output is not None and said[0] in {"transformers", "sentences"}:
            raise ValueError(f"a model of `{said[0]}` gives one vector a row, so that `output` would choose nothing")
        return self


class FeatureStep(OneOf):
    """One step that turns a decoded field into what a model reads."""

    standardize: Standardize | None = None
    """Zero mean, unit variance on the train rows."""
    robust_scale: RobustScale | None = None
    """The same by median and quantiles, which outliers do not move."""
    quantile: Quantile | None = None
    """A uniform or normal distribution on the train rows."""
    clip: Clip | None = None
    """Bounds for numbers."""
    log: Log | None = None
    """The logarithm."""
    impute: Impute | None = None
    """A number for what is missing."""
    one_hot: OneHot | None = None
    """A category as a one-hot vector."""
    index: Index | None = None
    """A category as an index for an embedding."""
    hash: Hash | None = None
    """A category as one of a few indices, by its name."""
    target_encode: TargetEncode | None = None
    """A category as the mean target of its rows."""
    cycles: Cycles | None = None
    """A date as its place in day, week and year."""
    elapsed: Elapsed | None = None
    """A date as a number."""
    bag: Bag | None = None
    """A text as its tokens' counts."""
    tfidf: TfIdf | None = None
    """A text as weighted counts."""
    resize: Resize | None = None
    """Pictures of another size."""
    crop: CenterCrop | None = None
    """The middle of pictures."""
    normalize: Normalize | None = None
    """A given mean and deviation a channel."""
    greyscale: Greyscale | None = None
    """Brightness for colours."""
    log_mel: LogMel | None = None
    """A recording's power by frequency and time."""
    mfcc: Mfcc | None = None
    """A recording's cepstral coefficients."""
    lags: Lags | None = None
    """A series beside its past."""
    difference: Difference | None = None
    """A series' changes."""
    z_norm: ZNorm | None = None
    """A series' windows, each on its own scale."""
    encode: Encode | None = None
    """A table as a vector."""
    module: ModuleStep | None = None
    """A module of your own."""
    pretrained: Pretrained | None = None
    """A frozen model's output."""
