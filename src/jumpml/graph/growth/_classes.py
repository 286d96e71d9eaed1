"""New classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, final

from jumpml.core import GraphError, did_you_mean
from jumpml.graph.growth._index_map import FRESH
from jumpml.graph.growth._resize import put, resized
from jumpml.graph.growth._surgery import Entry, Moved, Surgery
from jumpml.graph.growth._survey import survey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from jumpml.graph._model import Model
    from jumpml.graph.growth._units import Units


@final
@dataclass(frozen=True)
class Classes(Surgery):
    """Give a target's classes that are new an output of each task on it; the others keep theirs.

    Classes are known by their names: wherever new ones stand among the others in the data of now, the outputs are put
    in that order. What is new is drawn as a layer's weights are.

    Attributes:
        field: The target.
        classes: All classes in the order of their codes, such as ``loaders.fields["label"].classes``.
    """

    kind: ClassVar[str] = "classes"
    preserves: ClassVar[bool] = False
    field: str
    classes: Sequence[str]

    def resolve(self, model: Model, seed: int) -> Entry:
        """Where each class stands in each task's output."""
        known = model.fields.get(self.field)
        if known is None or not known.classes:
            near = did_you_mean(self.field, [name for name, info in model.fields.items() if info.classes])
            raise GraphError(
                f"the model knows no classes of {self.field!r}: it is built with data, where this field has classes. "
                f"{near}".rstrip()
            )
        gone = [label for label in known.classes if label not in self.classes]
        if gone:
            raise GraphError(f"{self.field!r} had the classes {', '.join(gone)} too: a class that is learned stays.")
        source = [known.classes.index(label) if label in known.classes else FRESH for label in self.classes]
        new = [label for label in self.classes if label not in known.classes]
        if not new:
            raise GraphError(f"{self.field!r} has no new class.")
        at = {units.makers[0]: source for units in _heads(model, self.field)}
        text = f"gave {', '.join(at)} the classes {', '.join(new)}"
        told = {"field": self.field, "classes": [*self.classes]}
        return {"kind": self.kind, "text": text, "at": at, "seed": seed, **told}

    @staticmethod
    def operate(model: Model, entry: Entry) -> Mapping[Tensor, Moved]:
        """Give the heads their outputs, and the field its classes."""
        by_maker = {units.makers[0]: units for units in survey(model)}
        changes = {by_maker[maker]: source for maker, source in entry["at"].items()}
        names = {id(t): name for name, t in (*model.named_parameters(), *model.named_buffers())}
        moved = put(model, resized(changes, names, entry["seed"]))
        field, classes = entry["field"], tuple(entry["classes"])
        if field in model.fields:
            value = replace(model.fields[field].value, classes=len(classes), class_counts=None)
            model.renew_field(replace(model.fields[field], classes=classes, value=value))
        return moved


def _heads(model: Model, field: str) -> list[Units]:
    """The units that are the outputs of the tasks on a field."""
    tasks = {name: task for name, task in model.tasks.items() if task.target == field}
    if not tasks:
        raise GraphError(
            f"no task has {field!r} as its target. {did_you_mean(field, [t.target for t in model.tasks.values()])}"
        )
    for name, task in tasks.items():
        if task.brings.one_logit or task.kind == "ordinal":
            raise GraphError(f"task {name!r} is {task.kind}: it has no output a class that another could stand beside.")
    reasons = {f"they are the output of task {name!r}": name for name in tasks}
    found = [units for units in survey(model) if reasons.keys() & {*units.obstacles}]
    for units in found:
        others = [why for why in units.obstacles if why not in reasons]
        if others:
            raise GraphError(f"the outputs of {units.makers[0]!r} cannot become more: {others[0]}.")
    reached = {reasons[why] for units in found for why in units.obstacles}
    missing = [name for name in tasks if name not in reached and tasks[name].brings.decides in {"class", "labels"}]
    if missing:
        raise GraphError(f"the output of task {missing[0]!r} comes from no layer that can be followed.")
    return found
