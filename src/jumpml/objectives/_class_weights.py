"""How much each class counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from jumpml.core import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from jumpml.core import ObjectiveError, ValueInfo

BALANCED = "balanced"
ClassWeights = str | Sequence[float] | Mapping[str, float]


def check_class_weights(given: ClassWeights | None, error: Callable[[str], ObjectiveError]) -> None:
    """Refuse what can be no weights of classes.

    Args:
        given: ``balanced``, one weight a class, or weights by the classes' names.
        error: Makes the error.
    """
    if isinstance(given, str):
        if given != BALANCED:
            raise error(f"expected class_weights as a list, by class, or {BALANCED!r}; got {given!r}.")
        return
    weights = given.values() if isinstance(given, Mapping) else given or ()
    wrong = [weight for weight in weights if not (math.isfinite(weight) and weight >= 0)]
    if wrong:
        raise error(f"expected class_weights of 0 or more, got {wrong[0]}.")


def need_data(given: ClassWeights) -> bool:
    """Whether weights are not known before the target's classes are."""
    return isinstance(given, str | Mapping)


def weigh_classes(
    given: ClassWeights, target: ValueInfo | None, name: str, error: Callable[[str], ObjectiveError]
) -> Tensor:
    """One weight a class, float32 ``[classes]``.

    Balanced weights are the number of train rows over the number of classes times the class's rows, so that every
    class has the same say and the mean over the train rows stays 1 (King & Zeng 2001,
    https://doi.org/10.1093/oxfordjournals.pan.a004868). A class without train rows counts as if it had one.

    Args:
        given: See `check_class_weights`. Classes that a mapping leaves out count 1.
        target: What is known of the codes.
        name: The target's.
        error: Makes the error.
    """
    if not isinstance(given, str | Mapping):
        return torch.tensor([float(weight) for weight in given])
    counts = target.class_counts if target else None
    if counts is None:
        what = f"{BALANCED!r} needs how many train rows each class has" if given == BALANCED else "names need classes"
        fix = "Give the data to load_model, and take a category as target; or write a list, one weight a class."
        raise error(f"class_weights: {what}, and nothing is known of {name!r}. {fix}")
    if isinstance(given, Mapping):
        for label in given:
            if label not in counts:
                raise error(f"class_weights: {name!r} has no class {label!r}. {did_you_mean(label, counts)}")
        return torch.tensor([float(given.get(label, 1.0)) for label in counts])
    rows = torch.tensor([*counts.values()], dtype=torch.float64)
    return (rows.sum() / (len(counts) * rows.clamp(min=1))).float()
