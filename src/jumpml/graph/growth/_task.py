"""A task more."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from jumpml.core import GraphError
from jumpml.graph._node import Node
from jumpml.graph.growth._surgery import Entry, Moved, Surgery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from jumpml.core import FieldInfo, Objective, Task
    from jumpml.graph._model import Model


@final
@dataclass(frozen=True, kw_only=True)
class NewTask(Surgery):
    """Give a model one more task, with a node of its own for its output.

    It is made of objects, which no lineage can hold: a program that goes on from a checkpoint does it again, by
    `jumpml.learn.Learner.grow` where a learner holds the model, before it resumes.

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

    @classmethod
    def again(cls, entry: Entry, model: Model) -> NewTask:
        """What an entry is of, for a copy of the model that has it; with a node and an objective of its own.

        Args:
            entry: Of the model's lineage.
            model: The model.
        """
        ((output, name),) = entry["at"].items()
        module, objective = copy.deepcopy((model.node(output), model.objectives[name]))
        task, node = model.tasks[name], Node(module, model.written(output))
        return cls(name=name, task=task, node=node, objective=objective, target=model.fields.get(task.target))

    @staticmethod
    def operate(model: Model, entry: Entry) -> Mapping[Tensor, Moved]:
        """Refuse it: an entry has none of the objects.

        Raises:
            GraphError: Always.
        """
        (name,) = entry["at"].values()
        raise GraphError(
            f"the lineage has a task {name!r} that a program added. Let the program add it to this model too, by "
            "model.grow(NewTask(...)), or by learner.grow(NewTask(...)) where a learner holds it, before it goes on."
        )
