"""A compiled part of the graph: the nodes that are needed, each once, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from jumpml.core import GraphError
from jumpml.graph._inferred import describe
from jumpml.graph._node import class_name

if TYPE_CHECKING:
    from collections.abc import Mapping

Request = tuple[str, str | None]  # a reference, and the draw ("strong.0") on which its value is wanted


def key(request: Request) -> str:
    """A request as the name of a value: ``encoder``, ``encoder@strong.0``."""
    reference, draw = request
    return reference if draw is None else f"{reference}@{draw}"


class Step(NamedTuple):
    """One call of a module. Values stand in one list, in the order in which they come to be."""

    node: str
    module: str
    positions: tuple[int, ...]
    arguments: tuple[str, ...] | None
    parts: tuple[int | str, ...]


@dataclass(frozen=True, kw_only=True)
class Program:
    """Runs steps on a batch.

    Attributes:
        modules: The model's own table, so that a module that is replaced there is replaced here.
        fields: The batch's keys that are read; their values come first in the list.
        frozen: Steps that run without gradient.
        live: The other steps.
        slots: By request, where its value stands in the list.
    """

    modules: Mapping[str, nn.Module | None]
    fields: tuple[str, ...]
    frozen: tuple[Step, ...]
    live: tuple[Step, ...]
    slots: Mapping[Request, int]

    def run(self, batch: Mapping[str, Tensor]) -> list[Any]:
        """All values of the program.

        Raises:
            GraphError: The batch lacks a field.
        """
        try:
            values: list[Any] = [batch[name] for name in self.fields]
        except KeyError:
            missing = ", ".join(repr(name) for name in self.fields if name not in batch)
            raise GraphError(f"the batch lacks {missing}; it holds: {', '.join(batch) or 'nothing'}.") from None
        if self.frozen:
            with torch.no_grad():
                self._execute(self.frozen, values)
        self._execute(self.live, values)
        return values

    def _execute(self, steps: tuple[Step, ...], values: list[Any]) -> None:
        # The training loop's hot path: nothing is looked up that compiling could know.
        modules: Any = self.modules
        step = None
        try:
            for step in steps:
                _, module, positions, arguments, parts = step
                read = [values[position] for position in positions]
                if arguments is None:
                    output = modules[module](*read)
                else:
                    output = modules[module](**dict(zip(arguments, read, strict=True)))
                values.append(output)
                for part in parts:
                    values.append(output[part])
        except Exception as error:
            if step is not None:
                error.add_note(self._where(step, values))
            raise

    def _where(self, step: Step, values: list[Any]) -> str:
        names = {slot: key(request) for request, slot in self.slots.items()}
        read = ", ".join(f"{names[position]} {describe(values[position])}" for position in step.positions)
        return f"in node {step.node!r} ({class_name(type(self.modules[step.module]))}), which was given {read}"
