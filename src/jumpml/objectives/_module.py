"""The base of every objective that JumpML brings, and of those that a user writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import nn

from jumpml.core import ObjectiveError, as_weight
from jumpml.objectives._rows import filled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from jumpml.core import Loss, ValueInfo, Weight


class ObjectiveModule(nn.Module, ABC):
    """Something to minimise, computed on named values: `core.Objective` as an abstract module.

    A subclass names what it reads in `roles`, checks shapes in `connect` and computes in `forward`.

    Args:
        inputs: The nodes, fields or ``node.part`` that are read, in the order of `roles`.
        views: No policy, one (drawn twice), or two.
        parameters_of: Patterns of the nodes whose parameters are read instead of values.
        weight: What the loss is multiplied by in the sum, or a `WeightSchedule` of it.
        when: The phases in which it is active, or ``"all"``.

    Raises:
        ObjectiveError: The number of inputs or views is wrong, or the weight is negative or no number.

    Example:
        >>> import torch
        >>> from jumpml.core import Loss
        >>> class Distance(ObjectiveModule):
        ...     roles = ("first", "second")
        ...     def connect(self, values, parameters):
        ...         if None not in values and values[0].shape != values[1].shape:
        ...             raise self.wrong_shape(0, str(values[1]), values[0], "Give both one width.")
        ...     def forward(self, first, second, present=None):
        ...         return Loss((first - second).norm(dim=1), present)
        >>> objective = Distance(["image_code", "text_code"], weight=0.1, when="all")
        >>> objective(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0]])).value
        tensor([5.])
    """

    roles: ClassVar[tuple[str, ...]] = ()
    """What each input is for, in order; errors use these words."""
    differentiates: tuple[int, ...] = ()
    """The places of the inputs that `forward` takes gradients by; these then have one, be they fields or frozen."""
    gaps: tuple[int, ...] = ()
    """The places of the inputs of which single elements of a row may be missing, as a table's; `connect` finds them."""
    optional: ClassVar[int] = 0
    """How many of the last inputs may be left out."""
    needs_learning: ClassVar[bool] = False
    """Whether it makes sense only where a node that it reads, or that one of these reads, trains."""
    most_rows: int | None = None
    """How many rows a batch may have, where it keeps a number of earlier ones."""
    draws: int | tuple[int, int] = 2
    """How often a view is drawn, where it is one; a pair says it of each of two, which are else drawn once."""
    nodes_on: int | None = None
    """On how many of the draws, the first ones, nodes are computed; fields are read on all. None: nodes on all too."""
    follows_width: bool = False
    """Whether surgery may give its first input more columns, and nothing that it keeps stands in the way."""
    if_collapsed: ClassVar[str] = ""
    """Of a self-supervised kind, what to change where the embeddings under it have become one and the same."""
    tallies: ClassVar[tuple[str, ...]] = ()
    """Names of its buffers that count what `figures` are made of: where several processes learn, they are added up."""
    per_example: bool = True
    """Whether `forward` returns one loss a row. One of a whole batch never gets a batch of one row."""
    forward: Callable[..., Loss]
    """The loss of a batch; see `core.Objective.__call__`."""

    def __init__(
        self,
        inputs: str | Sequence[str] = (),
        *,
        views: str | Sequence[str] = (),
        parameters_of: str | Sequence[str] = (),
        weight: Weight = 1.0,
        when: str | Sequence[str] = ("supervised",),
    ) -> None:
        super().__init__()
        self.inputs = _names(inputs)
        self.views = _names(views)
        self.parameters_of = _names(parameters_of)
        try:
            self.weight, self.schedule = as_weight(weight)
        except ValueError as error:
            raise self.error(str(error)) from None
        self.when = _names(when)
        self._validate_inputs()
        if len(self.views) > 2:
            raise self.error(f"expected one view, which is drawn twice, or two; got {len(self.views)}.")

    def _validate_inputs(self) -> None:
        """Refuse another number of inputs than there are roles."""
        most = len(self.roles)
        if not most - self.optional <= len(self.inputs) <= most:
            least = f"{most - self.optional} to " if self.optional else ""
            raise self.error(f"expected {least}{most} inputs ({', '.join(self.roles)}), got {len(self.inputs)}.")

    @abstractmethod
    def connect(self, values: Sequence[ValueInfo | None], parameters: Mapping[str, nn.Parameter]) -> None:
        """Check the inputs' shapes and make what depends on them; see `core.Objective.connect`.

        This one notes which inputs have `gaps`: call it where rows with gaps are to be left out.
        """
        self.gaps = tuple(place for place, value in enumerate(values) if value and value.gaps)

    def begin(self) -> None:
        """Learning starts: a learner that is made says so, since weights from elsewhere may come after the model."""

    def after_update(self, epoch: float = 0.0, epochs: float = 1.0) -> None:
        """The weights moved; a learner says so after each update in a phase in which the objective is active.

        Args:
            epoch: Epochs that the phase has behind it, with the share of the open one.
            epochs: How many it has.
        """

    def pool(self, join: Callable[[Tensor], Tensor]) -> None:
        """Before `after_update`, where several processes learn from the same batches: what was noted of rows is of all.

        Override it where `after_update` goes by rows; else each process would go by its own, and until the next
        checkpoint or validation they would remember other things.

        Args:
            join: Makes ``[all rows, *]``, in the order of one process, of this process's ``[rows, *]``.
        """

    def figures(self) -> Mapping[str, Tensor]:
        """Figures of its own for the log, scalars on the device, of what it saw since it was last asked.

        The log names them ``<figure>/<objective>``; one that is NaN is left out. The log is written before each
        checkpoint, so that what they are made of is no state.
        """
        return {}

    def counted(self, *inputs: Tensor | None, present: Tensor | None = None) -> Tensor | None:
        """Which rows `forward` will count, told before the nodes have run: accumulation divides by their number.

        Args:
            inputs: What `forward` will be given, of the fields among it; None for what nodes give.
            present: bool ``[batch]``, the rows that count; None where all do.

        Returns:
            What `forward` will say of them. Override it where that is not those without gaps.
        """
        return self.whole_rows(present, *inputs)

    def whole_rows(self, present: Tensor | None, *inputs: Tensor | None) -> Tensor | None:
        """Of the rows that count, those in which no element of any input is missing.

        Args:
            present: bool ``[batch]``, the rows that count; None where all do.
            inputs: What `forward` is given.
        """
        draws = len(inputs) // max(len(self.inputs), 1)
        for value in (inputs[place * draws + draw] for place in self.gaps for draw in range(draws)):
            if value is None:
                continue
            whole = ~value.isnan().flatten(1).any(1)
            present = whole if present is None else present & whole
        return present

    def known_elements(self, target: Tensor, present: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The last input with zeros where it is missing, and bool of its shape, the elements that it has.

        Args:
            target: ``[batch, *]``.
            present: bool ``[batch]``, the rows that count; None where all do.

        Returns:
            None beside it where rows are missing as a whole only.
        """
        target = filled(target, present)
        if len(self.inputs) - 1 not in self.gaps:
            return target, None
        known = ~target.isnan()
        return torch.where(known, target, 0.0), known

    def error(self, problem: str) -> ObjectiveError:
        """An error that names this kind of objective."""
        return ObjectiveError(f"{type(self).__name__}: {problem}")

    def wrong_shape(self, position: int, expected: str, value: ValueInfo, fix: str) -> ObjectiveError:
        """An error that says which input does not fit, what would, and how to get there."""
        role, name = self.roles[position], self.inputs[position]
        return self.error(f"expected {role} as {expected}; {name!r} is {value}. {fix}")


def _names(value: str | Sequence[str]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)
