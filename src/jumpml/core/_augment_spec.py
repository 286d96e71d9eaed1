"""The data file's random changes, for training and for views."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from jumpml.core._spec import Fraction, OneOf, Spec


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
