"""A task more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from jumpml.core import GraphError
from jumpml.graph.growth._surgery import Entry, Moved, Surgery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from jumpml.core import FieldInfo, Objective, Task
    from jumpml.graph._model import Model
    from jumpml.graph._node import Node


@final
@dataclass(frozen=True, kw_only=True)
class NewTask(Surgery):
    """Give a model one more task, with a node of its own for its output.

    It is made of objects, which no lineage can hold: a program that goes on from a checkpoint does it again before it
    resumes.

    Attributes:
        name: The task's, and its objective's.
        task: The task; its output is the new node.
        node: That node.
        objective: What is minimised for it, such as ``CrossEntropy(("size", "size_label"))``.
        target: The target, where the model is built with data and this field is not in it.
    """

    kind: ClassVar[str] = "task"
    name: str
    task: Task
    node: Node
    objective: Objective
    target: FieldInfo | None = None

    def resolve(self, model: Model, seed: int) -> Entry:
        """The task's name and its node's."""
        text = f"added task {self.name}, whose output is {self.task.output}"
        return {"kind": self.kind, "text": text, "at": {self.task.output: self.name}, "seed": seed}

    def perform(self, model: Model) -> Mapping[Tensor, Moved]:
        """Put node, task and objective in."""
        if self.name in model.tasks or self.name in model.objectives:
            raise GraphError(f"there is a task or an objective {self.name!r} already. Give it another name.")
        if self.target is not None:
            model.renew_field(self.target)
        model.insert(
            {self.task.output: self.node}, tasks={self.name: self.task}, objectives={self.name: self.objective}
        )
        return {}

    @staticmethod
    def operate(model: Model, entry: Entry) -> Mapping[Tensor, Moved]:
        """Refuse it: an entry has none of the objects.

        Raises:
            GraphError: Always.
        """
        (name,) = entry["at"].values()
        raise GraphError(
            f"the lineage has a task {name!r} that a program added. Let the program add it to this model too, by "
            "model.grow(NewTask(...)), before it goes on."
        )
