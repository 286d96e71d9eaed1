"""The steps that a file can name, as classes that know no file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jumpml.data.augment._augmentations import Augmentation, Erase, Noise, Rotate, Shift
from jumpml.data.features._features import Feature, Index, OneHot, Standardize

if TYPE_CHECKING:
    from collections.abc import Iterable

FEATURES: dict[str, type[Feature]] = {"standardize": Standardize, "one_hot": OneHot, "index": Index}
AUGMENTATIONS: dict[str, type[Augmentation]] = {"shift": Shift, "rotate": Rotate, "noise": Noise, "erase": Erase}


def feature_steps(steps: Iterable[Any]) -> list[type[Feature]]:
    """The classes behind a file's feature steps."""
    return [FEATURES[step.name] for step in steps]


def augment_steps(steps: Iterable[Any]) -> list[Augmentation]:
    """The changes behind a file's augmentation steps."""
    return [AUGMENTATIONS[step.name](**step.chosen().model_dump()) for step in steps]
