"""The data file: what the data is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PositiveInt

from jumpml.core._spec import About, FileSpec, Name, OneOf, Seed, Spec

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


def _ascending(ends: tuple[float, float]) -> tuple[float, float]:
    if ends[0] >= ends[1]:
        raise ValueError(f"expected the lower end first, such as [0, 255], got [{ends[0]:g}, {ends[1]:g}]")
    return ends


class SklearnSource(Spec):
    """A data set that scikit-learn ships; nothing is downloaded."""

    kind: Literal["sklearn"]
    """The source\'s kind."""
    name: Literal["breast_cancer", "diabetes", "digits", "iris", "wine"]
    """Which one. Columns: each feature by its name, `data` (all features), `target`, and `images` for the digits."""


class CsvSource(Spec):
    """A table in a text file with a header line."""

    kind: Literal["csv"]
    """The source\'s kind."""
    path: str
    """The file, from the data file's folder."""
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    """What separates two values."""
    missing: tuple[str, ...] = ("", "NA", "NaN", "nan", "null", "?")
    """The texts that stand for a missing value."""


class NpzSource(Spec):
    """Arrays in a NumPy file; every array is a column, its first axis the rows."""

    kind: Literal["npz"]
    """The source\'s kind."""
    path: str
    """The file, from the data file's folder. Pickled objects in it are refused."""


Source = Annotated[SklearnSource | CsvSource | NpzSource, Field(discriminator="kind")]


class NumberField(Spec):
    """A number a row; decoded to float32 `[batch, 1]`, missing values as NaN."""

    kind: Literal["number"]
    """The field\'s kind."""
    column: str | None = None
    """The source's column; the field's own name where it is left out."""


class CategoryField(Spec):
    """One of a few names a row; decoded to int64 codes `[batch]`, missing values as -1."""

    kind: Literal["category"]
    """The field\'s kind."""
    column: str | None = None
    """The source's column; the field's own name where it is left out."""
    classes: tuple[str, ...] | None = None
    """The names in the order of their codes; sorted from the data where it is left out."""


class ImageField(Spec):
    """A picture a row; decoded to float32 `[batch, channels, height, width]` in [0, 1]."""

    kind: Literal["image"]
    """The field\'s kind."""
    column: str | None = None
    """The source's column; the field's own name where it is left out."""
    shape: tuple[PositiveInt, PositiveInt, PositiveInt]
    """Channels, height and width of one picture."""
    range: Annotated[tuple[float, float], AfterValidator(_ascending)] = (0.0, 255.0)
    """The raw values that become 0 and 1."""


class TensorField(Spec):
    """An array of numbers a row; decoded to float32 `[batch, *shape]`."""

    kind: Literal["tensor"]
    """The field\'s kind."""
    column: str | None = None
    """The source's column; the field's own name where it is left out."""
    shape: tuple[PositiveInt, ...]
    """The shape of one row's array."""


FieldSpec = Annotated[NumberField | CategoryField | ImageField | TensorField, Field(discriminator="kind")]


class Split(Spec):
    """Which rows are for training, for validation and for the test."""

    train: Fraction = 0.7
    """The share of rows to train on."""
    val: Fraction = 0.15
    """The share of rows to choose by: the best checkpoint, calibration, thresholds."""
    test: Fraction = 0.15
    """The share of rows to measure on."""
    stratify: str | None = None
    """A category field whose classes keep their shares in every split."""
    seed: Seed = 0
    """Another seed draws another split."""
    column: str | None = None
    """A column of the source that holds `train`, `val` or `test`; then the shares and the seed are not used."""
    duplicates: Literal["refuse", "together", "allow"] = "refuse"
    """What to do with equal rows that would stand in train and in test: stop, put them in one split, or let them be."""


class Dataset(Spec):
    """One data set: its source, its fields and its splits."""

    source: Source
    """Where the rows come from."""
    fields: Annotated[dict[Name, FieldSpec], Field(min_length=1)]
    """The named columns."""
    split: Split = Split()
    """Which rows are for what."""


class Standardize(Spec):
    """Subtract the mean and divide by the standard deviation of the train rows; a missing value becomes the mean.

    For an image one mean and deviation a channel, else one an element.
    """


class OneHot(Spec):
    """A category as a vector of zeros with a one; all zeros where it is missing or no train row has it."""


class Index(Spec):
    """A category as a whole number for an embedding: 0 where it is missing or no train row has it, then the classes."""


class FeatureStep(OneOf):
    """One step that turns a decoded field into what a model reads."""

    standardize: Standardize | None = None
    """Zero mean, unit variance on the train rows."""
    one_hot: OneHot | None = None
    """A category as a one-hot vector."""
    index: Index | None = None
    """A category as an index for an embedding."""


class Shift(Spec):
    """Move the picture by a random whole number of pixels along each axis; what comes in is zero."""

    pixels: Annotated[int, Field(ge=1)]
    """The most that it moves, along each axis."""


class Rotate(Spec):
    """Turn the picture by a random angle around its centre, with bilinear interpolation."""

    degrees: Annotated[float, Field(gt=0, le=180)]
    """The most that it turns, either way."""


class Noise(Spec):
    """Add Gaussian noise."""

    std: Annotated[float, Field(gt=0)]
    """Its standard deviation, in the decoded field's units."""


class Erase(Spec):
    """Set a random rectangle of the picture to zero (Zhong et al. 2020, https://arxiv.org/abs/1708.04896)."""

    area: Annotated[float, Field(gt=0, lt=1)]
    """The most that is erased, as a share of the picture's area."""
    probability: Fraction = 0.5
    """The share of rows that are touched."""


class AugmentStep(OneOf):
    """One random change, drawn for every row on its own, on whole batches."""

    shift: Shift | None = None
    """Move a picture."""
    rotate: Rotate | None = None
    """Turn a picture."""
    noise: Noise | None = None
    """Add Gaussian noise."""
    erase: Erase | None = None
    """Blank a rectangle of a picture."""


class DataAbout(About):
    """What people should know of the data; it goes to the report card."""

    source: str = ""
    """Where it comes from: a citation or an address."""
    collected: str = ""
    """When, how and from whom it was collected."""


class DataSpec(FileSpec):
    """The data file: what the data is."""

    datasets: Annotated[dict[Name, Dataset], Field(min_length=1, max_length=1)]
    """The data set by name. One a file for now."""
    features: dict[str, tuple[FeatureStep, ...]] = {}
    """Steps by field, fitted on the train rows and deployed with the model. A number that a node reads is standardized
    and a category one-hot where nothing is said."""
    augment: dict[str, tuple[AugmentStep, ...]] = {}
    """Random changes by field, for training only."""
    views: dict[Name, dict[str, tuple[AugmentStep, ...]]] = {}
    """Named augmentation policies, by field, that objectives ask for."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Rows a batch."""
    about: DataAbout = DataAbout()
    """For the report card."""
