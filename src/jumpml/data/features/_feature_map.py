"""All fields' feature steps as one module."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, cast, final

from torch import Tensor, nn

from jumpml.core import ValueInfo, field_of
from jumpml.data.augment._augmentation import Made
from jumpml.data.features._codes import OneHot
from jumpml.data.features._dates import Cycles
from jumpml.data.features._scale import Standardize
from jumpml.data.features._statistics import missing_values
from jumpml.data.features._table import Encode
from jumpml.data.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Self

    from jumpml.core import Element, FieldInfo
    from jumpml.data.features._feature import Feature
    from jumpml.data.features._train_rows import TrainRows

DEFAULTS: dict[str, tuple[Feature, ...]] = {
    "number": (Standardize(),),
    "category": (OneHot(),),
    "date": (Cycles(),),
    "table": (Encode(),),
}
_NEEDED = {"codes": "the codes of a category", "codes map": "those of a mask", "table": "the columns of a table"}
_FILLERS = {  # where no step fills by default
    "numbers": "impute or standardize",
    "codes map": "one_hot",
    "labels": "a class for every token",
}


@final
class FeatureMap(nn.Module):
    """The feature steps of each field, in order; every other value passes as it is.

    Always in evaluation mode: a step that holds a network must not change while another one trains.

    Args:
        steps: Fitted ones, by field, or by ``<field>.mask`` and ``<field>.present`` for what makes these of it. A
            field's name never becomes an attribute's: its steps are the submodule ``field_<name>``, or ``mask_<name>``.

    Example:
        >>> import torch
        >>> from jumpml.data import Column, TrainRows
        >>> ages, step = Column(torch.tensor([[20.0], [60.0]]), "number"), Standardize()
        >>> step.fit(TrainRows(ages.values), ages.info("age"))
        >>> FeatureMap({"age": [step]})({"age": torch.tensor([[60.0]]), "label": torch.tensor([3])})
        {'age': tensor([[1.]]), 'label': tensor([3])}
    """

    def __init__(self, steps: Mapping[str, Sequence[Feature]]) -> None:
        super().__init__()
        self._elements: dict[str, tuple[tuple[Feature, ...], tuple[Element, ...]]] = {}
        for name, features in steps.items():
            self.set(name, features)

    def set(self, field: str, steps: Sequence[Feature]) -> None:
        """Give a field its steps; what they learned is no parameter."""
        self.add_module(_attribute(field), nn.Sequential(*steps).requires_grad_(False).eval())

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode."""
        return super().train(False)

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Featurise a batch of decoded values.

        Args:
            batch: By field, or by ``field@view`` for a view's draw.
        """
        return {key: self.apply_to(key.partition("@")[0], values) for key, values in batch.items()}

    def steps(self, field: str) -> tuple[Feature, ...]:
        """One field's steps; empty where it has none."""
        return tuple(cast("Iterable[Feature]", self._modules.get(_attribute(field), ())))

    def apply_to(self, field: str, values: Tensor, train_rows: Tensor | None = None, *, keep: bool = False) -> Tensor:
        """Featurise one field's decoded values.

        Args:
            field: The field.
            values: ``[batch, ...]``.
            train_rows: int64 ``[batch]`` where a learner trains on these rows: their positions among the train rows.
            keep: Whether the rows will come again, so that slow steps may keep their answers on disk.
        """
        for step in self.steps(field):
            values = step.serve(values, train_rows, keep=keep)
        return values

    def made(self, field: str, decoded: Tensor, train_rows: Tensor | None = None) -> Made:
        """The same, with what it was made of, and what its elements are."""
        return Made(self.apply_to(field, decoded, train_rows), decoded, self._elements_of(field))

    def _elements_of(self, field: str) -> tuple[Element, ...]:
        steps = self.steps(field)
        known = self._elements.get(field)
        if known is None or known[0] != steps:  # found once: a device is asked
            elements = steps[-1].described(ValueInfo(shape=())).elements if steps else ()
            known = self._elements[field] = steps, elements
        return known[1]

    def undoable(self) -> dict[str, bool]:
        """By field that has steps, whether all of them can be undone."""
        fields = (name.removeprefix("field_") for name in self._modules)
        return {field: all(step.undoable for step in self.steps(field)) for field in fields if self.steps(field)}

    def inverse(self, field: str, values: Tensor) -> Tensor:
        """Turn featurised values, or predictions of them, back into decoded ones.

        Raises:
            DataError: A step cannot be undone.
        """
        for step in reversed(self.steps(field)):
            values = step.inverse(values)
        return values


def _attribute(name: str) -> str:
    field = field_of(name)
    return f"{'field' if field == name else name.rpartition('.')[2]}_{field}"


def fit_steps(steps: Sequence[Feature], train: TrainRows, field: FieldInfo) -> list[Feature]:
    """Fit copies of a field's steps, each on what the one before it gives of the train rows."""
    fitted = [copy.deepcopy(step) for step in steps]
    for step in fitted:
        step.fit(train, field)
        train = train.after(step)
    return fitted


def missing_problem(steps: Sequence[Feature], field: FieldInfo, *, opened: bool = False) -> str:
    """How values that are missing would come out of a field's fitted steps, and what to do; empty where none would.

    Args:
        steps: The field's.
        field: What is known of it.
        opened: Whether augmentation lets pixels of no class into a mask.
    """
    # where a whole data set has no such field, its rows do not count in what is computed of it
    count = missing_values(field) - field.lacking * (1 + len(field.columns))
    given = KINDS[field.kind].gives
    if given == "tokens" or any(step.fills for step in steps):  # a missing text reads as an empty one
        return ""
    if field.kind == "mask" and ("ignore" in field.options or opened):
        maker = "`ignore` makes" if "ignore" in field.options else "augmentation lets in"
        told = f"{maker} pixels of no class, -1, which no feature fills, but a node reads it."
        return f"field {field.name!r}: {told} Give it one_hot."
    if not count:
        return ""
    names = " and ".join(step.name for step in steps)
    how = f"{names} {'leave' if len(steps) > 1 else 'leaves'} them so" if steps else "no feature fills them"
    default = DEFAULTS.get(field.kind)
    fix = f"{default[0].name}, or leave {field.name!r} out of `features`" if default else _FILLERS[given]
    lacking = f"{count} {'value is' if count == 1 else 'values are'} missing"
    return f"field {field.name!r}: {lacking}, and {how}, but a node reads it. Give it {fix}."


def steps_problem(
    steps: Sequence[Feature], field: FieldInfo, fields: Mapping[str, FieldInfo]
) -> tuple[int, str] | None:
    """The first step that cannot do its work on what comes in, and why."""
    incoming = KINDS[field.kind].gives
    for position, step in enumerate(steps):
        if step.learns and position and type(step) is type(steps[position - 1]):
            return position, f"{step.name} stands twice."
        if incoming not in step.reads:
            giver = f"{steps[position - 1].name} gives" if position else f"a field of kind {field.kind} has"
            needed = " or ".join(_NEEDED.get(what, what) for what in step.reads)
            return position, f"{step.name} reads {needed}; {giver} {incoming}."
        problem = step.problem(field, fields)
        if problem:
            return position, problem
        incoming = step.writes(incoming)
    return None
