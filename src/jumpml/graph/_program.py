"""A compiled part of the graph: the nodes that are needed, each once, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from jumpml.graph._brought import Brought
    from jumpml.graph._inner import Tap

NOTHING = -1  # the number of an optional value that is not there
Request = tuple[str, str | None]  # a reference, and the draw ("strong.0") on which its value is wanted


def key(request: Request) -> str:
    """A request as the name of a value: ``encoder``, ``encoder@strong.0``."""
    reference, draw = request
    return reference if draw is None else f"{reference}@{draw}"


class Step(NamedTuple):
    """One call of a module. Values are numbered in the order in which they come to be.

    Attributes:
        node: Its name.
        module: Its key in the model's table of modules.
        positions: The values that it reads; `NOTHING` stands for None.
        arguments: The names under which it reads them, or None where they are positional.
        output: The value that it gives.
        parts: The elements of it that are values too: their numbers, and the index or key that picks them; or a loss
            that the module brings.
        inner: What inner modules give, where that is wanted: numbers, taps, and the part of it.
        covers: Values, bool ``[batch]``: only rows in which all are true have what it reads.
        two: Whether it cannot train on a single row.
    """

    node: str
    module: str
    positions: tuple[int, ...]
    arguments: tuple[str, ...] | None
    output: int
    parts: tuple[tuple[int, int | str | Brought], ...]
    inner: tuple[tuple[int, Tap, int | str | None], ...] = ()
    covers: tuple[int, ...] = ()
    two: bool = False


@dataclass(frozen=True, kw_only=True)
class Program:
    """What is computed of a batch, in which order.

    Attributes:
        modules: The model's own table, so that a module that is replaced there is replaced here.
        fields: The batch's keys that are read; their values come first.
        frozen: Steps that run without gradient.
        live: The other steps.
        slots: By request, the number of its value.
        traced: The numbers of values that gradients are taken by.
    """

    modules: Mapping[str, nn.Module | None]
    fields: tuple[str, ...]
    frozen: tuple[Step, ...]
    live: tuple[Step, ...]
    slots: Mapping[Request, int]
    traced: frozenset[int] = frozenset()
