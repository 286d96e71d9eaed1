"""What can be found wrong in a data file before a row is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from jumpml.core import FieldInfo, ValueInfo, did_you_mean
from jumpml.data._steps import augment_steps, feature_steps
from jumpml.data.features._feature_map import steps_problem
from jumpml.data.splits._random import shares_problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from jumpml.core import DataSpec, Mistake

KeyPath = tuple[str | int, ...]


@final
class Checker:
    """Collects the mistakes of a data file.

    Args:
        spec: The file.
    """

    def __init__(self, spec: DataSpec) -> None:
        self.mistakes: list[Mistake] = []
        self._spec = spec
        self._name, self._dataset = next(iter(spec.datasets.items()))
        self._fields = {name: _planned(name, field) for name, field in self._dataset.fields.items()}

    def check(self) -> list[Mistake]:
        """All mistakes that the file itself shows."""
        for name in self._dataset.fields:
            self._check_field(name)
        self._check_split()
        self._check_features()
        self._check_changes(("augment",), self._spec.augment)
        for view, by_field in self._spec.views.items():
            if not by_field:
                self._add(("views", view), "the view names no field.", "Name the fields that it changes.")
            self._check_changes(("views", view), by_field)
        return self.mistakes

    def _add(self, path: KeyPath, problem: str, fix: str = "") -> None:
        self.mistakes.append(self._spec.mistake(path, problem, fix))

    def _check_field(self, name: str) -> None:
        field: Any = self._dataset.fields[name]
        path = ("datasets", self._name, "fields", name)
        if field.kind == "category" and field.classes is not None:
            twice = next((c for c in field.classes if field.classes.count(c) > 1), None)
            if twice is not None:
                self._add((*path, "classes"), f"the class {twice!r} stands twice.")

    def _check_split(self) -> None:
        split, path = self._dataset.split, ("datasets", self._name, "split")
        if split.stratify is not None and self._known((*path, "stratify"), split.stratify):
            kind = self._fields[split.stratify].kind
            if kind != "category":
                self._add((*path, "stratify"), f"expected a category field, got {split.stratify!r}, which is a {kind}.")
        if split.column is None:
            problem = shares_problem(split.train, split.val, split.test)
            if problem:
                self._add(path, problem)
            return
        unused = ("train", "val", "test", "seed", "stratify")
        defaults = type(split)()
        for key in (key for key in unused if getattr(split, key) != getattr(defaults, key)):
            problem = f"`column: {split.column}` says which rows are for what, so that this key would change nothing."
            self._add((*path, key), problem, "Leave one of the two out.")
        if split.duplicates == "together":
            problem = (
                f"`column: {split.column}` says which rows are for what, so that equal rows cannot be put together."
            )
            self._add((*path, "duplicates"), problem, "Mend the column, or write `allow`.")

    def _check_features(self) -> None:
        for name, steps in self._spec.features.items():
            if self._known(("features", name), name):
                problem = steps_problem(feature_steps(steps), self._fields[name])
                if problem:
                    self._add(("features", name, problem[0]), problem[1])

    def _check_changes(self, path: KeyPath, by_field: Mapping[str, tuple[Any, ...]]) -> None:
        for name, steps in by_field.items():
            if not self._known((*path, name), name):
                continue
            for position, change in enumerate(augment_steps(steps)):
                problem = change.problem(self._fields[name])
                if problem:
                    self._add((*path, name, position), problem)

    def _known(self, path: KeyPath, name: str) -> bool:
        if name not in self._fields:
            self._add(path, f"there is no field {name!r}.", did_you_mean(name, self._fields))
        return name in self._fields


def _planned(name: str, field: Any) -> FieldInfo:
    """What is known of a field from the file alone."""
    shape = {"number": (1,), "category": ()}.get(field.kind) or tuple(getattr(field, "shape", ()))
    value = ValueInfo(shape=shape, dtype="int64" if field.kind == "category" else "float32")
    return FieldInfo(name=name, kind=field.kind, value=value)
