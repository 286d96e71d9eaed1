"""From what a learner file says of pacing and of single rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.curriculum._pacing import BabyStep, ExponentialPacing, LinearPacing, RootPacing, StepPacing
from jumpml.curriculum._row_weights import SelfPaced, SuperLoss

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jumpml.core import ExamplesSpec, PacingSpec
    from jumpml.curriculum._pacing import Pacing
    from jumpml.curriculum._row_weights import RowWeights

_PACINGS: Mapping[str, Callable[..., Pacing]] = {
    kind.kind: kind for kind in (LinearPacing, RootPacing, ExponentialPacing, StepPacing, BabyStep)
}
_WEIGHTS: Mapping[str, Callable[..., RowWeights]] = {kind.kind: kind for kind in (SelfPaced, SuperLoss)}


def build_pacing(spec: PacingSpec) -> Pacing:
    """The pacing that a file asks for.

    Args:
        spec: What it says.
    """
    return _PACINGS[spec.kind](**spec.model_dump(exclude={"kind"}))


def build_row_weights(spec: ExamplesSpec) -> RowWeights | None:
    """What weighs rows by their losses alone; None where a file asks for something else.

    Args:
        spec: What it says.
    """
    made = _WEIGHTS.get(spec.kind)
    return None if made is None else made(**spec.model_dump(exclude={"kind", "of"}))
