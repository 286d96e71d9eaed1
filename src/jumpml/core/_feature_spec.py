"""The data file's features: what stands between a decoded field and a model."""

from __future__ import annotations

from jumpml.core._spec import OneOf, Spec


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
