"""The data file: what the data is."""

from __future__ import annotations

from os.path import normpath
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Discriminator,
    Field,
    PositiveInt,
    SerializerFunctionWrapHandler,
    Tag,
    model_serializer,
    model_validator,
)

from jumpml.core._augment_spec import AugmentStep
from jumpml.core._feature_spec import FeatureStep
from jumpml.core._field_spec import FieldSpec
from jumpml.core._source_spec import SourceSpec
from jumpml.core._spec import About, FileSpec, Fraction, Name, OneOf, Seed, Spec


class Fold(Spec):
    """Which fold of how many the test is."""

    of: Annotated[int, Field(ge=2)]
    """How many folds there are."""
    use: Annotated[int, Field(ge=0)]
    """The fold that is the test, from 0; over all of them every row is in the test once."""


Values = Annotated[tuple[str, ...], Field(min_length=1)]


class SplitValues(Spec):
    """What a split's column holds for each split. One of the three may be left out: it has every other row."""

    train: Values | None = None
    """The values of rows to train on."""
    val: Values | None = None
    """The values of rows to choose by."""
    test: Values | None = None
    """The values of rows to measure on."""

    def told(self) -> dict[str, tuple[str, ...]]:
        """The values by split, of the splits that have some."""
        return {split: values for split, values in self if values is not None}

    @model_validator(mode="after")
    def _decides(self) -> SplitValues:
        told = self.told()
        if len(told) < 2:
            raise ValueError("expected the values of two of train, val and test at least; the third may be left out")
        seen: dict[str, str] = {}
        for split, values in told.items():
            for value in values:
                if value in seen:
                    where = "twice" if seen[value] == split else f"in {seen[value]} and in {split}"
                    raise ValueError(f"{value!r} stands {where}; a value belongs to one split")
                seen[value] = split
        return self


class Split(Spec):
    """Which rows are for training, for validation and for the test."""

    train: Fraction = 0.7
    """The share of rows to train on."""
    val: Fraction = 0.15
    """The share of rows to choose by: the best checkpoint, calibration, thresholds. With `fold`, the share of the rows
    that are not in the test."""
    test: Fraction = 0.15
    """The share of rows to measure on."""
    stratify: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    """A category, multilabel or number field whose values keep their shares in every split, or a list of such; of
    several fields, each keeps its own shares."""
    bins: Annotated[int, Field(ge=2)] = 10
    """How many parts of equal size a number in `stratify` is put into."""
    group: str | None = None
    """A field or a column of the source: rows of equal value stay in one split, and the shares come as near as whole
    groups allow."""
    time: str | None = None
    """A field or a column of the source that holds numbers, dates or times: the earliest rows are for training, the
    latest for the test. Rows of equal time stay together; a row whose windows look into another split is left out."""
    gap: Annotated[float, Field(ge=0)] = 0.0
    """With `time`: how much later than the end of one split the next begins, in the time's own unit, for dates and
    times in seconds. Rows between are left out."""
    fold: Fold | None = None
    """One fold is the test, instead of a share."""
    stable: str | None = None
    """A field or a column of the source whose value's hash decides, so that a row keeps its split when others are added
    or their order changes. The shares are met by chance only, and no class keeps its own."""
    seed: Seed = 0
    """Another seed draws another split."""
    column: str | None = None
    """A column of the source that holds `train`, `val` or `test`, or what `values` says; then the shares and the seed
    are not used."""
    values: SplitValues | None = None
    """With `column`: what it holds for each split, where it holds other words."""
    duplicates: Literal["refuse", "together", "allow"] = "refuse"
    """What to do with equal rows that would stand in two splits: stop, put them in one, or let them be. What stays in
    files counts as equal where it is the same file."""


class Sample(OneOf):
    """How the train rows of a data set are drawn; each row once an epoch, in random order, where nothing is said."""

    balance: str | None = None
    """A category field whose classes come equally often."""
    weight: str | None = None
    """A number field: rows are drawn with replacement, in proportion to it."""
    buffer: PositiveInt | None = None
    """For sources that are quick only where they are read in long runs: shards in random order, and so many rows
    shuffled at a time."""


class Difficulty(OneOf):
    """How hard each row is, for a curriculum; the higher, the harder."""

    column: str | None = None
    """A number field, or a column of the source that holds numbers."""
    python: str | None = None
    """A function as `module:function`, of a package that is trusted by name. It gets the data set's decoded fields, a
    tensor each by name, and gives a number for each row."""


class SplitSources(Spec):
    """A source of its own for each split. All have the columns that the fields read."""

    train: SourceSpec
    """The rows to train on."""
    val: SourceSpec | None = None
    """The rows to choose by; a share of the train source's, `val` of `split`, where it is left out."""
    test: SourceSpec
    """The rows to measure on."""


def _one_or_several(value: Any) -> str:
    keys = value if isinstance(value, dict) else ()
    several = isinstance(value, SplitSources) or ("kind" not in keys and {"train", "val", "test"} & {*keys})
    return "(several)" if several else "(one)"


class Dataset(Spec):
    """One data set: its source, its fields and its splits."""

    source: Annotated[
        Annotated[SourceSpec, Tag("(one)")] | Annotated[SplitSources, Tag("(several)")], Discriminator(_one_or_several)
    ]
    """Where the rows come from: one source, or one for each split."""
    fields: Annotated[dict[Name, FieldSpec], Field(min_length=1)]
    """The named columns."""
    split: Split = Split()
    """Which rows are for what."""
    sample: Sample | None = None
    """How the train rows are drawn."""
    difficulty: Difficulty | None = None
    """How hard each row is, where a `curriculum` of the learner file asks for it."""
    on_error: Literal["stop", "skip"] = "stop"
    """What to do with a row that cannot be decoded, or a damaged part of a file: stop, or leave it out, count and list
    it."""


class Mix(Spec):
    """How several data sets share an epoch, which serves as many rows as they have train rows together."""

    by: Literal["proportional", "uniform", "temperature", "weights", "round_robin"]
    """`proportional`: every row once; `uniform`: every data set as often as any other; `temperature`: in proportion to
    the rows to the power of one by the temperature; `weights`: as given; `round_robin`: the data sets take turns, a
    batch each. A small data set's rows may come several times an epoch, and a large one's once in several epochs."""
    temperature: Annotated[float, Field(ge=1)] | None = None
    """1 is proportional; the higher, the more even. Only for `by: temperature`, which needs it."""
    weights: dict[str, Annotated[float, Field(gt=0)]] | None = None
    """A weight for each data set, relative to the others. Only for `by: weights`, which needs it."""
    batches: Literal["mixed", "separate"] = "mixed"
    """Whether the rows of a batch come from any data set, or all from one, as they always do for `round_robin`."""

    @model_validator(mode="after")
    def _fits(self) -> Mix:
        for key in ("temperature", "weights"):
            if (getattr(self, key) is not None) != (self.by == key):
                wrong = f"`by: {key}` needs `{key}`" if self.by == key else f"`{key}` does nothing with `by: {self.by}`"
                raise ValueError(wrong)
        if self.by == "round_robin" and "batches" in self.model_fields_set:
            raise ValueError("`batches` does nothing with `by: round_robin`, whose batches are of one data set")
        return self

    @model_serializer(mode="wrap")
    def _what_is_said(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without a key that could not be read again."""
        return {key: value for key, value in write(self).items() if key != "batches" or self.by != "round_robin"}


class DataAbout(About):
    """What people should know of the data; it goes to the report card."""

    source: str = ""
    """Where it comes from: a citation or an address."""
    collected: str = ""
    """When, how and from whom it was collected."""


class DataSpec(FileSpec):
    """The data file: what the data is."""

    root: str = ""
    """Where the file's relative paths start, from its own folder, which it is where nothing is said."""
    datasets: Annotated[dict[Name, Dataset], Field(min_length=1)]
    """The data sets by name. A field that stands in several of them is one field; the rows of a data set that lacks it
    miss it."""
    mix: Mix | None = None
    """How several data sets share an epoch: each row once, in mixed batches, where nothing is said."""
    features: dict[str, tuple[FeatureStep, ...]] = {}
    """Steps by field, fitted on the train rows and deployed with the model. Where nothing is said of a field that a
    node reads, a number is standardized, a category one-hot, a date becomes cycles and a table is encoded."""
    augment: dict[str, tuple[AugmentStep, ...]] = {}
    """Random changes by field, for training only."""
    views: dict[Name, dict[str, tuple[AugmentStep, ...]]] = {}
    """Named augmentation policies, by field, that objectives ask for."""
    batch_size: Annotated[int, Field(ge=1)] = 64
    """Rows a batch."""
    bucket: str | None = None
    """A text field. The rows of a train batch are then of similar length, and in every batch the text is cut to its
    longest row, rounded up to a multiple of 8, so that little is computed on padding."""
    storage: Literal["memory", "disk", "source"] = "memory"
    """Where decoded values are held: in memory; on disk, for tables larger than memory; or nowhere, so that images and
    audio are read and decoded anew each epoch."""
    workers: Annotated[int, Field(ge=0)] = 0
    """Processes that read and decode, where `storage` is `source`."""
    about: DataAbout = DataAbout()
    """For the report card."""

    @property
    def folder(self) -> Path:
        """The folder in which relative paths start."""
        return Path(normpath(super().folder / self.root)) if self.root else super().folder
