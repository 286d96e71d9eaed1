"""The data file: what the data is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from jumpml.core._augment_spec import AugmentStep
from jumpml.core._feature_spec import FeatureStep
from jumpml.core._field_spec import FieldSpec
from jumpml.core._source_spec import SourceSpec
from jumpml.core._spec import About, FileSpec, Fraction, Name, Seed, Spec


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

    source: SourceSpec
    """Where the rows come from."""
    fields: Annotated[dict[Name, FieldSpec], Field(min_length=1)]
    """The named columns."""
    split: Split = Split()
    """Which rows are for what."""


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
