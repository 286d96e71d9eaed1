"""Losses that a node's module brings itself, such as a bottleneck's divergence."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor, nn

from jumpml.core import GraphError, Loss, ObjectiveError, Problem, ValueInfo, as_weight, did_you_mean, refusal
from jumpml.graph._inferred import describe
from jumpml.graph._node import class_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from jumpml.core import Weight

FOLLOWS = ("all",)  # the phases of a loss of which nothing else is said: those in which its node runs


@dataclass(frozen=True)
class Brought:
    """One loss of a node.

    Attributes:
        name: The key under which `losses()` has it.
        owners: The paths within the node of the modules that bring it, ``""`` for the node's own; they are added up.
        per_example: Whether it is ``[batch]``, or else a scalar.
    """

    name: str
    owners: tuple[str, ...]
    per_example: bool


@final
class BroughtLoss(nn.Module):
    """A loss that a node's module brings, as an objective.

    A module with a method ``losses() -> dict[str, Tensor]``, each ``[batch]`` or a scalar, is asked for them after each
    call, and forgets them. Where several modules within a node have one of the same name, these are added up. A model
    makes such an objective of each, under the name ``node.loss``, with the weight 1; one of your own takes its place.
    Where a node is called on several draws of a view, it is their mean.

    Args:
        inputs: ``node.loss``.
        weight: What the loss is multiplied by in the sum.
        when: The phases in which it is active; none switch it off. With ``"all"`` those in which another objective
            makes its node run.

    Raises:
        ObjectiveError: The weight is negative or no number.

    Example:
        >>> BroughtLoss("code.kl", weight=0.1, when=["supervised"]).inputs
        ('code.kl',)
    """

    def __init__(
        self, inputs: str | Sequence[str], *, weight: Weight = 1.0, when: str | Sequence[str] = FOLLOWS
    ) -> None:
        super().__init__()
        self.inputs = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        self.views: tuple[str, ...] = ()
        self.parameters_of: tuple[str, ...] = ()
        try:
            self.weight, self.schedule = as_weight(weight)
        except ValueError as error:
            raise ObjectiveError(f"BroughtLoss: {error}") from None
        self.when = (when,) if isinstance(when, str) else tuple(when)
        self.per_example, self.differentiates = True, ()
        self.draws: int | tuple[int, int] = 2
        if len(self.inputs) != 1:
            raise ObjectiveError(f"BroughtLoss: expected one input, node.loss; got {len(self.inputs)}.")

    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Learn whether it is one loss a row, of which the shape is known, or one of the batch."""
        self.per_example = values[0] is not None

    def forward(self, *losses: Tensor, present: Tensor | None = None) -> Loss:
        """The mean over the calls of the node.

        Args:
            losses: That of each call, ``[batch]`` or a scalar.
            present: bool ``[batch]``, the rows whose data set has what the node reads; None where all have. A scalar,
                which is of no single row, stays as it is.
        """
        value = losses[0] if len(losses) == 1 else torch.stack(losses).mean(0)
        return Loss(value, present if value.ndim else None)


def brought_by(node: str, module: nn.Module, rows: int) -> dict[str, Brought]:
    """The losses of a node that has just run, by name.

    Args:
        node: Its name.
        module: Its module.
        rows: How many rows it was given.

    Raises:
        GraphError: It brings something else than losses.
    """
    found: dict[str, Brought] = {}
    for path, owner in _owners(module):
        given = owner.losses()  # pyright: ignore[reportCallIssue]
        told = _misfit(given, rows)
        if told:
            text = f"the method losses of {class_name(type(owner))} {told}"
            wanted = (
                f"expected a dict of tensors, each a scalar or [{rows}], one a row, under names without '.' and '@'."
            )
            raise refusal(GraphError, [Problem(("nodes", node), f"{text}; {wanted}")])
        for name, value in given.items():
            known = found.get(name, Brought(name, (), True))
            found[name] = Brought(name, (*known.owners, path), known.per_example and value.ndim == 1)
    return found


def _owners(module: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules that bring losses; what is inside one of them is its own business, as it is in a whole model."""
    method = getattr(type(module), "losses", None)
    if inspect.isfunction(method):
        if len(inspect.signature(method).parameters) == 1:
            yield path, module
        return
    for name, child in module.named_children():
        yield from _owners(child, f"{path}.{name}" if path else name)


def _misfit(given: Any, rows: int) -> str:
    if not isinstance(given, dict):
        return f"returns {describe(given)}"
    for name, value in given.items():
        if not isinstance(name, str) or not name or {".", "@"} & set(name):
            return f"has the name {name!r}"
        if not isinstance(value, Tensor) or list(value.shape) not in ([], [rows]) or not value.is_floating_point():
            return f"returns {describe(value)} as {name!r}"
    return ""


def check_brought(objectives: Mapping[str, Any], brought: Collection[str]) -> None:
    """Refuse objectives on losses that no node brings.

    Raises:
        GraphError: With all of them.
    """
    problems = [
        Problem(
            ("objectives", name),
            f"no node brings the loss {objective.inputs[0]!r}.",
            did_you_mean(objective.inputs[0], brought) if brought else "No node of this model brings any.",
        )
        for name, objective in objectives.items()
        if isinstance(objective, BroughtLoss) and objective.inputs[0] not in brought
    ]
    if problems:
        raise refusal(GraphError, problems)
