"""The inner value by which rows are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jumpml.core import DiagnosisError, did_you_mean

if TYPE_CHECKING:
    from jumpml.graph import Model


def embedding_node(model: Model, task: str) -> str:
    """The node whose value stands for a row: the one that a task's output node reads, or itself where it reads fields.

    Args:
        model: The model.
        task: The task's name.

    Returns:
        A node or ``node.part``. Where the output node reads several, the first.

    Raises:
        DiagnosisError: There is no such task.

    Example:
        >>> from torch import nn
        >>> from jumpml.core import Task, ValueInfo
        >>> from jumpml.graph import Model, Node
        >>> nodes = {"body": Node(nn.Linear(4, 8), "x"), "out": Node(nn.Linear(8, 3), "body")}
        >>> tasks = {"kind": Task(kind="multiclass", output="out", target="y")}
        >>> embedding_node(Model(inputs={"x": ValueInfo(shape=(4,))}, nodes=nodes, tasks=tasks), "kind")
        'body'
    """
    if task not in model.tasks:
        raise DiagnosisError(f"the model has no task {task!r}. {did_you_mean(task, model.tasks)}")
    output = model.tasks[task].output
    node = model.node_of(output)
    reads = model.reads[node] if node else ()
    return next((name for name in reads if name in model.values and name not in model.inputs), output)
