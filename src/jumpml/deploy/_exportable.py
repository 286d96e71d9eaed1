"""A model with its features inside: decoded fields in, raw task outputs out."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, final

import torch
import torch.nn.functional as F

from jumpml.core import COVERED, PRESENT, DeploymentError, field_of
from jumpml.deploy._export import NamedModule
from jumpml.diagnose import embedding_node
from jumpml.evaluate import embedding_width, flatten_embedding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from jumpml.data import DataLoaders
    from jumpml.graph import Model

MOST_WIDTH = 2048  # an embedding's; its precision matrix of so many squared numbers lies in the bundle


@final
class Exportable(NamedModule):
    """What is exported of a model: features, the nodes that the tasks need, and predictions in the target's raw units.

    Args:
        model: On the CPU; it is put into evaluation mode.
        loaders: Their fitted features are copied.

    Attributes:
        fields: The fields that are read, in the order of `forward`'s arguments. A text's mask is made of the text.
        output_names: Of `forward`'s answers: ``<task>.output`` for each task, then ``<task>.embedding`` for each of
            `embeddings`. Names hold no dot, so that no output bears a field's name.
        embeddings: The node by which rows are compared, by task; a task whose node is too wide for it is left out.

    Raises:
        DeploymentError: The model has no tasks.
    """

    def __init__(self, model: Model, loaders: DataLoaders) -> None:
        super().__init__()
        if not model.tasks:
            raise DeploymentError(
                "the model has no tasks: there is no prediction to deploy. Name one under the key `tasks`."
            )
        self.model = model
        self.features = copy.deepcopy(loaders.features).cpu()
        self.embeddings = {
            task: node
            for task in model.tasks
            if embedding_width(model, node := embedding_node(model, task)) <= MOST_WIDTH
        }
        wanted = dict.fromkeys([task.output for task in model.tasks.values()] + list(self.embeddings.values()))
        # A row without a value of such a field is of another data set; where some are missing otherwise, it may not be.
        lacking = [name + COVERED for name, info in loaders.fields.items() if 0 < info.lacking == info.missing]
        self._plan = model.plan(wanted, [*model.inputs, *lacking])
        self._targets = {
            name: (task.target, loaders.fields[task.target].value.shape, len(task.quantiles))
            for name, task in model.tasks.items()
            if task.brings.decides == "numbers"
        }
        self.fields: tuple[str, ...] = tuple(dict.fromkeys(map(_field_of, self._plan.fields)))
        self.output_names = (
            *(f"{task}.output" for task in model.tasks),
            *(f"{task}.embedding" for task in self.embeddings),
        )
        self.eval()

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        """Raw outputs and embeddings.

        Args:
            values: Decoded fields as `fields` orders them, ``[batch, ...]`` each.

        Returns:
            As `output_names`: logits as the model gives them, numbers ``[batch, *target's shape]`` in the target's raw
            units, with quantiles ``[batch, *target's shape, quantiles]``, a retrieval's
            vectors of length 1, and embeddings ``[batch, width]``.
        """
        decoded = dict(zip(self.fields, values, strict=True))
        nodes = self._plan({name: self._featurised(name, decoded[_field_of(name)]) for name in self._plan.fields})
        outputs = [self._raw(name, nodes[task.output]) for name, task in self.model.tasks.items()]
        return (*outputs, *(flatten_embedding(nodes[node]) for node in self.embeddings.values()))

    def _featurised(self, name: str, values: Tensor) -> Tensor:
        return self.features.apply_to(_field_of(name) + PRESENT if name.endswith(COVERED) else name, values)

    def parameter_count(self) -> int:
        """The parameters of the nodes that run."""
        needed = self.model.behind(task.output for task in self.model.tasks.values()) & {*self.model.node_names}
        return sum(p.numel() for p in {p for name in needed for p in self.model.node(name).parameters()})

    @torch.no_grad()
    def outputs(self, rows: Mapping[str, NDArray]) -> dict[str, NDArray]:
        """Raw outputs of rows by task, as `forward` gives them.

        Args:
            rows: Decoded values by field, of more fields if need be.
        """
        values = self(*(torch.from_numpy(rows[field]) for field in self.fields))
        return {name: output.numpy() for name, output in zip(self.model.tasks, values, strict=False)}

    def _raw(self, task: str, output: Tensor) -> Tensor:
        if task not in self._targets:
            embeds = self.model.tasks[task].brings.decides == "embedding"
            return F.normalize(output, dim=-1) if embeds else output
        target, shape, quantiles = self._targets[task]
        # Not len(output), which would be a constant in the exported file.
        if not quantiles:
            return self.features.inverse(target, output.reshape(output.shape[0], *shape))
        levels = output.reshape(output.shape[0], *shape, quantiles).unbind(-1)
        return torch.stack([self.features.inverse(target, level) for level in levels], dim=-1)


def _field_of(name: str) -> str:
    return field_of(name.removesuffix(COVERED))
