"""All fields' feature steps as one module."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, final

from torch import Tensor, nn

from jumpml.data.features._features import Feature, OneHot, Standardize

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jumpml.core import FieldInfo

DEFAULTS: dict[str, type[Feature]] = {"number": Standardize, "category": OneHot}


@final
class FeatureMap(nn.Module):
    """The feature steps of each field, in order; every other value passes as it is.

    Args:
        steps: By field. A field's name never becomes an attribute's: its steps are the submodule ``field_<name>``.

    Example:
        >>> import torch
        >>> features = FeatureMap({"age": [Standardize(torch.tensor([40.0]), torch.tensor([10.0]))]})
        >>> features({"age": torch.tensor([[60.0]]), "label": torch.tensor([3])})
        {'age': tensor([[2.]]), 'label': tensor([3])}
    """

    def __init__(self, steps: Mapping[str, Sequence[Feature]]) -> None:
        super().__init__()
        for name, features in steps.items():
            self.set(name, features)

    def set(self, field: str, steps: Sequence[Feature]) -> None:
        """Give a field its steps; what they learned is no parameter."""
        self.add_module(f"field_{field}", nn.Sequential(*steps).requires_grad_(False))

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Featurise a batch of decoded values.

        Args:
            batch: By field, or by ``field@view`` for a view's draw.
        """
        return {key: self.apply_to(key.partition("@")[0], values) for key, values in batch.items()}

    def steps(self, field: str) -> tuple[Feature, ...]:
        """One field's steps; empty where it has none."""
        return tuple(cast("Iterable[Feature]", self._modules.get(f"field_{field}", ())))

    def apply_to(self, field: str, values: Tensor) -> Tensor:
        """Featurise one field's decoded values ``[batch, ...]``."""
        for step in self.steps(field):
            values = step(values)
        return values

    def inverse(self, field: str, values: Tensor) -> Tensor:
        """Turn featurised values, or predictions of them, back into decoded ones."""
        for step in reversed(self.steps(field)):
            values = step.inverse(values)
        return values


def fit_steps(steps: Sequence[type[Feature]], values: Tensor, field: FieldInfo) -> list[Feature]:
    """Fit a field's steps one after the other on its train rows ``[rows, ...]``."""
    fitted: list[Feature] = []
    for step in steps:
        feature = step.fit(values, field)
        values = feature(values)
        fitted.append(feature)
    return fitted


def steps_problem(steps: Sequence[type[Feature]], field: FieldInfo) -> tuple[int, str] | None:
    """The first step that cannot do its work on what comes in, and why."""
    incoming = "codes" if field.kind == "category" else "numbers"
    for position, step in enumerate(steps):
        if step in steps[:position]:
            return position, f"{step.name} stands twice."
        if step.reads != incoming:
            giver = f"{steps[position - 1].name} gives" if position else f"a field of kind {field.kind} has"
            needed = "the codes of a category" if step.reads == "codes" else "numbers"
            return position, f"{step.name} reads {needed}; {giver} {incoming}."
        incoming = step.writes
    return None
